"""A service as an ordinary child process: between its code and the host stand limits on what it may use, no more."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from airlock.adapters.child_process import Child
from airlock.adapters.gpu_memory import memory_of_processes
from airlock.adapters.process_keeper import descendants
from airlock.adapters.requests_at_once import send_at_once
from airlock.adapters.service_client import exchange
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse
from airlock.ports.running_service import AtOnce, ServiceExit

log = logging.getLogger(__name__)

MAX_TAIL_BYTES = 64 * 1024
#: Fast allocations between two looks overshoot the limit by what memory can be filled with meanwhile.
WATCH_S = 0.1
#: The disk is looked at each so many looks.
DISK_TURNS = 5
_KILLED_STATUS = 137
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a service may use, over all its processes together; more ends it.

    Attributes:
        memory_bytes: Memory.
        processes: How many there may be.
        disk_bytes: Bytes of the files in its folder.
        folder: The folder.
    """

    memory_bytes: int
    processes: int
    disk_bytes: int
    folder: Path


class ChildService:
    """A running child process.

    Args:
        child: The process, started.
        socket: Path of its socket.
        limits: What it may use.
    """

    def __init__(self, child: Child, socket: str, limits: Limits) -> None:
        self._child = child
        self._socket = socket
        self._limits = limits
        self._note = ""
        self._peak_bytes = 0
        self._out_of_memory = False
        self._tail = bytearray()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (("service-log", self._read), ("service-memory", self._watch))
        ]
        for thread in self._threads:
            thread.start()

    def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse | NoResponse:
        """Send a request; the time limit covers the whole answer."""
        return exchange(self._socket, request, timeout_s, max_bytes)

    def send_at_once(
        self, request: HttpRequest, plan: AtOnce, timeout_s: float, max_bytes: int
    ) -> Sequence[HttpResponse | NoResponse]:
        """Send a request many times, several at a time; ends early with the first that gets no answer."""
        return send_at_once(lambda: self.send(request, timeout_s, max_bytes), plan)

    def exit(self) -> ServiceExit | None:
        """How it ended, None while it runs."""
        if self._out_of_memory:
            return ServiceExit(status=_KILLED_STATUS, out_of_memory=True)
        if self._note:
            return ServiceExit(status=_KILLED_STATUS, out_of_memory=False)
        status = self._child.status()
        return None if status is None else ServiceExit(status=status, out_of_memory=False)

    def log_tail(self, lines: int = 100) -> str:
        """The last lines of its output, at most 64 KiB."""
        if self._child.status() is not None:
            # What it wrote last may still be on its way through the pipe.
            self._threads[0].join(timeout=1)
        with self._lock:
            text = bytes(self._tail).decode("utf-8", "replace")
        return "".join(text.splitlines(keepends=True)[-lines:]) + self._note

    def peak_memory_bytes(self) -> int | None:
        """Highest memory seen so far, shared pages counted once."""
        return self._peak_bytes or None

    def gpu_memory_bytes(self) -> int | None:
        """GPU memory that its processes hold."""
        return memory_of_processes(set(descendants(self._child.keeper_pid)))

    def close(self) -> None:
        """End it."""
        self._over.set()
        self._child.stop()
        for thread in self._threads:
            thread.join(timeout=5)
        self._child.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._child.output.fileno(), 64 * 1024):
                with self._lock:
                    self._tail += chunk
                    del self._tail[:-MAX_TAIL_BYTES]

    def _end(self, why: str) -> None:
        self._note = f"\nairlock: the service was ended because {why}.\n"
        log.warning("A service is ended because %s.", why)
        self._child.kill()

    def _watch(self) -> None:
        seen = 0.0
        turn = 0
        while not self._over.wait(WATCH_S) and self._child.status() is None:
            pids = descendants(self._child.keeper_pid)
            turn += 1
            if len(pids) > self._limits.processes:
                self._end(f"it had more than {self._limits.processes} processes")
                return
            if turn % DISK_TURNS == 0 and _bytes_below(self._limits.folder) > self._limits.disk_bytes:
                self._end(f"it wrote more than {self._limits.disk_bytes:,} bytes into its folder")
                return
            resident = sum(_resident(pid) for pid in pids)
            # The exact figure stops a process while it is read; it is taken only where it can matter.
            if resident <= min(seen, self._limits.memory_bytes):
                continue
            seen = resident * 1.02
            used = sum(_proportional(pid) for pid in pids)
            self._peak_bytes = max(self._peak_bytes, used)
            allowed = self._limits.memory_bytes
            if used > allowed:
                log.warning("A service used %d bytes of memory, %d were allowed: it is ended.", used, allowed)
                self._out_of_memory = True
                self._child.kill()
                return


def _bytes_below(folder: Path) -> int:
    """Bytes on the disk of the files in a folder; links are not followed."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
    return total


def _resident(pid: int) -> int:
    """Bytes that a process holds, all of what it shares included; 0 once it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    """Bytes that a process holds, of what several hold its share; 0 once it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return 0
    return 0
