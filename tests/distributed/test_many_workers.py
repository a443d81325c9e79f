"""Imports on two workers that share only services, while workers, Redis, PostgreSQL and the scheduler are killed.

Each ends in one Normal version, one image in the registry, and nothing left on any disk or engine.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.build_litter import LOCKS_LABEL, Signature
from airlock.domain.metrics import DEVICE_WAIT, LAYERS, PACKAGE_BYTES, STATUSES, STEP_TIME, VERDICTS, Metric
from scripts import bootstrap
from scripts.local_state import ROOT, state_dir
from scripts.postgres_server import PostgresServer
from tests.backends.image_registry import ImageRegistry
from tests.backends.image_registry import installed as registry_installed
from tests.conftest import Bucket
from tests.dag.conftest import SERVICE, a_config, a_wheel
from tests.distributed import engines, redis_server
from tests.distributed.engines import Engine
from tests.distributed.many_workers import DAG_ID, ManyWorkers
from tests.distributed.redis_server import RedisServer
from tests.statsd_listener import StatsdListener

pytestmark = [pytest.mark.distribution, pytest.mark.timeout(3600)]

STACK_LOCK = ROOT / "requirements-stack.lock"
#: Long enough that a service is met while it starts.
SLOW_START_S = 6
LABELS = 200
#: On a machine that is busy with other work a step may come late: an image is pushed and pulled first.
PATIENCE_S = 900
#: The worker of every step.
WORKER_OF = {
    **dict.fromkeys(("accept", "fetch", "validate", "detect", "build", "register", "close"), "first"),
    "smoke_cpu": "second",
}


class Distribution:
    """What the tests have.

    Attributes:
        many: Airflow and its workers.
        redis: Where its messages are.
        postgres: Both databases.
        engines: Clients of the workers' engines by the worker's name.
        measured: What the installation measures.
    """

    def __init__(
        self,
        many: ManyWorkers,
        redis: RedisServer,
        postgres: PostgresServer,
        clients: dict[str, Any],
        measured: StatsdListener,
    ) -> None:
        self.many = many
        self.redis = redis
        self.postgres = postgres
        self.engines = clients
        self.measured = measured

    def containers(self, worker: str, label: str) -> list[Any]:
        """Containers of a worker's engine, running or not."""
        found: list[Any] = self.engines[worker].containers.list(all=True, filters={"label": label}, ignore_removed=True)
        return found

    def builds(self, worker: str) -> str:
        """The label of a worker's own builds: others may build on the machine's engine meanwhile."""
        return f"{LOCKS_LABEL}={Signature.of(self.many.workers[worker].work_dir / 'locks').locks}"


@pytest.fixture(scope="module")
def distribution(postgres: PostgresServer, object_server: Any) -> Iterator[Distribution]:
    if not redis_server.installed() or not registry_installed():
        pytest.skip("redis-server or docker-registry is not installed")
    if not engines.can_be_made():
        pytest.skip("a second Docker Engine can be started by root only, where there is one")
    import docker

    python = bootstrap.sync_environment(state_dir() / "distribution" / "venv", STACK_LOCK)
    with contextlib.ExitStack() as stack:
        # The paths of sockets are short, and pytest's folders are not.
        folder = Path(tempfile.mkdtemp(prefix="ald-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        second = Engine(folder / "engine")
        stack.callback(second.close)
        clients = {"first": docker.from_env(), "second": second.client()}
        for client in clients.values():
            stack.callback(client.close)
        images = ImageRegistry(folder / "images")
        stack.callback(images.close)
        stack.callback(forget_images, clients["first"], images.host)
        redis = RedisServer(folder / "redis")
        stack.callback(redis.close)
        measured = stack.enter_context(StatsdListener())
        many = ManyWorkers(
            folder,
            python=python,
            airflow_url=postgres.database_url("airflow"),
            registry_url=postgres.database_url("airlock"),
            broker_url=redis.url,
            image_repository=f"{images.host}/airlock",
            connection=object_server.airflow_connection_json(),
            workers={"first": ("default", ""), "second": ("cpu,gpu,ascend", second.url)},
            more=measured.settings(),
        )
        stack.callback(many.stop)
        many.start()
        yield Distribution(many, redis, postgres, clients, measured)


def forget_images(client: Any, host: str) -> None:
    """Remove what the registry's tags name from the machine's own engine, and what was built for these tests alone."""
    ids = {image.id for image in client.images.list() for tag in image.tags if tag.startswith(f"{host}/")}
    for image in client.images.list():
        for tag in image.tags:
            own = tag.startswith((f"{host}/", "airlock/dependencies:", "airlock/serving:"))
            if image.id in ids and own:
                with contextlib.suppress(Exception):
                    client.images.remove(tag)


@pytest.fixture
def source(bucket: Bucket) -> str:
    """A package whose every step takes long enough to be met: many files, a layer of its own, a slow start."""
    packages = [
        {"package_name": "itsdangerous", "package_version": "2.2.0", "restraint": "EXACT"},
        {"package_name": "/home/mind/model/mark-1.0-py3-none-any.whl"},
    ]
    config = a_config(dependencies=[{"installer": "pip", "packages": packages}])
    bucket.put("slow/model/mark-1.0-py3-none-any.whl", a_wheel("mark", uuid.uuid4().hex))
    bucket.put("slow/model/config.json", json.dumps(config).encode())
    slow = f"self.model_path = model_path; import time; time.sleep({SLOW_START_S})"
    bucket.put("slow/model/customize_service.py", SERVICE.replace("self.model_path = model_path", slow).encode())
    # A pickle of None.
    bucket.put("slow/model/model.m", b"\x80\x02N.")
    for number in range(LABELS):
        bucket.put(f"slow/model/labels/{number:03d}.txt", b"label" * number)
    return f"s3://{bucket.name}/slow/"


def in_the_middle(distribution: Distribution, run_id: str, task_id: str) -> bool:
    """Whether a step is at work, and has begun what would be left behind."""
    many = distribution.many
    if task_id == "fetch":
        return any((many.store / "incoming").glob("*/package/model/labels/05*"))
    if task_id == "smoke_cpu":
        return bool(distribution.containers("second", f"io.airlock.run={DAG_ID}/{run_id}"))
    if many.state(run_id, task_id) != "running":
        return False
    return task_id != "build" or any(
        each.status == "running" for each in distribution.containers("first", distribution.builds("first"))
    )


def expect_one_version_and_nothing_else(distribution: Distribution, name: str, run_id: str) -> dict[str, Any]:
    """The final state that every fault must end in; returns the record."""
    many = distribution.many
    versions = many.versions(name)
    assert [(each.status.value, each.model_version) for each in versions] == [("Normal", "0.0.1")]
    (version,) = versions
    record: dict[str, Any] = dict(version.summary)
    became = [event for event in version.events if event.text == "Model imported."]
    assert len(became) == 1, version.events
    digest = record["package_digest"].removeprefix("sha256:")
    assert [path.name for path in (many.store / "sha256").glob(f"{digest}*") if path.is_dir()] == [digest]
    assert list((many.store / "incoming").iterdir()) == []
    for worker, client in distribution.engines.items():
        assert distribution.containers(worker, f"io.airlock.run={DAG_ID}/{run_id}") == [], worker
        assert distribution.containers(worker, distribution.builds(worker)) == [], worker
        dangling = {"label": distribution.builds(worker), "dangling": True}
        assert [each for each in client.images.list(filters=dangling) if not each.attrs["RepoDigests"]] == [], worker
        assert client.images.get(record["image"]), worker
        assert list((many.workers[worker].work_dir / "runs").glob("*/*")) == [], worker
    image, _, _ = record["image"].partition("@")
    names = {tag for tag in distribution.engines["first"].images.get(record["image"]).tags if tag.startswith(image)}
    assert len(names) == 1, "one image has one name in the registry"
    return record


def test_a_package_is_fetched_on_one_worker_and_tested_on_another(distribution: Distribution, source: str) -> None:
    many = distribution.many
    run_id = many.trigger("plain", source)
    tasks = many.until_ended(run_id)
    assert {name: task["try_number"] for name, task in tasks.items() if task["state"] == "success"} == dict.fromkeys(
        WORKER_OF, 1
    )
    for task_id, worker in WORKER_OF.items():
        assert {name for name, each in many.workers.items() if each.did(run_id, task_id)} == {worker}, task_id
    record = expect_one_version_and_nothing_else(distribution, "plain", run_id)
    assert record["devices"]["cpu"] == "passed"
    expect_measurements_and_named_lines(distribution, run_id, record)


def expect_measurements_and_named_lines(distribution: Distribution, run_id: str, record: dict[str, Any]) -> None:
    """What one import on two workers has sent, and what its logs carry."""

    def arrived(metric: Metric) -> list[Any]:
        return distribution.measured.found(f"airflow.{metric.name}")

    assert [(each.tags, each.value) for each in arrived(STATUSES)] == [({"status": "Normal", "code": "none"}, 1)]
    times = {each.tags["step"]: each.tags["outcome"] for each in arrived(STEP_TIME)}
    # The sweep that is scheduled begins by itself, and sends its own.
    assert {step: outcome for step, outcome in times.items() if step not in ("plan", "report")} == {
        **dict.fromkeys(WORKER_OF, "done"),
        "smoke_gpu": "skipped",
        "smoke_ascend": "skipped",
    }
    assert all(each.value > 0 for each in arrived(STEP_TIME))
    assert {each.tags["device"] for each in arrived(DEVICE_WAIT)} == {"cpu", "gpu", "ascend"}
    assert all(0 < each.value < 300_000 for each in arrived(DEVICE_WAIT))
    assert sum(each.value for each in arrived(PACKAGE_BYTES)) == record["size_bytes"]
    assert {each.tags["layer"] for each in arrived(LAYERS)} == {"base", "dependencies", "serving"}
    assert {(each.tags["device"], each.tags["verdict"]) for each in arrived(VERDICTS)} == {
        ("cpu", "passed"),
        ("gpu", "not_served"),
        ("ascend", "not_served"),
    }
    lines = distribution.many.workers["second"].log_lines(run_id, "smoke_cpu")
    about = [line for line in lines if line.get("package_digest")]
    assert about, lines
    assert {(line["model_name"], line["model_version"], line["package_digest"]) for line in about} == {
        ("plain", "0.0.1", record["package_digest"])
    }


@pytest.mark.parametrize("worker", ["first", "second"])
def test_a_worker_killed_in_every_step_that_it_has_ends_in_one_normal_version(
    distribution: Distribution, source: str, worker: str
) -> None:
    many = distribution.many
    name = f"survivor-of-{worker}"
    run_id = many.trigger(name, source)
    # In the order of the line.
    steps = [task_id for task_id in WORKER_OF if WORKER_OF[task_id] == worker]
    for task_id in steps:
        many.until(
            lambda task_id=task_id: in_the_middle(distribution, run_id, task_id), PATIENCE_S, lambda: many.tasks(run_id)
        )
        many.kill(worker)
        many.revive(worker)
    tasks = many.until_ended(run_id)
    assert {tasks[task_id]["state"] for task_id in WORKER_OF} == {"success"}, tasks
    tries = {task_id: tasks[task_id]["try_number"] for task_id in steps}
    # What takes no time may have ended in the very moment.
    assert all(tries[task_id] == 2 for task_id in tries if task_id in ("fetch", "build", "smoke_cpu")), tries
    assert set(tries.values()) <= {1, 2}
    expect_one_version_and_nothing_else(distribution, name, run_id)


@pytest.mark.parametrize("task_id", ["fetch", "build", "smoke_cpu"])
def test_redis_may_die_and_come_back(distribution: Distribution, source: str, task_id: str) -> None:
    many = distribution.many
    name = f"redis-{task_id.replace('_', '-')}"
    run_id = many.trigger(name, source)
    many.until(lambda: in_the_middle(distribution, run_id, task_id), PATIENCE_S, lambda: many.tasks(run_id))
    distribution.redis.interrupt()
    distribution.redis.start()
    many.until_ended(run_id)
    expect_one_version_and_nothing_else(distribution, name, run_id)


@pytest.mark.parametrize("task_id", ["fetch", "build", "smoke_cpu"])
def test_postgresql_may_die_and_come_back(distribution: Distribution, source: str, task_id: str) -> None:
    many = distribution.many
    name = f"postgres-{task_id.replace('_', '-')}"
    run_id = many.trigger(name, source)
    many.until(lambda: in_the_middle(distribution, run_id, task_id), PATIENCE_S, lambda: many.tasks(run_id))
    distribution.postgres.interrupt()
    distribution.postgres.resume()
    many.until_ended(run_id)
    expect_one_version_and_nothing_else(distribution, name, run_id)


@pytest.mark.parametrize("task_id", ["fetch", "build", "smoke_cpu"])
def test_the_scheduler_may_die_and_come_back(distribution: Distribution, source: str, task_id: str) -> None:
    many = distribution.many
    name = f"scheduler-{task_id.replace('_', '-')}"
    run_id = many.trigger(name, source)
    many.until(lambda: in_the_middle(distribution, run_id, task_id), PATIENCE_S, lambda: many.tasks(run_id))
    many.kill("scheduler")
    many.revive("scheduler")
    many.until_ended(run_id)
    expect_one_version_and_nothing_else(distribution, name, run_id)
