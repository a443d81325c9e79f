"""Where a local run keeps its files, and the small things that every part of it needs: secrets, ports, log tails."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


class LocalError(Exception):
    """Something that a run on this machine needs is missing or failed; the message says what, and what to do."""


ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"


def state_dir() -> Path:
    """Returns the folder of everything that a local run makes: `.airlock`, or what AIRLOCK_STATE names."""
    return Path(os.environ.get("AIRLOCK_STATE") or ROOT / ".airlock").absolute()


def private_dir(path: Path) -> Path:
    """Makes a folder that only its owner may enter, and returns it."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read; it appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def kept_values(path: Path, makers: dict[str, Callable[[], str]]) -> dict[str, str]:
    """Returns generated values that stay the same from run to run.

    Args:
        path: A JSON file with mode 0600. It is made or completed when values are missing.
        makers: For every name the function that makes its first value.
    """
    known: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError, ValueError):
        known = json.loads(path.read_text(encoding="utf-8"))
    missing = [name for name in makers if not known.get(name)]
    if missing:
        known.update({name: makers[name]() for name in missing})
        write_private(path, json.dumps(known, indent=2) + "\n")
    return {name: known[name] for name in makers}


def new_password() -> str:
    """Returns a password of 24 characters that is safe in URLs and configuration files."""
    return secrets.token_urlsafe(18)


def claim(path: Path) -> int | None:
    """Takes a lock file for as long as the returned file descriptor is open, in this process or one that inherits it.

    Returns:
        The descriptor, None when another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def port_is_free(port: int) -> bool:
    """Tells whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        # Without this a port that another process has bound with SO_REUSEADDR, but does not listen on yet, looks free.
        try:
            probe.listen(1)
        except OSError:
            return False
        return True


def free_ports(count: int, wanted: Iterable[int] = ()) -> list[int]:
    """Chooses different free ports of the loopback interface.

    Args:
        count: How many.
        wanted: Ports to take first, when they are free.
    """
    chosen = [port for port in dict.fromkeys(wanted) if port_is_free(port)][:count]
    with contextlib.ExitStack() as held:
        while len(chosen) < count:
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if port not in chosen:
                chosen.append(port)
    return chosen


def claim_port(start: int, tries: int = 100) -> tuple[int, int]:
    """Takes the first free port of the loopback interface from start on.

    A server needs seconds from here until it listens. Another start of this project, of any checkout, must not choose
    the same port in the meantime, so a lock is taken for it as well.

    Returns:
        The port, and the descriptor of its lock, to be closed when the server has ended.

    Raises:
        OSError: None of them is free.
    """
    for port in range(start, start + tries):
        lock = claim(Path(tempfile.gettempdir()) / f"airlock-{os.getuid()}-port-{port}.lock")
        if lock is None:
            continue
        if port_is_free(port):
            return port, lock
        os.close(lock)
    ports = f"port {start}" if tries == 1 else f"every port from {start} to {start + tries - 1}"
    raise OSError(f"{ports} of 127.0.0.1 is in use")


def log_tail(path: Path, lines: int = 30) -> str:
    """Returns the last lines of a log, or a note that there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 65536))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def read_json(path: Path) -> Any:
    """Returns what a JSON file holds, None when it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def process_birth(pid: int) -> str | None:
    """Returns what tells a process from a later one with the same id, None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    if sys.platform == "linux":
        return None
    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout.strip() or None
