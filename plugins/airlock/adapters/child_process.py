"""Child processes that die with their parent, however that dies: the parent's side of process_keeper.py."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from airlock.adapters import process_keeper
from airlock.adapters.deadline_stream import until
from airlock.ports.clock import Clock

STOP_GRACE_S = 2.0
#: The keeper itself needs hardly any time once the grace is over: this much more means that it hangs.
KEEPER_LAG_S = 10.0
#: After so many times through the list only what the keeper has not yet taken note of is left.
KILL_ROUNDS = 50
MAX_LINE_BYTES = 64 * 1024


class Child:
    """A program with everything that it starts.

    The kernel ties a child to the thread that started it: that thread must live as long as the child shall.

    Args:
        argv: Program and arguments; the program by its path.
        env: Its whole environment.
        cwd: Its working folder.
        limits: Resource name without `RLIMIT_` → limit.
        grace_s: Seconds that it gets to end by itself when it is stopped.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        limits: Mapping[str, int] | None = None,
        grace_s: float = STOP_GRACE_S,
    ) -> None:
        orders = {
            "argv": list(argv),
            "parent": os.getpid(),
            "grace_s": grace_s,
            "limits": {"CORE": 0, **(limits or {})},
        }
        self._grace_s = grace_s
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", process_keeper.__file__, json.dumps(orders)],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # The terminal's Ctrl-C is for the parent alone, which then stops its children in order.
            start_new_session=True,
        )

    @property
    def keeper_pid(self) -> int:
        """The process that everything of the program is below."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """What the program writes; ends with the last process that holds it."""
        if self._process.stdout is None:
            raise ValueError("the output is not piped")
        return self._process.stdout

    def status(self) -> int | None:
        """The program's status, None while it runs; 128 + signal where a signal ended it."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def wait(self, timeout_s: float) -> int:
        """Wait for the program's end.

        Raises:
            subprocess.TimeoutExpired: It has not ended in time.
        """
        self._process.wait(timeout_s)
        return self.status() or 0

    def stop(self) -> None:
        """End it with everything below it; it is gone when this returns."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(self._grace_s + KEEPER_LAG_S)
            except subprocess.TimeoutExpired:
                below = process_keeper.descendants(self._process.pid)
                for pid in (self._process.pid, *below):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self._process.wait()

    def kill(self) -> None:
        """End it with everything below it, at once and without a grace."""
        for _ in range(KILL_ROUNDS):
            below = process_keeper.descendants(self._process.pid)
            if not below:
                return
            # What is stopped makes no more: else a bomb of forks would always be ahead of who goes through its list.
            for sent in (signal.SIGSTOP, signal.SIGKILL):
                for pid in below:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, sent)
            time.sleep(0.01)

    def close(self) -> None:
        """End it and close its output."""
        self.stop()
        if self._process.stdout is not None:
            with contextlib.suppress(OSError):
                self._process.stdout.close()


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that has ended.

    Attributes:
        status: Its status.
        lines: Its last lines of output.
    """

    status: int
    lines: tuple[str, ...]


def run_child(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    deadline: float,
    clock: Clock,
    log: Callable[[str], None],
    kept_lines: int = 2000,
) -> Finished:
    """Run a program to its end, line by line.

    Args:
        argv: Program and arguments; the program by its path.
        env: Its whole environment.
        cwd: Its working folder.
        deadline: When to end it, on the clock's monotonic scale.
        clock: Time.
        log: Takes each line.
        kept_lines: How many of the last lines are given back.

    Raises:
        TimeOver: The deadline came first; the program is ended.
    """
    lines: list[str] = []
    child = Child(argv, env=env, cwd=cwd)
    try:
        for line in until(_lines(child.output), deadline, clock):
            lines.append(line)
            del lines[:-kept_lines]
            log(line)
        return Finished(child.wait(KEEPER_LAG_S), tuple(lines))
    finally:
        child.close()


def _lines(stream: IO[bytes]) -> Iterator[str]:
    while line := stream.readline(MAX_LINE_BYTES):
        yield line.decode("utf-8", "replace").rstrip()
