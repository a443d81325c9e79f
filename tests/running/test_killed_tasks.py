"""A task process that is killed in the middle: its retry succeeds, with one version, one image and no litter."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import Bucket
from tests.dag.conftest import SERVICE, a_config, a_wheel
from tests.running.conftest import DAG_ID, Running

Wait = Callable[[Callable[[], Any], float], Any]
SLOW_START_S = 6


def kill(running: Running, run_id: str, task_id: str, by: signal.Signals = signal.SIGKILL) -> None:
    """A signal to the process that executes the task."""
    task = running.tasks(run_id)[task_id]
    assert task["state"] == "running", task
    command = Path(f"/proc/{task['pid']}/cmdline").read_bytes()
    assert b"airflow" in command, command
    os.kill(task["pid"], by)


def is_running(running: Running, run_id: str, task_id: str) -> bool:
    return running.tasks(run_id).get(task_id, {}).get("state") == "running"


def packages_kept(running: Running) -> set[str]:
    """The digests of the packages in the store."""
    folder = running.state / "store" / "sha256"
    return {path.name for path in folder.iterdir() if path.is_dir()} if folder.exists() else set()


def test_an_import_survives_sigkill_in_fetch_build_and_smoke(
    running: Running, bucket: Bucket, docker_client: Any, wait_until: Wait
) -> None:
    # The wheel is another one each time, so that its layer must be built.
    bucket.put("slow/model/mark-1.0-py3-none-any.whl", a_wheel("mark", uuid.uuid4().hex))
    packages = [
        {"package_name": "itsdangerous", "package_version": "2.2.0", "restraint": "EXACT"},
        {"package_name": "/home/mind/model/mark-1.0-py3-none-any.whl"},
    ]
    config = a_config(dependencies=[{"installer": "pip", "packages": packages}])
    bucket.put("slow/model/config.json", json.dumps(config).encode())
    bucket.put(
        "slow/model/customize_service.py",
        SERVICE.replace(
            "self.model_path = model_path", f"self.model_path = model_path; import time; time.sleep({SLOW_START_S})"
        ).encode(),
    )
    bucket.put("slow/model/model.m", b"\x80\x02N.")
    for number in range(300):
        bucket.put(f"slow/model/labels/{number:03d}.txt", b"label" * number)
    # Other tests import into the same installation.
    kept_before = packages_kept(running)
    run_id = running.api.trigger(
        DAG_ID, {"model_name": "survivor", "source_location": f"s3://{bucket.name}/slow/"}, "survivor"
    )

    incoming = running.state / "store" / "incoming"
    wait_until(lambda: incoming.exists() and any(incoming.glob("*/package/model/labels/1*")), 60)
    kill(running, run_id, "fetch")

    wait_until(lambda: is_running(running, run_id, "build"), 120)
    builders = {"ignore_removed": True, "filters": {"label": "io.airlock.layer"}}
    wait_until(lambda: docker_client.containers.list(**builders), 120)
    kill(running, run_id, "build")

    ours = {"all": True, "ignore_removed": True, "filters": {"label": f"io.airlock.run={DAG_ID}/{run_id}"}}
    wait_until(lambda: docker_client.containers.list(**ours), 300)
    kill(running, run_id, "smoke_cpu")

    tasks = running.wait(run_id, 300)
    assert running.api.run_of(DAG_ID, run_id)["state"] == "success", {t: v["state"] for t, v in tasks.items()}
    assert {name: tasks[name]["try_number"] for name in ("fetch", "build", "smoke_cpu", "register")} == {
        "fetch": 2,
        "build": 2,
        "smoke_cpu": 2,
        "register": 1,
    }
    row, versions = running.version("survivor")
    assert row.status.value == "Normal"
    assert len(versions) == 1
    image = row.summary["image"]
    assert len(docker_client.images.list(image)) == 1
    assert docker_client.containers.list(**ours) == []
    layers = running.api.xcom(DAG_ID, run_id, "build")["layers"]
    for layer in layers:
        litter = {"label": f"io.airlock.layer={layer['tag']}"}
        assert docker_client.containers.list(all=True, filters=litter, ignore_removed=True) == []
        assert docker_client.images.list(filters={**litter, "dangling": True}) == []
    assert list(incoming.iterdir()) == []
    assert packages_kept(running) - kept_before == {row.summary["package_digest"].removeprefix("sha256:")}
    for layer in reversed(layers[1:]):
        docker_client.images.remove(layer["tag"], force=True)


def test_a_task_that_is_killed_on_every_try_leaves_a_failed_version_with_the_reason(
    running: Running, bucket: Bucket, docker_client: Any, wait_until: Wait
) -> None:
    bucket.put("dead/model/config.json", json.dumps(a_config()).encode())
    bucket.put(
        "dead/model/customize_service.py",
        SERVICE.replace("self.model_path = model_path", "import time; time.sleep(300)").encode(),
    )
    bucket.put("dead/model/model.m", b"\x80\x02N.")
    run_id = running.api.trigger(
        DAG_ID, {"model_name": "unlucky", "source_location": f"s3://{bucket.name}/dead/"}, "unlucky"
    )
    ours = {"all": True, "ignore_removed": True, "filters": {"label": f"io.airlock.run={DAG_ID}/{run_id}"}}
    for number in (1, 2, 3):
        wait_until(
            lambda number=number: (
                is_running(running, run_id, "smoke_cpu")
                and running.tasks(run_id)["smoke_cpu"]["try_number"] == number
                and docker_client.containers.list(**ours)
            ),
            300,
        )
        kill(running, run_id, "smoke_cpu", signal.SIGTERM if number == 3 else signal.SIGKILL)
    # A task that is asked to end removes what it started before it does.
    wait_until(lambda: not docker_client.containers.list(**ours), 5)
    running.wait(run_id, 120)
    assert running.api.run_of(DAG_ID, run_id)["state"] == "failed"
    row, _ = running.version("unlucky")
    assert row.status.value == "Failed"
    assert "[RUN001]" in row.reason
    assert "smoke_cpu failed" in row.reason
    assert docker_client.containers.list(**ours) == []
