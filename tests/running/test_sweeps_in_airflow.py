"""Sweeps on a running Airflow with Docker Engine: a service tested again, and an image that has vanished."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conftest import Bucket
from tests.dag.conftest import SERVICE, a_config, a_wheel
from tests.running.conftest import Running

DAG_ID = "revalidate_models"


def sweep(running: Running, name: str) -> tuple[str, dict[str, Any]]:
    """Look at a model now; returns the run's id and its result."""
    run_id = running.api.trigger(DAG_ID, {"model_name": name})
    assert running.api.wait_for_run(DAG_ID, run_id, 300) == "success", running.api.task_instances(DAG_ID, run_id)
    result: dict[str, Any] = running.api.xcom(DAG_ID, run_id, "report")
    return run_id, result


def containers_made(client: Any, run_id: str, since: datetime) -> int:
    """Containers that the engine made for a sweep."""
    label = f"io.airlock.run={DAG_ID}/{run_id}"
    until = datetime.now(UTC) + timedelta(seconds=1)
    made = client.events(
        since=since, until=until, decode=True, filters={"type": "container", "event": "create", "label": label}
    )
    return len(list(made))


def test_a_version_is_tested_again_in_its_container_and_found_unfit_when_its_image_has_vanished(
    running: Running, bucket: Bucket, docker_client: Any
) -> None:
    running.api.wait_for_dag(DAG_ID, 60)
    # A layer that no other test has: its image can go.
    bucket.put("swept/model/mark-1.0-py3-none-any.whl", a_wheel("mark", uuid.uuid4().hex))
    packages = [{"package_name": "/home/mind/model/mark-1.0-py3-none-any.whl"}]
    config = a_config(dependencies=[{"installer": "pip", "packages": packages}])
    bucket.put("swept/model/config.json", json.dumps(config).encode())
    bucket.put("swept/model/customize_service.py", SERVICE.encode())
    # A pickle of None.
    bucket.put("swept/model/model.m", b"\x80\x02N.")
    name = f"swept-{bucket.name}"
    imported = running.api.trigger(
        "import_model", {"model_name": name, "source_location": f"s3://{bucket.name}/swept/"}, name
    )
    running.wait(imported, 300)
    assert running.version(name)[0].status.value == "Normal"

    began = datetime.now(UTC) - timedelta(seconds=1)
    run_id, result = sweep(running, name)

    assert (result["counts"], result["tests"]) == ({"fit": 1}, 1)
    assert containers_made(docker_client, run_id, began) >= 1
    label = f"io.airlock.run={DAG_ID}/{run_id}"
    assert docker_client.containers.list(all=True, filters={"label": label}, ignore_removed=True) == []
    row = running.version(name)[0]
    assert row.status.value == "Normal"
    assert row.events[-1].text.startswith("Tested again.")

    docker_client.images.remove(row.summary["image"], force=True)
    run_id, result = sweep(running, name)

    assert result["counts"] == {"found unfit": 1}
    row = running.version(name)[0]
    assert row.status.value == "Abnormal"
    assert row.reason.startswith("[RVL002] The image ")
