"""Leases: what a service of the process backend leaves on disk, so that whoever comes later can end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

from airlock.adapters.owner import start_time

LEASE_FILE = "lease.json"
#: Every process of a service carries it in its environment, so that even one that detached itself is found.
LEASE_VARIABLE = "AIRLOCK_LEASE"


def write_lease(folder: Path, token: str, pid: int | None) -> None:
    """Note a service before it starts, without process id, and once more when it has one.

    Args:
        folder: The service's folder.
        token: The value of `AIRLOCK_LEASE` in its environment.
        pid: The process that everything of it is below.
    """
    lease = {"token": token, "pid": pid, "started": None if pid is None else start_time(pid)}
    partial = folder / f"{LEASE_FILE}.partial"
    partial.write_text(json.dumps(lease))
    partial.replace(folder / LEASE_FILE)


def end_lease(folder: Path) -> None:
    """End what a folder's lease names: the process of that id only where it is still the one that got the lease."""
    try:
        lease = json.loads((folder / LEASE_FILE).read_text())
        token, pid, started = str(lease["token"]), lease["pid"], lease["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if isinstance(pid, int) and started is not None and start_time(pid) == started:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    kill_marked(token)


def kill_marked(token: str) -> None:
    """Kill every process that carries the lease's token, wherever it has gone, until there is none."""
    mark = f"{LEASE_VARIABLE}={token}".encode()
    for _ in range(50):
        found = False
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                carries = mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if carries:
                found = True
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(name), signal.SIGKILL)
        if not found:
            return
