"""Airflow starts for real and, whichever way it is ended, leaves no process and no port behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.airflow_local import AirflowLocal
from tests.platform.processes import Command, is_closed, listening_sockets, wait_until

READY_S = 200.0
END_S = 45.0
# A task whose process has a child in a session of its own, as the sandbox of a smoke test is.
BUSY_DAG = """
import subprocess
from airflow.sdk import DAG, BaseOperator

class Wait(BaseOperator):
    def execute(self, context):
        subprocess.run(["sleep", "600"], start_new_session=True)

with DAG("busy", schedule=None):
    Wait(task_id="wait")
"""

Start = Callable[..., Command]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dags")


def start_airflow(command: Start, dags: Path) -> Command:
    return command("scripts.local_run", "up", "--no-storage", "--dags", str(dags))


def port_of(airflow: Command) -> int:
    page = next(line for line in airflow.text().splitlines() if line.startswith("page"))
    return int(page.rsplit(":", 1)[1])


def test_sigterm_in_the_middle_of_a_task_ends_airflow_and_the_task(command: Start, state: Path, dags: Path) -> None:
    (dags / "busy.py").write_text(BUSY_DAG, encoding="utf-8")
    airflow = start_airflow(command, dags)
    airflow.wait_for("page", READY_S)
    port = port_of(airflow)
    local = AirflowLocal(state=state)
    local.url = f"http://127.0.0.1:{port}"
    api = local.api()
    assert {part["status"] for part in api.health().values()} == {"healthy"}
    assert {address for address, _ in listening_sockets(airflow.processes())} == {"0100007F"}
    api.wait_for_dag("busy", 60)
    api.trigger("busy", {})
    assert wait_until(lambda: airflow.runs("sleep 600"), 60)

    airflow.process.send_signal(signal.SIGTERM)

    assert airflow.end(END_S) == 0
    assert airflow.left() == []
    assert is_closed(port)


def test_ctrl_c_twice_during_the_start_leaves_nothing(command: Start, state: Path, dags: Path) -> None:
    airflow = start_airflow(command, dags)
    assert wait_until(lambda: airflow.runs("api_server"), READY_S)

    airflow.process.send_signal(signal.SIGINT)
    wait_until(lambda: "stopping" in airflow.text(), 10)
    wait_until(lambda: False, 0.7)
    airflow.process.send_signal(signal.SIGINT)

    assert airflow.end(15) == 0
    assert airflow.left() == []


def test_the_death_of_one_part_ends_the_others_and_is_reported(command: Start, state: Path, dags: Path) -> None:
    airflow = start_airflow(command, dags)
    airflow.wait_for("page", READY_S)
    port = port_of(airflow)

    triggerer = min(process.pid for process in airflow.processes() if "airflow triggerer" in process.line())
    os.kill(triggerer, signal.SIGKILL)

    assert airflow.end(END_S) == 1
    assert "triggerer was ended by SIGKILL" in airflow.text()
    assert airflow.left() == []
    assert is_closed(port)


def test_a_second_supervisor_is_refused_down_stops_the_first_and_a_killed_one_leaves_nothing(
    command: Start, state: Path, dags: Path
) -> None:
    airflow = start_airflow(command, dags)
    wait_until(lambda: airflow.runs("api_server"), READY_S)

    second = start_airflow(command, dags)
    assert second.end(30) == 1
    assert "Airflow is already running" in second.text()

    os.kill(airflow.process.pid, signal.SIGKILL)

    # `down` waits for what the killed supervisor left, which its keeper is just ending.
    down = command("scripts.local_run", "down")
    assert down.end(END_S) == 0
    assert airflow.left() == []
