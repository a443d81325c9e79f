"""Child processes that never outlive their parent: the parent's side of `scripts/keeper.py`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from scripts.local_state import ROOT, LocalError, log_tail

GRACE_S = 15.0
# Enough for what only has to write its last words.
HURRIED_GRACE_S = 1.0
# The keeper itself has nothing to wait for once the grace is over: this much more means that it hangs.
KEEPER_LAG_S = 15.0

_live: weakref.WeakSet[Keeper] = weakref.WeakSet()


class ChildFailed(LocalError):
    """A program could not be started, ended early, or ended with an error.

    Attributes:
        name: What the program is called.
        reason: What happened, in words.
        log: Its log file.
    """

    def __init__(self, name: str, reason: str, log: Path) -> None:
        super().__init__(name, reason, log)
        self.name = name
        self.reason = reason
        self.log = log

    def __str__(self) -> str:
        return f"{self.name} {self.reason}; the end of {self.log}:\n{log_tail(self.log)}"


class Interrupted(KeyboardInterrupt):
    """The first SIGINT, SIGTERM or SIGHUP.

    Attributes:
        signum: Which signal it was.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """The exit code that shells use for an end by this signal."""
        return 128 + self.signum


def how_ended(returncode: int) -> str:
    """Says in words how a program ended."""
    if returncode < 0:
        try:
            return f"was ended by {signal.Signals(-returncode).name}"
        except ValueError:
            return f"was ended by signal {-returncode}"
    return f"ended with exit code {returncode}"


class Keeper:
    """Starts programs, knows which have ended, and ends all of them with everything that they started."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._closed = False
        self._held: list[int] = []
        self._logs: dict[str, Path] = {}
        self._pids: dict[str, int] = {}
        self._failed: dict[str, str] = {}
        self._ended: dict[str, int] = {}
        _live.add(self)

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def hold(self, descriptor: int) -> None:
        """Lets the keeper hold a file descriptor, a lock for instance, until the last program is gone.

        Only before the first start().
        """
        self._held.append(descriptor)

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path = ROOT,
        ask_group: bool = True,
        grace_s: float = 3600.0,
    ) -> int:
        """Starts a program in a session and process group of its own.

        Args:
            name: What to call it, once in the life of this keeper.
            argv: Program and arguments.
            env: Its whole environment.
            log: File that gets its output, appended.
            cwd: Its working folder.
            ask_group: Whether stop() asks its whole process group to end, or it alone, to end its own children itself.
            grace_s: Seconds that it gets at most after stop() has asked it to end, when stop() gives more.

        Returns:
            Its process id.

        Raises:
            ChildFailed: It could not be started, or the keeper is stopped.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        command = {
            "do": "start",
            "name": name,
            "argv": [str(part) for part in argv],
            "env": dict(env),
            "cwd": str(cwd),
            "log": str(log),
            "ask_group": ask_group,
            "grace_s": grace_s,
        }
        with self._changed:
            if self._closed:
                raise ChildFailed(name, "was not started because everything is being stopped", log)
            if name in self._logs:
                raise ValueError(f"{name} was started before")
            self._logs[name] = log
            process = self._keeper_process()
        self._send(process, command)
        with self._changed:
            self._changed.wait_for(lambda: name in self._pids or name in self._failed)
            if name in self._failed:
                raise ChildFailed(name, f"could not be started: {self._failed[name]}", log)
            return self._pids[name]

    def run(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path = ROOT,
        timeout_s: float = 600,
    ) -> None:
        """Starts a program and waits for its end.

        Raises:
            ChildFailed: It did not end with 0 within the time.
        """
        self.start(name, argv, env=env, log=log, cwd=cwd)
        self.expect_success(name, timeout_s)

    def expect_success(self, name: str, timeout_s: float) -> None:
        """Waits for the end of a program that was started.

        Raises:
            ChildFailed: It did not end with 0 within the time.
        """
        returncode = self.wait(name, timeout_s)
        if returncode is None:
            raise ChildFailed(name, f"did not end within {timeout_s:.0f} s", self._logs[name])
        if returncode != 0:
            raise ChildFailed(name, how_ended(returncode), self._logs[name])

    def wait(self, name: str, timeout_s: float) -> int | None:
        """Waits for the end of a program; returns its exit code, None when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: name in self._ended, timeout_s)
            return self._ended.get(name)

    def wait_any(self, names: Sequence[str], timeout_s: float) -> None:
        """Waits until one of these programs has ended or the time is over.

        Raises:
            ChildFailed: One has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: any(name in self._ended for name in names), timeout_s)
        self.check(names)

    def check(self, names: Sequence[str]) -> None:
        """Raises ChildFailed for the first of these programs that has ended, whatever its exit code."""
        with self._changed:
            for name in names:
                if name in self._ended:
                    raise ChildFailed(name, how_ended(self._ended[name]), self._logs[name])

    def stop(self, grace_s: float | None = None) -> None:
        """Ends everything: SIGTERM first, SIGKILL when the grace is over. Returns when nothing is left."""
        with self._changed:
            self._closed = True
            process, reader = self._process, self._reader
        if process is None:
            return
        grace_s = self._grace_s if grace_s is None else grace_s
        while True:
            self._send(process, {"do": "stop", "grace_s": grace_s})
            try:
                process.wait(grace_s + KEEPER_LAG_S)
                break
            except KeyboardInterrupt:
                # Impatience shortens the grace; leaving processes behind is not on offer.
                grace_s = 0.0
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                break
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        if reader is not None:
            reader.join()

    def hurry(self) -> None:
        """Takes away most of the grace, of a stop that is going on or of the one to come."""
        self._grace_s = min(self._grace_s, HURRIED_GRACE_S)
        process = self._process
        if self._closed and process is not None:
            self._send(process, {"do": "stop", "grace_s": 0.0})

    def _keeper_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")), str(self._grace_s)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # The terminal's Ctrl-C is for the parent alone, which then stops things in order.
                start_new_session=True,
                pass_fds=self._held,
            )
            self._reader = threading.Thread(target=self._read, args=(self._process,), name="keeper", daemon=True)
            self._reader.start()
        return self._process

    def _send(self, process: subprocess.Popen[bytes], command: dict[str, Any]) -> None:
        if process.stdin is None:
            raise ValueError("the keeper has no input")
        data = json.dumps(command).encode() + b"\n"
        with contextlib.suppress(OSError, ValueError):
            while data:
                data = data[os.write(process.stdin.fileno(), data) :]

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            raise ValueError("the keeper has no output")
        for line in process.stdout:
            event = json.loads(line)
            with self._changed:
                if event["event"] == "started":
                    self._pids[event["name"]] = event["pid"]
                elif event["event"] == "failed":
                    self._failed[event["name"]] = event["error"]
                else:
                    self._ended[event["name"]] = event["returncode"]
                self._changed.notify_all()
        process.stdout.close()
        with self._changed:
            # Nobody answers any more: whoever still waits must not wait for ever.
            for name in self._logs:
                if name not in self._pids:
                    self._failed.setdefault(name, "its keeper is gone")
                self._ended.setdefault(name, -signal.SIGKILL)
            self._changed.notify_all()


class Patience:
    """How much time an end may take.

    Attributes:
        is_over: Whether the user has asked a second time.
    """

    def __init__(self) -> None:
        self.is_over = False


@contextlib.contextmanager
def interruptible() -> Iterator[Patience]:
    """Turns the first SIGINT, SIGTERM or SIGHUP into Interrupted, and every later one into less patience.

    With this around a command, `finally` and `__exit__` run exactly once and to their end. Main thread only.
    """
    started = time.monotonic()
    interrupted = False
    patience = Patience()

    def on_signal(signum: int, frame: FrameType | None) -> None:
        nonlocal interrupted, started
        if not interrupted:
            interrupted = True
            started = time.monotonic()
            raise Interrupted(signum)
        # One Ctrl-C can arrive twice: from the terminal, and from make, which passes its own on.
        if time.monotonic() - started > 0.5:
            patience.is_over = True
            for keeper in list(_live):
                keeper.hurry()

    signals = [signal.SIGINT, signal.SIGTERM]
    # Under nohup it stays ignored. SIGINT does not: shells without job control ignore it for everything that they start
    # in the background, and there it is still the way to ask for an orderly end.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    before = {signum: signal.signal(signum, on_signal) for signum in signals}
    try:
        yield patience
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
