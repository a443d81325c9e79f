"""Starts one program; nothing of it outlives whoever asked for it. Linux only, standard library only.

It is run as a script: `python -I -S process_keeper.py ORDERS` with ORDERS a JSON object
    argv      the program and its arguments, by path
    parent    process id of whoever starts the keeper
    grace_s   seconds between SIGTERM and SIGKILL
    limits    resource name without RLIMIT_ → limit, capped at what is allowed
Environment, working directory, standard input, output and error are the program's. The keeper ends the program and
every process that came from it when it gets SIGTERM, when its parent dies, and when the program itself ends. It ends
with the program's status, 128 + signal where a signal ended it, and 127 where the program could not be started.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time
from typing import Any

_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_POLL_S = 0.05


def descendants(root: int) -> list[int]:
    """Every process below `root`, which is not part of the list."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The command in parentheses may hold anything, spaces and parentheses included.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(name))
    found = list(children.get(root, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def _control(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _become(orders: dict[str, Any], keeper: int) -> None:
    """In the child: become the program."""
    try:
        os.setsid()
        _control(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(137)
        for name, limit in orders["limits"].items():
            number = getattr(resource, f"RLIMIT_{name}")
            hard = resource.getrlimit(number)[1]
            allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(number, (allowed, allowed))
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        os.execv(orders["argv"][0], orders["argv"])  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{orders['argv'][0]} could not be started: {error}\n".encode())
    finally:
        os._exit(127)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _reap(child: int) -> tuple[bool, int | None]:
    """Take what has ended: (whether any process is left, the program's wait status where it has ended)."""
    status = None
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False, status
        if pid == 0:
            return True, status
        if pid == child:
            status = ended


def main() -> int:
    """Keep the program that the orders name."""
    orders = json.loads(sys.argv[1])
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP_SIGNALS, signal.SIGCHLD})
    _control(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    # What the program leaves behind becomes a child of the keeper, however it detached itself.
    _control(_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != orders["parent"]:
        return 128 + signal.SIGTERM
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        _become(orders, keeper)
    status: int | None = None
    kill_at: float | None = None
    while True:
        got = signal.sigtimedwait({*_STOP_SIGNALS, signal.SIGCHLD}, 1.0 if kill_at is None else _POLL_S)
        left, ended = _reap(child)
        status = ended if status is None else status
        if not left:
            break
        if got is not None and got.si_signo in _STOP_SIGNALS and kill_at is None:
            kill_at = time.monotonic() + orders["grace_s"]
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGTERM)
        if status is not None or (kill_at is not None and time.monotonic() >= kill_at):
            kill_at = kill_at or time.monotonic()
            _kill(descendants(keeper))
    code = os.waitstatus_to_exitcode(status or 0)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
