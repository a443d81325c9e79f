"""A program in a room of its own, where `bwrap` is installed: what it may see is named here, all else is not there.

Source: bwrap(1). It needs user namespaces, or root; some hosts and containers allow neither, so it is tried first.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "bwrap"
PROBE_TIMEOUT_S = 10.0
USER = 65534
#: What programs and their libraries need of the host; nothing secret lies there.
_SYSTEM = ("/usr", "/opt")
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
_ETC = (
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/ascend_install.info",
    "/etc/ssl/certs",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a program sees beside the system's own files.

    Attributes:
        read_only: Folders that it may read, at the same path.
        writable: Folders of the host that it may write to; small, for sockets.
        private: Path → bytes of an empty file system in memory that is mounted there.
        devices: Devices that it may use.
        folder: Its working folder.
    """

    read_only: tuple[str, ...]
    writable: tuple[str, ...]
    private: Mapping[str, int]
    devices: tuple[str, ...]
    folder: str


def in_room(argv: Sequence[str], room: Room) -> list[str]:
    """The command that runs a program in a room.

    Args:
        argv: The program, by its path, and its arguments.
        room: What it sees.
    """
    # No network, processes, users or shared memory but its own; gone with whoever started it.
    command = [PROGRAM, "--unshare-all", "--uid", str(USER), "--gid", str(USER), "--hostname", "localhost"]
    command += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for path in _SYSTEM:
        command += ["--ro-bind-try", path, path]
    for path in _LINKED:
        if os.path.islink(path):
            command += ["--symlink", os.readlink(path), path]
        else:
            command += ["--ro-bind-try", path, path]
    for path in _ETC:
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    # First what is empty: the other folders may lie below it.
    for path, size in sorted(room.private.items()):
        command += ["--size", str(size), "--tmpfs", path]
    for path in room.devices:
        command += ["--dev-bind-try", path, path]
    for path in room.read_only:
        command += ["--ro-bind-try", path, path]
    for path in room.writable:
        command += ["--bind", path, path]
    # What is left between the folders is memory without a limit.
    return [*command, "--remount-ro", "/", "--chdir", room.folder, "--", *argv]


@functools.cache
def is_usable() -> bool:
    """Whether rooms can be made on this machine, tried once."""
    if shutil.which(PROGRAM) is None:
        return False
    empty = Room(read_only=(), writable=(), private={"/tmp": 1 << 20}, devices=(), folder="/")  # noqa: S108
    try:
        tried = subprocess.run(in_room(["/bin/true"], empty), capture_output=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return tried.returncode == 0


def interpreter_folders(environment: Path) -> tuple[str, ...]:
    """The folders of a virtual environment: its own, and that of the interpreter it was made from."""
    base = Path(os.path.realpath(environment / "bin" / "python")).parent.parent
    return (str(base), str(environment))
