"""The pools that cap how many tests use a device, made by the supervisor and used by the DAG."""

from __future__ import annotations

import json

from tests.conftest import ROOT
from tests.running.conftest import DAG_ID, Running


def test_each_device_has_its_pool_and_its_test_task_runs_in_it(running: Running) -> None:
    found = {pool["name"]: pool["slots"] for pool in running.api.request("GET", "/api/v2/pools")["pools"]}
    pools = json.loads((ROOT / "include/pools.json").read_text())
    assert set(pools) <= set(found)
    assert all(found[name] >= 1 for name in pools)
    tasks = {task["task_id"]: task for task in running.api.request("GET", f"/api/v2/dags/{DAG_ID}/tasks")["tasks"]}
    for device in ("cpu", "gpu", "ascend"):
        task = tasks[f"smoke_{device}"]
        assert (task["pool"], task["queue"]) == (f"airlock_{device}", device)


def test_a_pool_that_was_changed_is_kept(running: Running) -> None:
    running.api.make_pool("airlock_cpu", 77, "another")
    found = {pool["name"]: pool["slots"] for pool in running.api.request("GET", "/api/v2/pools")["pools"]}
    assert found["airlock_cpu"] != 77
