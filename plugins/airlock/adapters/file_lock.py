"""A lock that every process of this host respects and that a killed process cannot leave behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from airlock.errors import BackendUnavailable
from airlock.ports.clock import Clock

POLL_S = 0.2
TELL_EVERY_S = 30.0


@contextlib.contextmanager
def file_lock(path: Path, *, limit_s: float, clock: Clock, what: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a file; the file stays, because removing it would let two processes hold two locks of one name.

    Args:
        path: The lock's file; made where it is missing.
        limit_s: Seconds to wait at most.
        clock: Time.
        what: What is locked, for messages.
        tell: Takes a line while the lock is waited for.

    Raises:
        BackendUnavailable: Another process still holds it at the end of the time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        started = clock.monotonic()
        told = float("-inf")
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = clock.monotonic() - started
            if waited >= limit_s:
                raise BackendUnavailable(
                    "BLD011",
                    f"Another process has been making {what} for more than {limit_s:.0f} s.",
                    "Wait for it, or look for a build on this worker that hangs.",
                )
            if waited - told >= TELL_EVERY_S:
                tell(f"Waiting for another process that makes {what} ({waited:.0f} s so far).")
                told = waited
            clock.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)
