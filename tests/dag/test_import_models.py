"""The DAG `import_models` on a real S3 server and registry; tests/running has it with a scheduler."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.dag.conftest import Installation, Outcome, Upload, a_config, load_dag, run_dag


@pytest.fixture
def run_batch(installation: Installation) -> Callable[..., Outcome]:
    """Runs a batch of imports."""
    return lambda **conf: run_dag("import_models", "report", conf)


def test_every_field_of_the_form_has_a_section_a_title_and_help(installation: Installation) -> None:
    from airlock.domain.batch_request import BATCH_FIELDS

    params = load_dag("import_models").params
    assert sorted(params) == sorted(BATCH_FIELDS)
    for name in BATCH_FIELDS:
        param = params.get_param(name)
        assert param.schema["section"], name
        assert param.schema["title"], name
        assert param.description, name


def test_imports_are_runs_that_are_awaited_without_a_worker_a_few_at_once(installation: Installation) -> None:
    dag = load_dag("import_models")
    partial = dag.get_task("import").partial_kwargs
    assert partial["trigger_dag_id"] == "import_model"
    assert (partial["deferrable"], partial["wait_for_completion"]) == (True, True)
    assert partial["max_active_tis_per_dagrun"] == 4
    assert dag.get_task("report").trigger_rule == "all_done"


def test_a_dry_run_says_what_would_happen_and_starts_nothing(
    process: Installation, upload: Upload, run_batch: Callable[..., Outcome], run_import: Callable[..., Outcome]
) -> None:
    upload.go("all/known/")
    upload.go("all/fresh/")
    upload.files["model/config.json"] = json.dumps(a_config(runtime="python2.7")).encode()
    upload.go("all/broken/")
    name = upload.bucket.name
    assert run_import(model_name=f"known-{name}", source_location=f"s3://{name}/all/known/").state == "success"
    lines = ["source_location,model_name"]
    lines += [f"s3://{name}/all/{each}/,{each}-{name}" for each in ("known", "fresh", "broken")]
    upload.bucket.put("batch.csv", "\n".join(lines).encode())

    outcome = run_batch(manifest=f"s3://{name}/batch.csv", dry_run=True)

    assert outcome.state == "success"
    assert outcome.tasks["import"] == "skipped"
    assert outcome.record is not None
    rows = {row["model_name"].removesuffix(f"-{name}"): row for row in outcome.record["packages"]}
    assert {each: (row["plan"], row["outcome"]) for each, row in rows.items()} == {
        "known": ("identical", "skipped"),
        "fresh": ("new", "planned"),
        "broken": ("invalid", "invalid"),
    }
    assert "CFG008" in rows["broken"]["reason"]
    assert outcome.record["counts"] == {"skipped": 1, "invalid": 1, "planned": 1}
    assert process.wiring().registry_reader.model(f"fresh-{name}") is None


def test_a_prefix_with_nothing_to_import_ends_with_its_reasons(
    process: Installation, upload: Upload, run_batch: Callable[..., Outcome]
) -> None:
    upload.files["model/config.json"] = json.dumps(a_config(runtime="python2.7")).encode()
    upload.go("all/old/")
    outcome = run_batch(prefix=f"s3://{upload.bucket.name}/all/*/")
    assert outcome.state == "failed"
    assert outcome.tasks["report"] == "failed"
    # The table is there all the same.
    assert outcome.record is not None
    (row,) = outcome.record["packages"]
    assert row["outcome"] == "invalid"
    assert "CFG008" in row["reason"]


@pytest.mark.parametrize(
    "conf", [{}, {"prefix": "s3://nothing-of-the-kind/*/"}, {"packages": ["s3://a/b/"], "manifest": "s3://a/b.csv"}]
)
def test_a_batch_that_cannot_be_read_ends_in_its_first_task(
    conf: dict[str, Any], process: Installation, run_batch: Callable[..., Outcome]
) -> None:
    outcome = run_batch(**conf)
    assert outcome.state == "failed"
    assert outcome.tasks["plan"] == "failed"
    assert outcome.record is None
