"""Keeps processes for a parent, and ends them and everything that they started when the parent asks or is gone.

Run as a program by `scripts.children.Keeper`, with the standard library only; its argument is the grace in seconds that
everything gets when the parent is gone. It reads one JSON command a line:

    {"do": "start", "name": str, "argv": [str], "env": {str: str}, "cwd": str, "log": str,
     "ask_group": bool,                       whether its whole process group, or it alone, is asked to end
     "grace_s": float}                        how long it may take at most, whatever grace the stop has for all
    {"do": "stop", "grace_s": float}      may come again with a shorter grace

and writes one JSON event a line:

    {"event": "started", "name": str, "pid": int}
    {"event": "failed", "name": str, "error": str}          the program could not be started
    {"event": "ended", "name": str, "returncode": int}      negative: minus the number of the signal

End of input and SIGTERM mean stop. After a stop it exits when no process of the tree is left.

Why a process of its own: the parent may be killed with SIGKILL, and programs such as Airflow's scheduler leave
orphans when they are killed themselves. This one is small, is told of the parent's death by the end of its input,
and on Linux is the reaper of all orphans below it, so that nothing escapes its list.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_FOR_ORPHANS_S = 3.0


def _prctl(option: int, value: int) -> None:
    """Calls Linux's prctl; elsewhere nothing, where the process groups alone have to do."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _die_with_keeper() -> None:
    """Runs in the child before exec: a keeper that is killed with SIGKILL still takes its direct children along."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _parents() -> dict[int, int]:
    """Returns the parent of every process that runs, zombies left out."""
    found: dict[int, int] = {}
    if os.path.isdir("/proc/self"):
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{entry}/stat", "rb") as stat:
                    # The name in parentheses may hold spaces and parentheses itself.
                    state, ppid = stat.read().decode("utf-8", "replace").rpartition(")")[2].split()[:2]
                    if state not in ("Z", "X"):
                        found[int(entry)] = int(ppid)
        return found
    listing = subprocess.run(["ps", "-axo", "pid=,ppid=,stat="], capture_output=True, text=True, check=False)
    for line in listing.stdout.splitlines():
        pid, ppid, state = line.split()[:3]
        if not state.startswith("Z"):
            found[int(pid)] = int(ppid)
    return found


def descendants(root: int) -> list[int]:
    """Returns the process ids below root, parents before children, root and zombies left out."""
    children: dict[int, list[int]] = {}
    for pid, ppid in _parents().items():
        children.setdefault(ppid, []).append(pid)
    found: list[int] = []
    queue = list(children.get(root, []))
    while queue:
        pid = queue.pop(0)
        found.append(pid)
        queue.extend(children.get(pid, []))
    return found


class KeptProcesses:
    """The processes of one keeper and the loop that serves them."""

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self.running: dict[int, str] = {}
        self.asked_alone: set[int] = set()
        self.graces: dict[int, float] = {}
        self.asked_at = 0.0
        self.stopping = False
        self.deadline = float("inf")
        self.warned: set[int] = set()
        self.parent = os.getppid()
        self.unread = b""
        self.next_look = 0.0

    def tell(self, **event: Any) -> None:
        """Writes one event; a parent that is gone no longer reads, which is no reason to fail."""
        with contextlib.suppress(OSError):
            os.write(1, json.dumps(event).encode() + b"\n")

    def start(self, command: dict[str, Any]) -> None:
        """Starts one program as the leader of a session and process group of its own."""
        name = command["name"]
        try:
            log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                process = subprocess.Popen(
                    command["argv"],
                    env=command["env"],
                    cwd=command["cwd"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_die_with_keeper,
                )
            finally:
                os.close(log)
        except (OSError, subprocess.SubprocessError) as error:
            self.tell(event="failed", name=name, error=str(error))
            return
        self.running[process.pid] = name
        self.graces[process.pid] = float(command["grace_s"])
        if not command["ask_group"]:
            self.asked_alone.add(process.pid)
        # The exit status is collected by reap(), for all processes in one place.
        process.returncode = 0
        self.tell(event="started", name=name, pid=process.pid)

    def reap(self) -> None:
        """Collects every process that has ended, adopted orphans too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self.running.pop(pid, None)
            if name is not None:
                self.tell(event="ended", name=name, returncode=os.waitstatus_to_exitcode(status))

    def stop(self, grace_s: float) -> None:
        """Asks every program to end, once; a later call can only shorten the time that they get."""
        self.deadline = min(self.deadline, time.monotonic() + grace_s)
        if self.stopping:
            return
        self.stopping = True
        self.asked_at = time.monotonic()
        for pid in self.running:
            self.warned.add(pid)
            with contextlib.suppress(OSError):
                (os.kill if pid in self.asked_alone else os.killpg)(pid, signal.SIGTERM)

    def press_on(self) -> bool:
        """Goes on with a stop.

        Returns:
            True when nothing is left.
        """
        now = time.monotonic()
        if now < self.deadline and self.running and now < self.next_look:
            return False
        self.next_look = now + 0.25
        for pid in self.running:
            if now >= self.asked_at + self.graces[pid]:
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)
        left = descendants(os.getpid())
        if not left:
            return True
        if now >= self.deadline:
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        elif not self.running:
            # Only what the programs left behind is still there: it gets the same request, and little time.
            self.deadline = min(self.deadline, now + GRACE_FOR_ORPHANS_S)
            for pid in set(left) - self.warned:
                self.warned.add(pid)
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGTERM)
        return False

    def obey(self) -> bool:
        """Reads the commands that have come.

        Returns:
            False when the input has ended, which is a stop.
        """
        try:
            chunk = os.read(0, 1 << 16)
        except BlockingIOError:
            return True
        *lines, self.unread = (self.unread + chunk).split(b"\n")
        for line in lines:
            try:
                command = json.loads(line)
            except ValueError:
                # A parent that writes nonsense is a parent in trouble.
                command = {"do": "stop", "grace_s": self.grace_s}
            if command["do"] == "stop":
                self.stop(float(command["grace_s"]))
            elif not self.stopping:
                self.start(command)
        if not chunk:
            self.stop(self.grace_s)
        return bool(chunk)

    def serve(self) -> None:
        """Runs until a stop is complete."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.stop(self.grace_s))
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        os.set_blocking(0, False)
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(0.1 if self.stopping else 1.0):
                    if key.fd == wake_read:
                        with contextlib.suppress(BlockingIOError):
                            os.read(wake_read, 1 << 12)
                    elif not self.obey():
                        selector.unregister(0)
                self.reap()
                # A copy of the pipe in a forked relative of the parent would keep the input open for ever.
                if os.getppid() != self.parent:
                    self.stop(self.grace_s)
                if self.stopping and self.press_on():
                    return


if __name__ == "__main__":
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    KeptProcesses(float(sys.argv[1])).serve()
