"""A registered version is an event that other DAGs can be scheduled on."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.dag.conftest import Installation, Outcome, Upload

EXAMPLE = ROOT / "examples" / "dags" / "deploy_model_versions.py"


def events_of(run_id: str) -> dict[str, dict[str, Any]]:
    """Name of the asset → the record that came with the run's event."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(AssetEvent).filter_by(source_dag_id="import_model", source_run_id=run_id).all()
        return {row.asset.name: row.extra for row in rows}


def test_a_registered_version_updates_the_asset_of_all_models_and_its_own(
    process: Installation, upload: Upload, run_import: Callable[..., Outcome]
) -> None:
    name = f"模型-{upload.bucket.name}"
    outcome = run_import(model_name=name, source_location=upload.go())
    assert outcome.state == "success"
    assert outcome.tasks["approve"] == "skipped"
    found = events_of(outcome.run_id)
    own = f"airlock_model_%E6%A8%A1%E5%9E%8B-{upload.bucket.name}"
    assert sorted(found) == sorted(["airlock_model_versions", own])
    for extra in found.values():
        assert outcome.record is not None
        assert outcome.record.items() <= extra.items()


def test_a_refused_package_is_no_event(
    process: Installation, upload: Upload, run_import: Callable[..., Outcome]
) -> None:
    del upload.files["model/config.json"]
    outcome = run_import(model_name=f"refused-{upload.bucket.name}", source_location=upload.go())
    assert outcome.state == "failed"
    assert events_of(outcome.run_id) == {}


def test_the_example_is_scheduled_on_versions_and_takes_what_is_for_its_kind_of_service(
    installation: Installation,
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    from airlock.operators.assets import MODEL_VERSIONS

    bag = DagBag(str(EXAMPLE.parent))
    assert bag.import_errors == {}
    dag = bag.dags["deploy_model_versions"]
    assert [asset.name for asset in dag.timetable.asset_condition.objects] == [MODEL_VERSIONS.name]
    records = [{"model_name": name, "install_type": [kind]} for name, kind in (("a", "real-time"), ("b", "batch"))]
    events = {MODEL_VERSIONS: [SimpleNamespace(extra=record) for record in records]}
    choose = dag.get_task("choose").python_callable
    assert choose(triggering_asset_events=events) == records[:1]
    assert choose(triggering_asset_events={}) == []


@pytest.mark.parametrize("name", ["iris", "模型", "a_b-c"])
def test_a_models_asset_has_one_name(name: str) -> None:
    from airlock.operators.assets import model_asset

    assert model_asset(name) == model_asset(name)
    assert model_asset(name).name.isascii()
    assert model_asset(name).name != model_asset(name + "x").name
