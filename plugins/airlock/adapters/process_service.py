"""A service as an ordinary child process: between its code and the host stand limits on what it may use, no more."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from airlock.adapters.child_process import Child
from airlock.adapters.gpu_memory import memory_of_processes
from airlock.adapters.process_keeper import descendants
from airlock.adapters.requests_at_once import send_at_once
from airlock.adapters.service_client import exchange
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse
from airlock.ports import AtOnce, ServiceExit

log = logging.getLogger(__name__)

MAX_TAIL_BYTES = 64 * 1024
#: Fast allocations between two looks overshoot the limit by what memory can be filled with meanwhile.
WATCH_S = 0.1
_KILLED_STATUS = 137
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ChildService:
    """A running child process.

    Args:
        child: The process, started.
        socket: Path of its socket.
        memory_bytes: Memory limit over all its processes.
    """

    def __init__(self, child: Child, socket: str, memory_bytes: int) -> None:
        self._child = child
        self._socket = socket
        self._memory_bytes = memory_bytes
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
        status = self._child.status()
        return None if status is None else ServiceExit(status=status, out_of_memory=False)

    def log_tail(self, lines: int = 100) -> str:
        """The last lines of its output, at most 64 KiB."""
        if self._child.status() is not None:
            # What it wrote last may still be on its way through the pipe.
            self._threads[0].join(timeout=1)
        with self._lock:
            text = bytes(self._tail).decode("utf-8", "replace")
        return "".join(text.splitlines(keepends=True)[-lines:])

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

    def _watch(self) -> None:
        seen = 0.0
        while not self._over.wait(WATCH_S) and self._child.status() is None:
            pids = descendants(self._child.keeper_pid)
            resident = sum(_resident(pid) for pid in pids)
            # The exact figure stops a process while it is read; it is taken only where it can matter.
            if resident <= min(seen, self._memory_bytes):
                continue
            seen = resident * 1.02
            used = sum(_proportional(pid) for pid in pids)
            self._peak_bytes = max(self._peak_bytes, used)
            if used > self._memory_bytes:
                log.warning(
                    "A service used %d bytes of memory, %d were allowed: it is ended.", used, self._memory_bytes
                )
                self._out_of_memory = True
                self._child.kill()
                return


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
