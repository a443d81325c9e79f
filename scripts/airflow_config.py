"""The configuration of the Airflow that runs on this machine: one file, readable by its owner only."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from scripts.bootstrap import clean_environment
from scripts.local_state import ROOT, VENV, kept_values, new_password, private_dir, write_private

USER = "admin"
BACKENDS = ("auto", "docker", "process")
BACKEND_VARIABLE = "AIRFLOW__AIRLOCK__BACKEND"
WITHOUT_ISOLATION = "WITHOUT ISOLATION: the process backend runs the models' code as you, with your rights"


def write(
    home: Path,
    state: Path,
    *,
    port: int,
    dags_folder: Path,
    plugins_folder: Path,
    parallelism: int,
) -> None:
    """Writes airflow.cfg, the generated secrets that go into it, and the password file.

    A file and not variables: whatever a task starts inherits the environment, and `airflow` on the command line
    finds the same settings with AIRFLOW_HOME alone.

    Args:
        home: AIRFLOW_HOME.
        state: Folder of Airlock's own files.
        port: Port of the API server on 127.0.0.1.
        dags_folder: Where the DAG files are.
        plugins_folder: Where the plugin file is.
        parallelism: Task processes at most.
    """
    private_dir(home)
    secret = kept_values(
        home / "secrets.json",
        {
            "fernet_key": lambda: base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "jwt_secret": lambda: secrets.token_hex(64),
            "api_secret_key": lambda: secrets.token_hex(32),
        },
    )
    # The auth manager's own file format: user name to password.
    kept_values(password_file(home), {USER: new_password})
    url = f"http://127.0.0.1:{port}"
    airlock = "\n".join(f"{name} = {value}" for name, value in airlock_settings(state).items())
    write_private(
        home / "airflow.cfg",
        f"""# Written at every start by scripts/airflow_config.py.
[core]
executor = LocalExecutor
parallelism = {parallelism}
dags_folder = {dags_folder}
plugins_folder = {plugins_folder}
load_examples = False
dags_are_paused_at_creation = False
simple_auth_manager_users = {USER}:admin
simple_auth_manager_passwords_file = {password_file(home)}
fernet_key = {secret["fernet_key"]}
execution_api_server_url = {url}/execution/
# The name of this machine may not resolve, and asking for it may take seconds.
hostname_callable = socket.gethostname

[database]
# Who finds the file locked waits so many seconds. Five, the default, is less than the API server's first request takes.
# But where the API server waits so in its event loop, as it does to note who triggered a run, what holds the lock may
# be waiting for that loop: nothing goes on until this time is over, and then the request is sent again.
sql_alchemy_conn = sqlite:///{home / "airflow.db"}?timeout=20

[api]
host = 127.0.0.1
port = {port}
base_url = {url}
workers = 1
secret_key = {secret["api_secret_key"]}
expose_config = False

[api_auth]
jwt_secret = {secret["jwt_secret"]}

[scheduler]
# With one second, seven short tasks in a row take four times as long.
scheduler_idle_sleep_time = 0.1
# Runs that an earlier start left behind are noticed soon.
task_instance_heartbeat_timeout = 60

[workers]
min_heartbeat_interval = 1

[dag_processor]
# An edited DAG file shows after seconds; an unchanged one is not worth the processor time of parsing it often.
refresh_interval = 10
min_file_process_interval = 60

[usage_data_collection]
enabled = False

[airlock]
{airlock}
""",
    )


def airlock_settings(state: Path) -> dict[str, str]:
    """Returns Airlock's own settings for a run on this machine."""
    return {
        "store": str(state / "store"),
        "registry_url": f"sqlite:///{state / 'registry.db'}",
        "runtimes_dir": str(state / "runtimes"),
        "work_dir": str(state / "work"),
        "judge_dir": str(state / "judge"),
        # The supervisor makes the pools as soon as the API answers.
        "device_pools": "true",
    }


def password_file(home: Path) -> Path:
    """Returns the file with the password of the page's user."""
    return home / "passwords.json"


def environment(home: Path, state: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    """Returns the environment of every Airflow process and of `python -m airlock`.

    Settings of another Airflow on this machine do not get in: with its database in a variable, `db migrate` would
    change that one. Airlock's own section, connections and variables do.

    Args:
        home: AIRFLOW_HOME.
        state: Folder of Airlock's own files.
        more: What to add, over everything else.
    """
    env = {
        name: value
        for name, value in clean_environment().items()
        if name.startswith("AIRFLOW__AIRLOCK__")
        or (not name.startswith(("AIRFLOW__", "_AIRFLOW_")) and name not in ("AIRFLOW_HOME", "AIRFLOW_CONFIG"))
    }
    for name, value in airlock_settings(state).items():
        # In variables, too: `python -m airlock` reads no Airflow configuration.
        env.setdefault(f"AIRFLOW__AIRLOCK__{name.upper()}", value)
    env["AIRFLOW_HOME"] = str(home)
    # The package `airlock` lies in plugins/, `include.*` in the root.
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    env["PATH"] = os.pathsep.join([str(VENV / "bin"), env.get("PATH", os.defpath)])
    env["DO_NOT_TRACK"] = "1"
    env["GX_ANALYTICS_ENABLED"] = "False"
    env.update(more or {})
    return env
