"""GPU memory of a service, asked of `nvidia-smi`. Source: its manual, queries of compute applications and of GPUs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection

_PROGRAM = "nvidia-smi"
_FORM = "--format=csv,noheader,nounits"
#: Memory of each process on each GPU, with process ids of the host.
APPS_QUERY = (_PROGRAM, "--query-compute-apps=pid,used_memory", _FORM)
#: Memory in use on each GPU, whoever uses it: all that a container can be told.
GPUS_QUERY = (_PROGRAM, "--query-gpu=memory.used", _FORM)
TIMEOUT_S = 10.0
_MEBIBYTE = 1024 * 1024


def memory_of_processes(pids: Collection[int]) -> int | None:
    """Bytes that processes of this machine hold on its GPUs; None where nothing can say it."""
    if shutil.which(_PROGRAM) is None:
        return None
    try:
        told = subprocess.run(APPS_QUERY, capture_output=True, text=True, timeout=TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return used_by(told, pids)


def used_by(text: str, pids: Collection[int]) -> int | None:
    """Read the answer to `APPS_QUERY`.

    Args:
        text: One line `pid, MiB` for each process on each GPU.
        pids: The processes that count.

    Returns:
        Bytes; None where none of the processes is named, or its memory is `[N/A]`, as it is under some drivers.
    """
    found = []
    for line in text.splitlines():
        pid, _, used = line.partition(",")
        if pid.strip().isdecimal() and used.strip().isdecimal() and int(pid) in pids:
            found.append(int(used))
    return sum(found) * _MEBIBYTE if found else None


def used_in_all(text: str) -> int | None:
    """Read the answer to `GPUS_QUERY`: bytes, None where no GPU says a number."""
    found = [int(line) for line in text.split("\n") if line.strip().isdecimal()]
    return sum(found) * _MEBIBYTE if found else None
