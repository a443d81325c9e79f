"""Runs the project's commands as a user does, and looks for the processes and ports that they leave behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.keeper import descendants
from scripts.local_state import ROOT, process_birth


class Process(NamedTuple):
    """One process; the birth tells it from a later one with the same id."""

    pid: int
    birth: str

    def is_alive(self) -> bool:
        """Tells whether it still runs."""
        return process_birth(self.pid) == self.birth and "Z" not in _state_of(self.pid)

    def line(self) -> str:
        """Returns its command line, empty when it is gone."""
        try:
            return Path(f"/proc/{self.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            return ""


def _state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def tree(root: int) -> set[Process]:
    """Returns the process with this id and all that descend from it."""
    found = ((pid, process_birth(pid)) for pid in [root, *descendants(root)])
    return {Process(pid, birth) for pid, birth in found if birth is not None}


def processes_of(folder: Path) -> set[Process]:
    """Returns every process, whatever its parent, that has the folder in its environment or command line.

    Those that overwrote their environment with a title of their own, as some of Airflow's do, are not found.
    """
    mark = str(folder).encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            birth = process_birth(int(entry.name))
            if mark in text and birth is not None:
                found.add(Process(int(entry.name), birth))
    return found


def listening_sockets(processes: set[Process]) -> set[tuple[str, int]]:
    """Returns the addresses (in the kernel's notation) and ports on which these processes listen."""
    inodes = set()
    for process in processes:
        try:
            links = list(Path(f"/proc/{process.pid}/fd").iterdir())
        except OSError:
            continue
        for link in links:
            try:
                inodes.add(os.readlink(link))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                address, port = fields[1].rsplit(":", 1)
                found.add((address, int(port, 16)))
    return found


def is_closed(port: int) -> bool:
    """Tells whether nobody listens on this port."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Waits for a condition; returns whether it came true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


class Command:
    """One running `python -m scripts.…` with its output in a file."""

    def __init__(self, state: Path, *arguments: str) -> None:
        self.state = state
        self.output = state.parent / f"{state.name}-output-{time.monotonic_ns()}.txt"
        env = {**os.environ, "AIRLOCK_STATE": str(state)}
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        self.seen: set[Process] = set()

    def processes(self) -> set[Process]:
        """Returns its processes; remembers them for left()."""
        found = tree(self.process.pid)
        self.seen |= found
        return found

    def runs(self, words: str) -> bool:
        """Tells whether one of its processes has these words in its command line."""
        return any(words in process.line() for process in self.processes())

    def is_gone(self) -> bool:
        """Tells whether no process that was ever seen of it is left."""
        return not any(process.is_alive() for process in self.seen)

    def left(self) -> list[str]:
        """Returns the command lines of what is still there of it."""
        return sorted(process.line() for process in self.seen | processes_of(self.state) if process.is_alive())

    def text(self) -> str:
        """Returns what it has printed so far."""
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, text: str, timeout_s: float) -> None:
        """Waits until it has printed a text."""
        wait_until(lambda: text in self.text() or self.process.poll() is not None, timeout_s)
        assert text in self.text(), f"no {text!r} in:\n{self.text()}"

    def end(self, timeout_s: float) -> int:
        """Waits for its end; returns the exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {timeout_s} s:\n{self.text()}")
