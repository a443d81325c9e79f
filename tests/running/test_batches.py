"""A batch on a running Airflow: triggered runs, a few at once, partial failure, and again only what is missing."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import Bucket
from tests.dag.conftest import SERVICE, a_config
from tests.running.conftest import Running

DAG_ID = "import_models"
PACKAGE = {
    "model/config.json": json.dumps(a_config()).encode(),
    "model/customize_service.py": SERVICE.encode(),
    # A pickle of None.
    "model/model.m": b"\x80\x02N.",
}
#: Right by its headers, and no service: the code ends while it is loaded.
ENDS = {**PACKAGE, "model/customize_service.py": b"raise SystemExit(3)\n" + SERVICE.encode()}


def put(bucket: Bucket, name: str, files: dict[str, bytes]) -> None:
    for path, body in files.items():
        bucket.put(f"all/{name}/{path}", body)


def run(running: Running, conf: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The state of a batch and its result."""
    run_id = running.api.trigger(DAG_ID, conf)
    state = running.api.wait_for_run(DAG_ID, run_id, 540)
    result = running.api.xcom(DAG_ID, run_id, "report")
    assert result is not None, running.api.task_instances(DAG_ID, run_id)
    return state, result


def outcomes(result: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {row["source"].split("/")[-2]: (row["outcome"], row["model_version"]) for row in result["packages"]}


def test_a_batch_imports_what_it_can_and_again_only_what_is_missing(running: Running, bucket: Bucket) -> None:
    running.api.wait_for_dag(DAG_ID, 60)
    put(bucket, "first", PACKAGE)
    put(bucket, "second", PACKAGE)
    put(bucket, "ends", ENDS)
    rows = [
        {"source_location": f"s3://{bucket.name}/all/{name}/", "model_name": f"{name}-{bucket.name}"}
        for name in ("first", "second", "ends")
    ]
    bucket.put("batch.json", json.dumps(rows).encode())
    conf = {"manifest": f"s3://{bucket.name}/batch.json", "defaults": {"labels": ["batch"], "startup_timeout_s": 60}}

    state, result = run(running, conf)

    assert state == "failed"
    assert outcomes(result) == {
        "first": ("imported", "0.0.1"),
        "second": ("imported", "0.0.1"),
        "ends": ("failed", "0.0.1"),
    }
    reason = next(row["reason"] for row in result["packages"] if row["outcome"] == "failed")
    assert reason.startswith("[SMK"), reason
    assert running.version(f"first-{bucket.name}")[0].summary["labels"] == ["batch"]

    put(bucket, "ends", PACKAGE)
    state, result = run(running, conf)

    assert state == "success"
    assert outcomes(result) == {
        "first": ("skipped", ""),
        "second": ("skipped", ""),
        "ends": ("imported", "0.0.2"),
    }
    assert len(running.version(f"first-{bucket.name}")[1]) == 1, "nothing was imported twice"
