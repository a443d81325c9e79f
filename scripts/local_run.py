"""Object server and Airflow for as long as a terminal keeps them: `make up` and `make down`.

python -m scripts.local_run up         object server and Airflow in the foreground, until Ctrl-C
python -m scripts.local_run down       stops what another terminal's `up` runs
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts import airflow_config, bootstrap
from scripts.airflow_config import BACKEND_VARIABLE, BACKENDS, WITHOUT_ISOLATION
from scripts.airflow_local import CONNECTION_VARIABLE, AirflowLocal
from scripts.children import Interrupted, interruptible
from scripts.local_state import ROOT, VENV, LocalError, claim, process_birth, read_json, state_dir
from scripts.object_server import ObjectServer


def up(
    port: int | None = None,
    dags_folder: Path = ROOT / "dags",
    with_storage: bool = True,
    backend: str | None = None,
) -> int:
    """Runs Airflow, and the object server unless storage is elsewhere, until a signal or the death of a part.

    Args:
        port: Port of the page; 8080 or the next free one when None.
        dags_folder: Where the DAG files are.
        with_storage: Whether to run an object server; the variable AIRFLOW_CONN_AIRLOCK_S3 names another one.
        backend: What runs the models, of `BACKENDS`; what the environment says when None.

    Returns:
        The exit code: 0 after SIGINT and SIGTERM, which are the way to end it.
    """
    try:
        with interruptible():
            bootstrap.sync_environment(VENV, bootstrap.LOCK)
            if backend == "process":
                bootstrap.say(WITHOUT_ISOLATION)
            chosen = {BACKEND_VARIABLE: backend} if backend else None
            airflow = AirflowLocal(port=port, dags_folder=dags_folder, extra_env=chosen)
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
    parser = argparse.ArgumentParser(prog="python -m scripts.local_run", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    up_parser = commands.add_parser("up", help="run in the foreground")
    up_parser.add_argument(
        "--port", type=int, help="port of the page on 127.0.0.1 (default: 8080 or the next free one)"
    )
    up_parser.add_argument("--dags", type=Path, default=ROOT / "dags", help="folder of the DAG files")
    up_parser.add_argument("--backend", choices=BACKENDS, help="what runs the models (default: auto)")
    up_parser.add_argument("--no-storage", action="store_true", help="without the object server")
    commands.add_parser("down", help="stop what another terminal runs")
    arguments = parser.parse_args()
    if arguments.command == "down":
        return down()
    return up(arguments.port, arguments.dags.absolute(), not arguments.no_storage, arguments.backend)


if __name__ == "__main__":
    sys.exit(main())
