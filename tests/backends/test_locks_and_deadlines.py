from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.deadline_stream import TimeOver, until
from airlock.adapters.file_lock import file_lock
from airlock.adapters.run_folders import RunFolders
from airlock.domain.version import RunRef
from airlock.errors import BackendUnavailable

CLOCK = SystemClock()
HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "a.lock")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_lock_that_is_held_is_waited_for_and_then_given_up(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    told: list[str] = []
    lock = file_lock(tmp_path / "a.lock", limit_s=0.5, clock=CLOCK, what="image x", tell=told.append)
    with pytest.raises(BackendUnavailable, match="BLD011"), lock:
        pytest.fail("two hold it")
    assert told == ["Waiting for another process that makes image x (0 s so far)."]


def test_a_killed_holder_frees_the_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    threading.Timer(0.4, holder.kill).start()
    with file_lock(tmp_path / "a.lock", limit_s=10, clock=CLOCK, what="x", tell=lambda line: None):
        assert holder.wait(5) != 0


def test_one_process_holds_a_lock_once_too(tmp_path: Path) -> None:
    def take() -> None:
        with file_lock(tmp_path / "a.lock", limit_s=0.3, clock=CLOCK, what="x", tell=lambda line: None):
            return

    take()
    held = file_lock(tmp_path / "a.lock", limit_s=1, clock=CLOCK, what="x", tell=lambda line: None)
    with held, pytest.raises(BackendUnavailable):
        take()
    take()


def test_items_come_through_in_order_with_the_sources_own_end() -> None:
    assert list(until(iter(range(5000)), CLOCK.monotonic() + 10, CLOCK)) == list(range(5000))

    def broken() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    items = until(broken(), CLOCK.monotonic() + 10, CLOCK)
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)


def test_a_silent_source_is_left_in_time() -> None:
    released = threading.Event()

    def silent() -> Iterator[int]:
        yield 1
        released.wait(10)

    before = time.monotonic()
    items = until(silent(), CLOCK.monotonic() + 0.3, CLOCK)
    assert next(items) == 1
    with pytest.raises(TimeOver):
        next(items)
    assert time.monotonic() - before < 1
    released.set()


def test_a_chatty_source_is_left_in_time_and_closed() -> None:
    closed = threading.Event()

    def chatty() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    with pytest.raises(TimeOver):
        for _ in until(chatty(), CLOCK.monotonic() + 0.3, CLOCK):
            pass
    assert closed.wait(5)


def test_a_source_whose_end_counts_is_read_to_its_end_after_the_time_is_over() -> None:
    ended = threading.Event()
    released = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        released.wait(10)
        yield 2

    with pytest.raises(TimeOver):
        for _ in until(slow(), CLOCK.monotonic() + 0.2, CLOCK, ended):
            pass
    assert not ended.is_set()
    released.set()
    assert ended.wait(5)


def test_a_runs_folders_are_found_by_run_and_task(short_folder: Path) -> None:
    folders = RunFolders(short_folder / "r")
    run, other = RunRef(dag_id="d", run_id="1"), RunRef(dag_id="d", run_id="2")
    cpu, gpu = folders.make(run, "smoke_cpu"), folders.make(run, "smoke_gpu")
    elsewhere = folders.make(other, "smoke_cpu")
    assert folders.found(run) == tuple(sorted((cpu, gpu)))
    assert folders.found(run, "smoke_gpu") == (gpu,)
    assert oct(cpu.stat().st_mode & 0o777) == "0o700"
    for folder in (cpu, gpu, elsewhere):
        folders.remove(folder)
    assert list((short_folder / "r" / "runs").iterdir()) == []


def test_a_folder_is_removed_whatever_a_service_made_of_it(short_folder: Path, tmp_path: Path) -> None:
    folders = RunFolders(short_folder / "r")
    folder = folders.make(RunRef(dag_id="d", run_id="1"), "t")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("stays")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "closed" / "deeper").mkdir(parents=True)
    (folder / "closed" / "deeper" / "file").touch()
    (folder / "closed" / "deeper").chmod(0)
    (folder / "closed").chmod(0o500)
    folders.remove(folder)
    assert not folder.exists()
    assert (tmp_path / "outside" / "file").read_text() == "stays"
