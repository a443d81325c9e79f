"""Who started something on this machine, written down so that whoever comes later can tell whether it still lives."""

from __future__ import annotations

import os
from pathlib import Path

#: No test takes longer: the DAG ends its tasks before. What is older and cannot be asked is left over.
LONGEST_TEST_S = 3 * 3600.0


def this_process() -> str:
    """This process as text: the machine's boot, the namespace that its id is of, its id, and when it started."""
    return f"{_boot()}/{_namespace()}/{os.getpid()}/{start_time(os.getpid())}"


def is_gone(owner: str) -> bool | None:
    """Whether the process that wrote this has ended; None where it cannot be told from here.

    Args:
        owner: What `this_process` gave, on this machine or another.
    """
    boot, _, rest = owner.partition("/")
    namespace, _, process = rest.partition("/")
    pid, _, started = process.partition("/")
    if not pid.isdecimal() or (boot, namespace) != (_boot(), _namespace()):
        return None
    return start_time(int(pid)) != started


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's ticks since boot: with its id, it names one process for ever."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _namespace() -> str:
    # A worker in a container of its own counts process ids by itself.
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return "unknown"
