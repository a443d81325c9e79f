"""Airflow on this machine under one supervisor, which leaves nothing behind.

    python -m scripts.airflow_local up         object server and Airflow in the foreground, until Ctrl-C
    python -m scripts.airflow_local down       stops what another terminal's `up` runs

`airflow standalone` is no base for this: it orphans its processes on SIGTERM, does not notice that one of them died,
and listens on all interfaces.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from scripts import airflow_config, bootstrap
from scripts.airflow_api import AirflowApi, ApiError, moment
from scripts.children import ChildFailed, Interrupted, Keeper, interruptible
from scripts.local_state import (
    ROOT,
    VENV,
    VENV_PYTHON,
    LocalError,
    claim,
    claim_port,
    private_dir,
    read_json,
    state_dir,
    write_private,
)
from scripts.object_server import ObjectServer

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
        self.launched_at = datetime.min.replace(tzinfo=timezone.utc)
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
            self.launched_at = datetime.now(timezone.utc)
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
        except BaseException:
            self.stop()
            raise

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


def process_birth(pid: int) -> str | None:
    """Returns what tells a process from a later one with the same id, None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    if sys.platform == "linux":
        return None
    import subprocess

    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout.strip() or None


def up(port: int | None = None, dags_folder: Path = ROOT / "dags", with_storage: bool = True) -> int:
    """Runs Airflow, and the object server unless storage is elsewhere, until a signal or the death of a part.

    Args:
        port: Port of the page; 8080 or the next free one when None.
        dags_folder: Where the DAG files are.
        with_storage: Whether to run an object server; the variable AIRFLOW_CONN_AIRLOCK_S3 names another one.

    Returns:
        The exit code: 0 after SIGINT and SIGTERM, which are the way to end it.
    """
    try:
        with interruptible():
            bootstrap.sync_environment(VENV, bootstrap.LOCK)
            airflow = AirflowLocal(port=port, dags_folder=dags_folder)
            server = ObjectServer(state_dir() / "object-server" / "state")
            try:
                own_storage = with_storage and CONNECTION_VARIABLE not in os.environ
                bootstrap.say("starting the object server and Airflow" if own_storage else "starting Airflow")
                airflow.claim()
                if own_storage:
                    server.start()
                airflow.prepare()
                airflow.launch({CONNECTION_VARIABLE: server.airflow_connection_json()} if own_storage else None)
                bootstrap.say(f"page         {airflow.url}")
                bootstrap.say(f"user         {airflow_config.USER}")
                bootstrap.say(f"password     in {airflow_config.password_file(airflow.home)}")
                if own_storage:
                    bootstrap.say(f"storage      {server.endpoint_url}, Airflow connection airlock_s3")
                    bootstrap.say(f"storage keys in {server.state_dir / 'credentials.json'}")
                bootstrap.say(f"logs         {airflow.log_dir}")
                bootstrap.say("Ctrl-C, or `make down` in another terminal, stops it")
                while True:
                    airflow.wait(1)
                    if own_storage:
                        server.check()
            finally:
                bootstrap.say("stopping")
                with ThreadPoolExecutor(2) as pool:
                    list(pool.map(lambda part: part.stop(), (airflow, server)))
    except Interrupted as interrupted:
        # An end that was asked for is a good end of a program that runs until then.
        return 0 if interrupted.signum in (signal.SIGINT, signal.SIGTERM) else interrupted.exit_code
    except (LocalError, OSError) as error:
        print(f"airlock: {error}", file=sys.stderr)
        return 1


def down(timeout_s: float = 60.0) -> int:
    """Stops the supervisor that another terminal runs, and returns when everything is gone."""
    home = state_dir() / "airflow"
    record = read_json(home / "supervisor.json")
    if not home.exists() or _is_unclaimed(home):
        print("Airflow is not running")
        return 0
    if record and process_birth(record["pid"]) == record["born"]:
        print(f"stopping process {record['pid']}")
        os.kill(record["pid"], signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while not _is_unclaimed(home):
        if time.monotonic() > deadline:
            print(
                f"it is still running after {timeout_s:.0f} s; its logs: {state_dir() / 'logs' / 'airflow'}",
                file=sys.stderr,
            )
            return 1
        time.sleep(0.1)
    print("stopped")
    return 0


def _is_unclaimed(home: Path) -> bool:
    lock = claim(home / "supervisor.lock")
    if lock is None:
        return False
    os.close(lock)
    return True


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m scripts.airflow_local", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    up_parser = commands.add_parser("up", help="run in the foreground")
    up_parser.add_argument(
        "--port", type=int, help="port of the page on 127.0.0.1 (default: 8080 or the next free one)"
    )
    up_parser.add_argument("--dags", type=Path, default=ROOT / "dags", help="folder of the DAG files")
    up_parser.add_argument("--no-storage", action="store_true", help="without the object server")
    commands.add_parser("down", help="stop what another terminal runs")
    arguments = parser.parse_args()
    if arguments.command == "down":
        return down()
    return up(arguments.port, arguments.dags.absolute(), not arguments.no_storage)


if __name__ == "__main__":
    sys.exit(main())
