"""The process that judges tables for the tasks of one user on one host, and how a task reaches it.

Importing Great Expectations takes seconds of a processor, more than the rest of a small model's import, and 230 MB. So
the process that has it stays for the next task: it listens on a Unix socket in a folder of the user's own, forks a
child for each task, and ends when nobody came for a while or its socket is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from airlock.domain.findings import shown
from airlock.errors import BackendUnavailable, SettingInvalid

#: Seconds for one table.
MAX_JUDGE_S = 120
MAX_SHOWN_CHARACTERS = 300
_LOG = "judge.log"
_LOCK = "lock"
_BACKLOG = 64
_PLUGINS = Path(__file__).resolve().parents[2]
_WORKER = Path(__file__).with_name("expectations_worker.py")
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


class JudgeHost:
    """Finds the judging process, or starts it.

    Args:
        folder: Where its socket, lock and log lie; made where it is missing, for this user alone.
        idle_s: Seconds after the last task until it ends.
    """

    def __init__(self, folder: Path, idle_s: float) -> None:
        self._folder = folder
        self._idle_s = idle_s

    def connect(self) -> socket.socket:
        """A connection to it. It may take seconds until it answers: `{"ready": true}` is its first line.

        Raises:
            SettingInvalid: The folder is not this user's own.
            BackendUnavailable: It does not start.
        """
        with self._opened() as folder:
            # The path of a socket has at most 107 bytes; this one is short wherever the folder is.
            path = f"/proc/self/fd/{folder}/{_name()}"
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                try:
                    connection.connect(path)
                except (FileNotFoundError, ConnectionRefusedError):
                    self._start(path, folder)
                    try:
                        connection.connect(path)
                    except OSError:
                        raise gone("ended", "starting", self.log_end()) from None
            except BaseException:
                connection.close()
                raise
            return connection

    def log_end(self) -> str:
        """The last line that the process wrote."""
        with contextlib.suppress(OSError, IndexError):
            return (self._folder / _LOG).read_text(errors="replace").splitlines()[-1]
        return ""

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The folder, locked: two tasks that need a process at once start one."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # In a folder that others may write, somebody else could have made it to read what is judged.
            facts = os.fstat(folder)
            if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
                raise SettingInvalid(
                    "EXP003",
                    f"The judge's folder {self._folder} must belong to this user (number {os.geteuid()}) alone.",
                    "Remove it, or name another one in `[airlock] judge_dir`.",
                )
            with locked(folder):
                yield folder
        finally:
            os.close(folder)

    def _start(self, path: str, folder: int) -> None:
        # Bound here, so that a task can connect before the process has read its libraries.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(path)
            listening.listen(_BACKLOG)
            log = os.open(_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=folder)
            try:
                # Its own few variables: nothing of Airflow's configuration and no secret is needed to judge a table.
                kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
                # It goes on in a child at once; what is waited for here is only its start.
                started = subprocess.run(
                    [
                        sys.executable,
                        "-m",
                        "airlock.adapters.expectations_worker",
                        str(listening.fileno()),
                        str(self._folder / _name()),
                        str(self._idle_s),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env={**kept, "PYTHONPATH": str(_PLUGINS), "OPENBLAS_NUM_THREADS": "1"},
                    pass_fds=[listening.fileno()],
                    # A task that is ended with all its processes leaves it to the others.
                    start_new_session=True,
                    check=False,
                )
            finally:
                os.close(log)
        if started.returncode:
            raise gone(f"ended with status {started.returncode}", "starting", self.log_end())


def gone(how: str, doing: str, log_end: str) -> BackendUnavailable:
    """The error of a judge that cannot be asked."""
    wrote = f" Its log ends with: {shown(log_end, MAX_SHOWN_CHARACTERS)}" if log_end else ""
    return BackendUnavailable(
        "EXP001",
        f"Great Expectations {how} while {doing}.{wrote}",
        "See that `python -c 'import great_expectations'` works on this worker and has 300 MB of memory.",
    )


@contextlib.contextmanager
def locked(folder: int) -> Iterator[None]:
    """Hold the lock of a judge's folder, an open directory."""
    descriptor = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _name() -> str:
    """The socket's name: another release, interpreter or library has a process of its own."""
    text = "\0".join([sys.executable, str(_PLUGINS), _WORKER.read_text(), metadata.version("great-expectations")])
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.sock"
