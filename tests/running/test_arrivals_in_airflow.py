"""A package that arrives by itself: its marker appears, the triggerer sees it, a batch imports it."""

from __future__ import annotations

import json
import time
from typing import Any

from scripts.airflow_api import ENDED, ApiError
from tests.dag.conftest import SERVICE, a_config
from tests.running.conftest import ARRIVALS_BUCKET, Running

PACKAGE = {
    "model/config.json": json.dumps(a_config()).encode(),
    "model/customize_service.py": SERVICE.encode(),
    # A pickle of None.
    "model/model.m": b"\x80\x02N.",
}


def batches(running: Running) -> list[dict[str, Any]]:
    """The runs that an asset's event started, oldest first."""
    query = {"run_type": "asset_triggered", "order_by": "run_after"}
    try:
        found: list[dict[str, Any]] = running.api.request("GET", "/api/v2/dags/import_models/dagRuns", query=query)[
            "dag_runs"
        ]
    except ApiError:
        return []
    return found


def ended(running: Running, count: int) -> dict[str, Any]:
    """Wait for that many ended batches, and return the last one's result."""
    deadline = time.monotonic() + 420
    while len(runs := [run for run in batches(running) if run["state"] in ENDED]) < count:
        assert time.monotonic() < deadline, batches(running)
        time.sleep(0.5)
    result: dict[str, Any] = running.api.xcom("import_models", runs[-1]["dag_run_id"], "report")
    return result


def test_a_marker_starts_the_import_of_its_package_and_a_new_one_that_of_the_changed_package(
    running: Running, s3_client: Any
) -> None:
    running.api.wait_for_dag("import_models", 60)
    s3_client.create_bucket(Bucket=ARRIVALS_BUCKET)

    def put(**files: bytes) -> None:
        for path, body in files.items():
            s3_client.put_object(Bucket=ARRIVALS_BUCKET, Key=f"in/arrived/{path}", Body=body)

    put(**PACKAGE)
    # An upload that is not whole has no marker.
    s3_client.put_object(Bucket=ARRIVALS_BUCKET, Key="in/half/model/config.json", Body=b"{")
    put(_READY=b"")
    rows = ended(running, 1)["packages"]
    source = f"s3://{ARRIVALS_BUCKET}/in/arrived/"
    assert [(row["source"], row["outcome"], row["model_version"]) for row in rows] == [(source, "imported", "0.0.1")]

    put(**{"model/labels.txt": b"new", "_READY": b""})
    (row,) = ended(running, 2)["packages"]
    assert (row["plan"], row["outcome"], row["model_version"]) == ("new version", "imported", "0.0.2")
