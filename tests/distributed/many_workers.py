"""Airflow on several workers of this machine: each with a disk and a container engine of its own, killed at will.

PostgreSQL, Redis, the object server, a registry of images and the package store are all that they share. Every part is
a process that comes back when it ends, as systemd or Compose would bring it back.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import airflow_config
from scripts.airflow_api import ENDED, AirflowApi, ApiError
from scripts.children import ChildFailed, Keeper
from scripts.local_state import ROOT, free_ports, kept_values, new_password

DAG_ID = "import_model"
GRACE_S = 20.0
START_TIMEOUT_S = 240.0
#: How long a task's worker may be silent until another try begins.
SILENCE_S = 15
#: The parts that are no workers: name → arguments.
CORE = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


@dataclass(frozen=True)
class Worker:
    """One worker.

    Attributes:
        name: Its name.
        queues: What it takes from.
        disk: All that it writes but packages and images lies here.
        engine: Its container engine, as DOCKER_HOST takes it; empty for the machine's own.
    """

    name: str
    queues: str
    disk: Path
    engine: str

    @property
    def work_dir(self) -> Path:
        """`[airlock] work_dir`. Short, because the paths of sockets are."""
        return self.disk / "w"

    def did(self, run_id: str, task_id: str) -> bool:
        """Whether it ran the task: then the log is on its disk."""
        return any(self._logs(run_id, task_id))

    def log_lines(self, run_id: str, task_id: str) -> list[dict[str, Any]]:
        """What it wrote of a task, one record a line."""
        texts = (path.read_text(encoding="utf-8") for path in self._logs(run_id, task_id))
        return [json.loads(line) for text in texts for line in text.splitlines()]

    def _logs(self, run_id: str, task_id: str) -> list[Path]:
        folder = self.disk / "logs" / f"dag_id={DAG_ID}" / f"run_id={run_id}" / f"task_id={task_id}"
        return sorted(folder.glob("attempt=*.log"))


class ManyWorkers:
    """The whole installation but its servers.

    Attributes:
        api: Airflow's REST API, signed in.
        store: The package store.
        workers: The workers by name.
    """

    def __init__(
        self,
        folder: Path,
        *,
        python: Path,
        airflow_url: str,
        registry_url: str,
        broker_url: str,
        image_repository: str,
        connection: str,
        workers: Mapping[str, tuple[str, str]],
        more: Mapping[str, str],
    ) -> None:
        """Prepares the settings.

        Args:
            folder: Where everything lies.
            python: The interpreter of the environment with Celery in it.
            airflow_url: Airflow's database.
            registry_url: Airlock's.
            broker_url: Redis.
            image_repository: `[airlock] image_repository`.
            connection: The Connection to the object server, as JSON.
            workers: Name → queues, engine.
            more: Further variables of every process.
        """
        self.store = folder / "store"
        self._folder = folder
        self._python = python
        self._registry_url = registry_url
        (port,) = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        passwords = folder / "passwords.json"
        password = kept_values(passwords, {airflow_config.USER: new_password})[airflow_config.USER]
        self.api = AirflowApi(url, airflow_config.USER, password)
        shared = {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__CELERY__BROKER_URL": broker_url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{airflow_url}",
            # What a worker has taken it begins: else a killed one would hold messages that it never looked at.
            "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": '{"worker_disable_prefetch": true}',
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__AIRLOCK__BACKEND": "docker",
            "AIRFLOW__AIRLOCK__STORE": str(self.store),
            "AIRFLOW__AIRLOCK__REPORTS": str(folder / "reports"),
            "AIRFLOW__AIRLOCK__REGISTRY_URL": registry_url,
            "AIRFLOW__AIRLOCK__IMAGE_REPOSITORY": image_repository,
            "AIRFLOW__AIRLOCK__JUDGE_REFUSED": "false",
            "AIRFLOW_CONN_AIRLOCK_S3": connection,
            **more,
        }
        self._core = {
            **shared,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{airflow_config.USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow_url,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": airflow_url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(SILENCE_S),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            # A message that a worker took in the moment of its death is sent again after this time.
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
        }
        self._shared = shared
        self.workers = {name: Worker(name, queues, folder / name, engine) for name, (queues, engine) in workers.items()}
        self._keeper = Keeper(GRACE_S)
        self._starts: dict[str, int] = {}
        self._pids: dict[str, int] = {}
        self._down: set[str] = set()

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Make both databases' tables and start everything; returns when an import can be started."""
        env = self._environment(self._folder / "core", self._core)
        self._keeper.start("registry", self._argv("airlock", "registry", "upgrade"), env=env, log=self._log("registry"))
        # The logs are gone when pytest asks an error for its text.
        with self._telling():
            self._start(env)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except ChildFailed as error:
            raise AssertionError(str(error)) from None

    def _start(self, env: Mapping[str, str]) -> None:
        self._keeper.run("migrate", self._argv("airflow", "db", "migrate"), env=env, log=self._log("migrate"))
        self._keeper.expect_success("registry", START_TIMEOUT_S)
        for name in (*CORE, *self.workers):
            self.revive(name)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.api.warm_up()
                self.api.wait_for_dag(DAG_ID, START_TIMEOUT_S)
                break
            except OSError:
                assert time.monotonic() < deadline, self._log("api-server").read_text()[-4000:]
                time.sleep(0.5)
        pools = json.loads((ROOT / "include" / "pools.json").read_text(encoding="utf-8"))
        for name, pool in pools.items():
            self.api.make_pool(name, pool["slots"], pool["description"])

    def stop(self) -> None:
        """End everything."""
        self._keeper.stop()

    def kill(self, name: str) -> None:
        """SIGKILL to a part and to all that it started, as when its machine loses power; it stays away."""
        self._down.add(name)
        group = list(_descendants(self._pids[name]))
        for pid in (self._pids[name], *group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._keeper.wait(self._key(name), 30)

    def revive(self, name: str) -> None:
        """Start a part, again or for the first time."""
        self._down.discard(name)
        self._starts[name] = self._starts.get(name, 0) + 1
        if name in CORE:
            env, arguments = self._environment(self._folder / "core", self._core), CORE[name]
        else:
            worker = self.workers[name]
            own = {
                **self._shared,
                "AIRFLOW__AIRLOCK__WORK_DIR": str(worker.work_dir),
                # Nothing that Airflow gives a worker of the same name on another machine.
                "TMPDIR": str(worker.disk / "t"),
                **({"DOCKER_HOST": worker.engine} if worker.engine else {}),
            }
            (worker.disk / "t").mkdir(parents=True, exist_ok=True)
            env = self._environment(worker.disk, own)
            arguments = (
                "celery", "worker", "--skip-serve-logs", "--queues", worker.queues, "--concurrency", "2",
                "--celery-hostname", f"{name}@%h", "--pid", str(worker.disk / f"worker-{self._starts[name]}.pid"),
            )  # fmt: skip
        self._pids[name] = self._keeper.start(
            self._key(name), self._argv("airflow", *arguments), env=env, log=self._log(name)
        )

    def look_after(self) -> None:
        """Start again whatever has ended by itself."""
        for name in self._starts:
            if name not in self._down and self._keeper.wait(self._key(name), 0) is not None:
                self.revive(name)

    def _key(self, name: str) -> str:
        return f"{name}-{self._starts[name]}"

    def _log(self, name: str) -> Path:
        return self._folder / "output" / f"{name}.log"

    def _argv(self, module: str, *arguments: str) -> list[str]:
        return [str(self._python), "-m", module, *arguments]

    def _environment(self, home: Path, more: Mapping[str, str]) -> dict[str, str]:
        home.mkdir(parents=True, exist_ok=True)
        env = airflow_config.environment(home, home, dict(more))
        env["PATH"] = os.pathsep.join([str(self._python.parent), env["PATH"]])
        return env

    # ── imports ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def trigger(self, name: str, source: str) -> str:
        """Start an import and return its run."""
        return self.api.trigger(DAG_ID, {"model_name": name, "source_location": source}, f"run-{name}")

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The tasks of a run by name; empty while Airflow does not answer."""
        with contextlib.suppress(ApiError, OSError):
            return {task["task_id"]: task for task in self.api.task_instances(DAG_ID, run_id)}
        return {}

    def state(self, run_id: str, task_id: str) -> str:
        """The state of a task, `` while it has none or nobody answers."""
        return self.tasks(run_id).get(task_id, {}).get("state") or ""

    def until(
        self, condition: Callable[[], Any], timeout_s: float, about: Callable[[], Any] = str, poll_s: float = 0.05
    ) -> Any:
        """Wait for a condition, bringing back what ends meanwhile, and return its value."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < deadline, about()
            self.look_after()
            time.sleep(0.05)
        return value

    def until_ended(self, run_id: str, timeout_s: float = 900) -> dict[str, dict[str, Any]]:
        """Wait for a run's end and return its tasks."""

        def is_over() -> bool:
            with contextlib.suppress(ApiError, OSError):
                return self.api.run_of(DAG_ID, run_id)["state"] in ENDED
            return False

        # What is asked meanwhile takes processor time from the import.
        self.until(is_over, timeout_s, lambda: {name: each["state"] for name, each in self.tasks(run_id).items()}, 0.5)
        return self.tasks(run_id)

    def versions(self, name: str) -> list[Any]:
        """What the registry has of a model, with history."""
        from airlock.adapters.clock import SystemClock
        from airlock.adapters.registry_reads import SqlRegistryReader
        from airlock.adapters.registry_schema import open_engine
        from airlock.domain.registered import Page, VersionFilter

        engine = open_engine(self._registry_url)
        try:
            registry = SqlRegistryReader(engine, SystemClock())
            found = registry.versions(VersionFilter(model_name=name), Page()).items
            return [registry.find(name, each.model_version) for each in found]
        finally:
            engine.dispose()


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                yield child
                yield from _descendants(child)
