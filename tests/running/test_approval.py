"""A person's word before a tested version is registered, asked for and given on a running Airflow."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from scripts.airflow_api import ENDED
from tests.conftest import Bucket
from tests.dag.conftest import SERVICE, a_config
from tests.running.conftest import DAG_ID, Running

PACKAGE = {
    "model/config.json": json.dumps(a_config()).encode(),
    "model/customize_service.py": SERVICE.encode(),
    # A pickle of None.
    "model/model.m": b"\x80\x02N.",
}


def asked(running: Running, run_id: str) -> dict[str, Any]:
    """Wait until the run asks, and return its question."""
    deadline = time.monotonic() + 300
    while running.tasks(run_id)["approve"]["state"] != "awaiting_input":
        assert time.monotonic() < deadline, running.tasks(run_id)
        time.sleep(0.2)
    found: dict[str, Any] = running.api.request("GET", place(run_id))
    return found


def place(run_id: str) -> str:
    return f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"


def answered(running: Running, run_id: str, answer: str) -> dict[str, Any]:
    """Answer until the run has ended, and return its tasks.

    No person is as fast as a test. An answer that comes before the scheduler has seen that the task waits ends this
    try, and Airflow asks again.
    """
    deadline = time.monotonic() + 300
    while running.api.run_of(DAG_ID, run_id)["state"] not in ENDED:
        assert time.monotonic() < deadline, running.tasks(run_id)
        if running.tasks(run_id)["approve"]["state"] == "awaiting_input":
            question = running.api.request("GET", place(run_id))
            if not question["response_received"]:
                running.api.request("PATCH", place(run_id), {"chosen_options": [answer], "params_input": {}})
        time.sleep(1)
    return running.tasks(run_id)


@pytest.mark.parametrize("answer", ["Approve", "Reject"])
def test_a_tested_version_waits_and_is_registered_or_refused_as_a_person_says(
    answer: str, running: Running, bucket: Bucket
) -> None:
    for path, body in PACKAGE.items():
        bucket.put(f"asks/{path}", body)
    name = f"asks-{bucket.name}"
    conf = {"model_name": name, "source_location": f"s3://{bucket.name}/asks/", "approval": True}
    run_id = running.api.trigger(DAG_ID, conf, f"approval-{bucket.name}")

    question = asked(running, run_id)
    assert question["subject"] == f"Register {name} 0.0.1?"
    assert f"s3://{bucket.name}/asks/" in question["body"]
    assert "Test on cpu: passed" in question["body"]
    assert running.version(name)[0].status.value == "Importing"

    tasks = answered(running, run_id, answer)

    row = running.version(name)[0]
    said = [event.text for event in row.events]
    assert "Tested; waits for a person's approval." in said
    if answer == "Approve":
        assert (row.status.value, tasks["register"]["state"]) == ("Normal", "success")
        assert "Approved by admin." in said
    else:
        assert (row.status.value, tasks["register"]["state"]) == ("Failed", "upstream_failed")
        assert row.reason.startswith("[APR001] admin refused to register")
