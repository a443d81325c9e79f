"""The DAG `revalidate_models` on a real registry, store and service."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import pytest

from airlock.adapters.run_folders import RunFolders
from airlock.codec import decode, encode
from airlock.domain.device import Device
from airlock.domain.revalidation import Checked, Retest
from airlock.domain.sweeping import SweepState
from airlock.domain.version import RunRef, Status
from airlock.steps.retest import retest
from tests.dag.conftest import SERVICE, Installation, Outcome, Upload, load_dag
from tests.dag.conftest import SWEEP_DAG_ID as DAG_ID


def test_every_field_of_the_form_has_a_section_a_title_help_and_the_default_of_its_parser(
    installation: Installation,
) -> None:
    from airlock.domain.sweep_request import SWEEP_FIELDS, SweepRequest, parse_sweep

    params = load_dag(DAG_ID).params
    assert sorted(params) == sorted(SWEEP_FIELDS)
    for name in SWEEP_FIELDS:
        param = params.get_param(name)
        assert param.schema["section"], name
        assert param.schema["title"], name
        assert param.description, name
    assert parse_sweep(dict(params)) == SweepRequest()


def test_a_version_is_tested_again_then_left_alone_then_found_unfit_when_its_bytes_rot(
    alone: Installation,
    upload: Upload,
    run_import: Callable[..., Outcome],
    run_sweep: Callable[..., Outcome],
) -> None:
    name = f"rotting-{upload.bucket.name}"
    assert run_import(model_name=name, source_location=upload.go()).state == "success"
    wiring = alone.wiring()
    reader, store = wiring.registry_reader, wiring.store

    asked = run_sweep(model_name=name, model_version="0.0.1")

    assert asked.state == "success", asked.tasks
    assert asked.record is not None
    assert (asked.record["counts"], asked.record["tests"]) == ({"fit": 1}, 1)
    assert asked.tasks["batch.test_gpu[0]"] == asked.tasks["batch.test_ascend[0]"] == "skipped"
    assert asked.tasks["batch.judge[0]"] == "success"
    imported, tested = reader.health(name, "0.0.1")
    assert (tested.run, tested.verdict) == (f"{DAG_ID}/{asked.run_id}", imported.verdict)
    row = reader.find(name, "0.0.1")
    assert row is not None
    assert (row.status, row.events[-1].text.split(":")[0][:13]) == (Status.NORMAL, "Tested again.")

    # Due by nothing but what was asked for: no test, and no task that would start one.
    quiet = run_sweep(check_after_h=0, test_after_days=3650)
    assert quiet.state == "success", quiet.tasks
    assert quiet.record is not None
    assert quiet.record["tests"] == 0
    assert {state for task, state in quiet.tasks.items() if "test_" in task or "judge" in task} == {"skipped"}
    kept = wiring.reports.find(RunRef(dag_id=DAG_ID, run_id=quiet.run_id)).sweep
    assert kept is not None
    assert kept.registry is not None
    assert not [result for result in kept.registry.results if not result.met and result.severity.value == "error"]

    (model,) = Path(store.folder(row.package_digest.partition(":")[2])).glob("model/model.m")
    data = bytearray(model.read_bytes())
    data[1] ^= 1
    model.chmod(0o644)
    model.write_bytes(data)
    rotten = run_sweep(check_after_h=0, test_after_days=3650)
    row = reader.find(name, "0.0.1")
    assert row is not None
    assert row.status is Status.ABNORMAL
    assert row.reason.startswith("[STO006] model/model.m of package")
    assert rotten.record is not None
    assert rotten.record["counts"]["found unfit"] == 1
    assert reader.health(name, "0.0.1")[-1].verdict == "not run: STO006"


def test_a_test_that_fails_for_good_leaves_its_versions_undecided_and_named(
    alone: Installation,
    upload: Upload,
    run_import: Callable[..., Outcome],
    run_sweep: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"killing-{upload.bucket.name}"
    assert run_import(model_name=name, source_location=upload.go()).state == "success"
    with monkeypatch.context() as broken:
        # As far as the DAG goes, a task that was killed at each of its tries.
        broken.setattr("airlock.operators.sweep.retest", create_autospec(retest, side_effect=MemoryError))
        swept = run_sweep(model_name=name)
    assert swept.state == "failed"
    states = {task.partition("[")[0]: state for task, state in swept.tasks.items()}
    assert states["batch.test_cpu"] == "failed"
    assert (states["batch.judge"], states["report"]) == ("upstream_failed", "failed")
    assert swept.record is not None
    assert (swept.record["counts"], swept.record["lost"]) == ({"not decided": 1}, 0)
    kept = alone.wiring().reports.find(RunRef(dag_id=DAG_ID, run_id=swept.run_id)).sweep
    assert kept is not None
    assert [row.reason for row in kept.rows] == ["Its test on cpu ended without a word."]
    assert run_sweep(model_name=name).state == "success"


def test_batches_of_one_sweep_are_tested_at_once_and_none_ends_the_other(
    alone: Installation, upload: Upload, run_import: Callable[..., Outcome]
) -> None:
    slow = SERVICE.replace("self.model_path = model_path", "import time; time.sleep(2)")
    upload.files["model/customize_service.py"] = slow.encode()
    name = f"at-once-{upload.bucket.name}"
    assert run_import(model_name=name, source_location=upload.go()).state == "success"
    # Airflow is not there to be imported before the installation is.
    from airlock.operators.sweep import RetestVersionsOperator

    checked = Checked(
        model_name=name, model_version="0.0.1", status=Status.NORMAL, reason="", image_digest="", why=(),
        devices=(Device.CPU,), state=SweepState(),
    )  # fmt: skip
    run = RunRef(dag_id=DAG_ID, run_id="at-once")

    def test(batch: int) -> Retest:
        # The later one begins while the service of the earlier one starts.
        time.sleep(batch)
        operator = RetestVersionsOperator(task_id="batch.test_cpu", device="cpu", to_test=[encode(checked)])
        ti = SimpleNamespace(map_index=batch, try_number=1)
        context: Any = {"ti": ti, "dag_run": SimpleNamespace(**encode(run))}
        (found,) = operator.run_step(alone.wiring(), context)
        return decode(Retest, found)

    with ThreadPoolExecutor() as threads:
        found = list(threads.map(test, range(2)))
    assert [(each.passed, each.problem, each.undecided) for each in found] == [(True, None, "")] * 2
    assert RunFolders(alone.wiring().settings.work_dir).found(run) == ()


def test_a_scheduled_sweep_finds_the_one_before_it_that_has_not_ended(
    alone: Installation, run_sweep: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    from airlock.operators.sweep import PlanSweepOperator

    found: list[str] = []
    look = PlanSweepOperator._under_way

    def spied(wiring: Any, context: Any) -> str:
        found.append(look(wiring, context))
        return found[-1]

    monkeypatch.setattr(PlanSweepOperator, "_under_way", staticmethod(spied))
    # What runs here are runs by hand; Airflow is asked the same of them.
    monkeypatch.setattr("airlock.operators.sweep.SCHEDULED", "manual")
    before = run_sweep()
    with create_session() as session:
        session.query(DagRun).filter_by(run_id=before.run_id).update({"state": "running"})
    assert run_sweep().state == "success"
    with create_session() as session:
        session.query(DagRun).filter_by(run_id=before.run_id).update({"state": "success"})
    assert found == ["", before.run_id]


def test_a_sweep_of_a_version_that_is_not_there_says_so(alone: Installation, run_sweep: Callable[..., Outcome]) -> None:
    outcome = run_sweep(model_name="nobody", model_version="0.0.1")
    assert outcome.state == "failed"
    assert outcome.tasks["plan"] == "failed"
    assert outcome.record in (None, {})
