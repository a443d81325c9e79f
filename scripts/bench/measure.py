"""Runs programs and measures them as whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one run of a program took.

    Attributes:
        seconds: Wall time.
        cpu_seconds: Time on processors, its own and the system's for it.
        peak_bytes: Highest resident memory of the process itself.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class RunFailed(Exception):
    """A measured program ended with an error; the message holds the end of its output."""


def take(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Taken:
    """Runs a program once.

    Args:
        argv: The program and its arguments.
        env: Its whole environment.
        cwd: Its working directory.
        log: Where its output goes.

    Raises:
        RunFailed: It ended with an error.
    """
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(argv, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = log.read_text(errors="replace")[-2000:]
        raise RunFailed(f"{argv[0]} ended with status {process.returncode}:\n{tail}")
    return Taken(seconds=seconds, cpu_seconds=used.ru_utime + used.ru_stime, peak_bytes=used.ru_maxrss * 1024)


def in_turns(
    runs: int, sides: Mapping[str, Callable[[], Taken]], between: Callable[[], None]
) -> dict[str, list[Taken]]:
    """Runs each side so many times, in turns, so that what else happens on the machine meets all of them.

    Args:
        runs: How often each.
        sides: Name → one run.
        between: Called before each run.
    """
    taken: dict[str, list[Taken]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, run in sides.items():
            between()
            taken[name].append(run())
    return taken


def median_s(taken: Sequence[Taken]) -> float:
    """The median of the wall times, in seconds."""
    return statistics.median(each.seconds for each in taken)
