"""A running Airflow: scheduler, API server and all, with the real DAG, pages and plugin."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts import airflow_config
from scripts.airflow_local import AirflowLocal

if TYPE_CHECKING:
    from scripts.airflow_api import AirflowApi

DAG_ID = "import_model"
ARRIVALS_BUCKET = "arrivals"


@dataclass
class Running:
    """A running installation.

    Attributes:
        airflow: Its supervisor.
        api: Its REST API, signed in.
        state: Store, registry and work folders lie in it.
        backend: `docker` or `process`.
    """

    airflow: AirflowLocal
    api: AirflowApi
    state: Path
    backend: str

    def wait(self, run_id: str, timeout_s: float) -> dict[str, Any]:
        """Wait for a run's end and return its tasks by name."""
        self.api.wait_for_run(DAG_ID, run_id, timeout_s)
        return self.tasks(run_id)

    def tasks(self, run_id: str) -> dict[str, Any]:
        return {task["task_id"]: task for task in self.api.task_instances(DAG_ID, run_id)}

    def version(self, name: str, version: str = "0.0.1") -> Any:
        from airlock.adapters.clock import SystemClock
        from airlock.adapters.registry_reads import SqlRegistryReader
        from airlock.adapters.registry_schema import open_engine
        from airlock.domain.registered import Page, VersionFilter

        engine = open_engine(self.airflow.env["AIRFLOW__AIRLOCK__REGISTRY_URL"])
        try:
            registry = SqlRegistryReader(engine, SystemClock())
            return registry.find(name, version), registry.versions(VersionFilter(model_name=name), Page()).items
        finally:
            engine.dispose()


def _backend() -> str:
    from airlock.adapters.docker_backend import docker_answers

    return "docker" if docker_answers() else "process"


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, object_server: Any) -> Iterator[Running]:
    """One Airflow for the session, on Docker Engine where it answers."""
    before = dict(os.environ)
    backend = _backend()
    state = tmp_path_factory.mktemp("running")
    airflow = AirflowLocal(
        state=state,
        extra_env={
            "AIRFLOW__AIRLOCK__BACKEND": backend,
            "AIRFLOW_CONN_AIRLOCK_S3": object_server.airflow_connection_json(),
            # Beside the one who may do everything, one who may only look.
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{airflow_config.USER}:admin,guest:viewer",
            # The bucket is made by the test that wants it; until then the watcher finds nothing.
            "AIRFLOW__AIRLOCK__ARRIVALS": f"s3://{ARRIVALS_BUCKET}/in/*/",
            "AIRFLOW__AIRLOCK__ARRIVALS_POLL_S": "2",
        },
    )
    with airflow:
        api = airflow.api()
        api.wait_for_dag(DAG_ID, 60)
        yield Running(airflow=airflow, api=api, state=state, backend=backend)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def docker_client(running: Running) -> Iterator[Any]:
    """A client of the engine that the installation tests on."""
    if running.backend != "docker":
        pytest.skip("no container engine answers")
    import docker

    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Any], float], Any]:
    """Waits for a condition and returns its value."""

    def wait(condition: Callable[[], Any], timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.02)
        return value

    return wait
