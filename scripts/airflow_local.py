"""Airflow on this machine under one supervisor, which leaves nothing behind.

`airflow standalone` is no base for this: it orphans its processes on SIGTERM, does not notice that one of them died,
and listens on all interfaces.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from scripts import airflow_config, bootstrap
from scripts.airflow_api import AirflowApi, ApiError, moment
from scripts.children import ChildFailed, Keeper
from scripts.local_state import (
    ROOT,
    VENV,
    VENV_PYTHON,
    LocalError,
    claim,
    claim_port,
    private_dir,
    process_birth,
    read_json,
    state_dir,
    write_private,
)

CONNECTION_VARIABLE = "AIRFLOW_CONN_AIRLOCK_S3"
FIRST_PORT = 8080
# A cold start compiles every module once; the rest of the time is for a slow or busy machine.
START_TIMEOUT_S = 240.0
# A task that is asked to end stops its container or server first.
GRACE_S = 10.0
COMPONENTS: dict[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # The page reads logs from the disk; the log servers would listen on all interfaces.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
# The scheduler waits for tasks that clean up. The others have nothing to save, and Python may take seconds to take
# them apart after their last word.
SHORT_GRACE_S = 2.5
# Asked itself, its child ends before it listens for that end, and it waits ten seconds for what has happened. The
# scheduler's task processes must be asked, on the other hand: it would wait for them to finish their work.
ENDS_ITS_OWN_CHILDREN = ("triggerer",)
HEARTBEATS = {
    "scheduler": "latest_scheduler_heartbeat",
    "dag_processor": "latest_dag_processor_heartbeat",
    "triggerer": "latest_triggerer_heartbeat",
}


class AlreadyRunning(LocalError):
    """Another supervisor uses the same state folder; the message names its process."""


class AirflowLocal:
    """Airflow's four processes and their tasks as children of this process.

    Attributes:
        home: AIRFLOW_HOME.
        url: The page's address, known after start().
        env: The environment of the Airflow processes, known after start().
        launched_at: When its processes were started.
    """

    def __init__(
        self,
        *,
        state: Path | None = None,
        dags_folder: Path = ROOT / "dags",
        plugins_folder: Path = ROOT / "plugins",
        port: int | None = None,
        parallelism: int = 4,
        extra_env: dict[str, str] | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        """Prepares nothing yet.

        Args:
            state: Folder of everything that the run makes, `.airlock` by default.
            dags_folder: Where the DAG files are.
            plugins_folder: Where the plugin file is.
            port: Port of the API server on 127.0.0.1; 8080 or the next free one when None.
            parallelism: Task processes at most.
            extra_env: Variables for the Airflow processes, connections for instance.
            grace_s: Seconds from the request to end to SIGKILL.
        """
        self.state = (state or state_dir()).absolute()
        self.home = self.state / "airflow"
        self.url = ""
        self.env: dict[str, str] = {}
        self.launched_at = datetime.min.replace(tzinfo=UTC)
        self._dags_folder = dags_folder
        self._plugins_folder = plugins_folder
        self._port = port
        self._parallelism = parallelism
        self._extra_env = dict(extra_env or {})
        self._locks: list[int] = []
        self._stopping = threading.Lock()
        self._keeper = Keeper(grace_s)

    def __enter__(self) -> AirflowLocal:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log_dir(self) -> Path:
        """Folder of one log per process."""
        return self.state / "logs" / "airflow"

    def start(self) -> None:
        """Migrates both databases, starts the processes, and returns when Airflow reports all of them healthy.

        Raises:
            AlreadyRunning: Another supervisor uses this state folder.
            ChildFailed: A migration failed or a process ended; the message has the end of its log.
        """
        self.prepare()
        self.launch()

    def prepare(self) -> None:
        """The first half of start(): configuration and databases."""
        try:
            self.claim()
            port, lock = claim_port(self._port, 1) if self._port else claim_port(FIRST_PORT)
            self._locks.append(lock)
            self._keeper.hold(lock)
            self.url = f"http://127.0.0.1:{port}"
            airflow_config.write(
                self.home,
                self.state,
                port=port,
                dags_folder=self._dags_folder,
                plugins_folder=self._plugins_folder,
                parallelism=self._parallelism,
            )
            self.env = airflow_config.environment(self.home, self.state, self._extra_env)
            self._write_record()
            self._migrate()
        except BaseException:
            self.stop()
            raise

    def launch(self, extra_env: dict[str, str] | None = None) -> None:
        """The second half of start(): the processes.

        Args:
            extra_env: More variables for the processes, known only now.
        """
        try:
            self.env.update(extra_env or {})
            self.launched_at = datetime.now(UTC)
            for name, arguments in COMPONENTS.items():
                self._keeper.start(
                    name,
                    [VENV_PYTHON, "-m", "airflow", *arguments],
                    env=self.env,
                    log=self._log(name),
                    ask_group=name not in ENDS_ITS_OWN_CHILDREN,
                    grace_s=GRACE_S if name == "scheduler" else SHORT_GRACE_S,
                )
            self._wait_until_healthy(self.launched_at)
            self._make_pools()
        except BaseException:
            self.stop()
            raise

    def _make_pools(self) -> None:
        """Makes the pools that the test tasks wait in, with slots for what this machine has."""
        cpus = len(os.sched_getaffinity(0))
        slots = {
            "airlock_cpu": max(1, cpus // 2),
            "airlock_gpu": len(list(Path("/dev").glob("nvidia[0-9]*"))),
            "airlock_ascend": len(list(Path("/dev").glob("davinci[0-9]*"))),
        }
        pools: dict[str, dict[str, Any]] = json.loads((ROOT / "include" / "pools.json").read_text(encoding="utf-8"))
        api = self.api()
        for name, pool in pools.items():
            # One slot at least: a task without its device is skipped, and must run for that.
            api.make_pool(name, max(1, slots.get(name, pool["slots"])), pool["description"])

    def stop(self) -> None:
        """Ends Airflow and every task; returns when no process is left."""
        self._keeper.stop()
        # A start in one thread and a stop in another may both come here.
        with self._stopping:
            locks, self._locks = self._locks, []
        if locks:
            (self.home / "supervisor.json").unlink(missing_ok=True)
        for lock in locks:
            os.close(lock)

    def check(self) -> None:
        """Raises ChildFailed when one of Airflow's processes has ended."""
        self._keeper.check(list(COMPONENTS))

    def wait(self, timeout_s: float) -> None:
        """Waits; raises ChildFailed as soon as one of Airflow's processes has ended."""
        self._keeper.wait_any(list(COMPONENTS), timeout_s)

    def api(self) -> AirflowApi:
        """Returns a client of its REST API, signed in as the page's user."""
        password = read_json(airflow_config.password_file(self.home))[airflow_config.USER]
        return AirflowApi(self.url, airflow_config.USER, password)

    def _log(self, name: str) -> Path:
        log = self.log_dir / f"{name}.log"
        log.unlink(missing_ok=True)
        return log

    def claim(self) -> None:
        """Makes sure that no other supervisor uses the state folder; start() does it, too.

        Raises:
            AlreadyRunning: One does.
        """
        if self._locks:
            return
        private_dir(self.home)
        lock = claim(self.home / "supervisor.lock")
        if lock is None:
            running = read_json(self.home / "supervisor.json") or {}
            who = f"process {running['pid']}, {running['url']}" if running else "just starting or stopping"
            raise AlreadyRunning(f"Airflow is already running from {self.home} ({who}); `make down` stops it")
        self._locks.append(lock)
        # The keeper holds the claim, too: when this process is killed, it is free only after the last child is gone.
        self._keeper.hold(lock)

    def _write_record(self) -> None:
        record = {"pid": os.getpid(), "born": process_birth(os.getpid()), "url": self.url}
        write_private(self.home / "supervisor.json", json.dumps(record) + "\n")

    def _migrate(self) -> None:
        """Brings Airflow's and the registry's tables up to date, both at once."""
        names = ["registry-upgrade"]
        self._keeper.start(
            "registry-upgrade",
            [VENV_PYTHON, "-m", "airlock", "registry", "upgrade"],
            env=self.env,
            log=self._log("registry-upgrade"),
        )
        # The tables depend on the installed Airflow alone, and looking costs seconds.
        installed = hashlib.sha256((VENV / bootstrap.STAMP).read_bytes()).hexdigest()
        stamp = self.home / "migrated.json"
        if read_json(stamp) != installed or not (self.home / "airflow.db").exists():
            self._keeper.start(
                "db-migrate", [VENV_PYTHON, "-m", "airflow", "db", "migrate"], env=self.env, log=self._log("db-migrate")
            )
            names.append("db-migrate")
        for name in names:
            self._keeper.expect_success(name, START_TIMEOUT_S)
        write_private(stamp, json.dumps(installed) + "\n")

    def _wait_until_healthy(self, since: datetime) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        # Signed in: on a machine where another Airflow took the port, that one is healthy, too.
        api = self.api()
        sick = ["api-server"]
        is_warm = False
        while time.monotonic() < deadline:
            self.wait(0.2)
            try:
                if not is_warm:
                    api.warm_up()
                    is_warm = True
                sick = _sick(api.health(), since)
            except (OSError, ApiError, ValueError):
                continue
            if not sick:
                return
        name = sick[0].replace("_", "-")
        log = self.log_dir / f"{name if name in COMPONENTS else 'api-server'}.log"
        raise ChildFailed(name, f"was not healthy within {START_TIMEOUT_S:.0f} s", log)


def _sick(report: dict[str, dict[str, Any]], since: datetime) -> list[str]:
    """Returns the parts that are not healthy, or healthy only by the heartbeat of an earlier start."""
    found = []
    for part in ("metadatabase", *HEARTBEATS):
        status = report.get(part) or {}
        beat = status.get(HEARTBEATS.get(part, ""))
        fresh = part not in HEARTBEATS or (beat is not None and moment(beat) >= since)
        if status.get("status") != "healthy" or not fresh:
            found.append(part)
    return found
