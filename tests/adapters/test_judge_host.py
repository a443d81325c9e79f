"""The process that judges for all tasks of a user on one host: shared, and gone when it is not needed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.expectations import ExpectationSuites
from airlock.adapters.judge_host import JudgeHost
from airlock.errors import BackendUnavailable, SettingInvalid
from tests.conftest import ROOT

SUITES = ROOT / "include" / "specs" / "expectations"
CLOCK = SystemClock()
ROWS = [{"path": "config.json", "bytes": 3}]
#: A host whose judge says at once that there is nothing wrong.
QUICK_HOST = """
import pathlib, socket, sys
from airlock.adapters import expectations_worker
expectations_worker.judge = lambda suite, rows: []
expectations_worker.LOOK_S = 0.05
path = pathlib.Path(sys.argv[1])
listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listening.bind(str(path))
listening.listen(8)
own = expectations_worker.number_of(path)
print("listening", flush=True)
expectations_worker.serve(listening, path, own, float(sys.argv[2]))
"""


def processes(folder: Path) -> dict[int, int]:
    """Number and parent of each process that judges from a folder."""
    found = {}
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (each / "cmdline").read_bytes():
                found[int(each.name)] = int((each / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return found


def hosts(folder: Path) -> list[int]:
    """Those of them that are no other's child."""
    found = processes(folder)
    return [number for number, parent in found.items() if parent not in found]


def until(true: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_two_tasks_share_one_process_and_the_end_of_one_is_not_the_others(tmp_path: Path) -> None:
    # The path of a socket has 107 bytes at most.
    folder = tmp_path / ("x" * 120) / "judge"
    suites = ExpectationSuites(SUITES, JudgeHost(folder, 60), CLOCK)
    seen: list[int] = []

    def one_task() -> None:
        with suites.judging() as judge:
            judge.ready()
            seen.extend(hosts(folder))

    tasks = [threading.Thread(target=one_task) for _ in range(2)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert len(seen) == 2
    assert seen[0] == seen[1]

    began = time.monotonic()
    with suites.judging() as lasting:
        lasting.ready()
        assert time.monotonic() - began < 2, "nothing is imported again"
        first = {number for number, parent in processes(folder).items() if parent == seen[0]}
        with suites.judging() as broken:
            broken.ready()
            for number, parent in processes(folder).items():
                if parent == seen[0] and number not in first:
                    os.kill(number, signal.SIGKILL)
            with pytest.raises(BackendUnavailable, match="EXP001"):
                broken.judge("answers", ROWS)
        assert hosts(folder) == seen[:1]
        with pytest.raises(SettingInvalid, match="EXP002"):
            lasting.judge("answers", ROWS)

    # Whoever removes its folder has ended it.
    shutil.rmtree(folder)
    until(lambda: not processes(folder), 10)


def quick_host(folder: Path, idle_s: float) -> tuple[subprocess.Popen[str], Path]:
    folder.mkdir(mode=0o700)
    path = folder / "s"
    process = subprocess.Popen(
        [sys.executable, "-c", QUICK_HOST, str(path), str(idle_s)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    return process, path


def test_it_ends_when_nobody_came_for_a_while_and_not_while_a_task_is_connected(tmp_path: Path) -> None:
    process, path = quick_host(tmp_path / "judge", 0.3)
    with process:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as task:
            task.connect(str(path))
            assert task.recv(100) == b'{"ready": true}\n'
            time.sleep(1)
            assert process.poll() is None
            task.sendall(b'{"suite": {}, "rows": []}\n')
            assert task.recv(100) == b'{"results": []}\n'
        assert process.wait(5) == 0
    assert not path.exists()


def test_it_ends_when_another_one_has_its_place(tmp_path: Path) -> None:
    process, path = quick_host(tmp_path / "judge", 60)
    with process:
        path.rename(path.with_name("kept"))
        path.touch()
        assert process.wait(5) == 0
    assert path.exists()


def test_a_folder_that_others_may_read_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(SettingInvalid, match=r"EXP003.*judge_dir"):
        JudgeHost(tmp_path, 60).connect()
    assert list(tmp_path.iterdir()) == []
