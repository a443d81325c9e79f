"""Folders of running services, named after their DAG run and task, so that whoever comes later finds them."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from pathlib import Path

from airlock.adapters.owner import LONGEST_TEST_S, is_gone, this_process
from airlock.adapters.service_client import MAX_SOCKET_PATH_BYTES
from airlock.domain.version import RunRef
from airlock.errors import SettingInvalid

#: Says which process made a folder.
OWNER_FILE = "owner"

log = logging.getLogger(__name__)


class RunFolders:
    """The folders below `<work_dir>/runs`.

    Args:
        work_dir: The installation's folder of short-lived files.
    """

    def __init__(self, work_dir: Path) -> None:
        self._root = work_dir / "runs"

    def make(self, run: RunRef, task: str) -> Path:
        """A new folder that only this user can enter.

        Raises:
            SettingInvalid: `work_dir` is so long that no Unix socket can be named below it.
        """
        parent = self._root / _short(str(run))
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(prefix=f"{_short(task)}-", dir=parent))
        (folder / OWNER_FILE).write_text(this_process())
        if len(os.fsencode(socket_path(folder))) > MAX_SOCKET_PATH_BYTES:
            self.remove(folder)
            raise SettingInvalid(
                "SET012",
                f"`[airlock] work_dir` ({self._root.parent}) is too long: the path of a Unix socket has at most "
                f"{MAX_SOCKET_PATH_BYTES} bytes.",
                "Choose a shorter path.",
            )
        return folder

    def found(self, run: RunRef, task: str | None = None) -> tuple[Path, ...]:
        """The folders of a run, or of one of its tasks."""
        parent = self._root / _short(str(run))
        pattern = "*" if task is None else f"{_short(task)}-*"
        return tuple(sorted(path for path in parent.glob(pattern) if path.is_dir() and not path.is_symlink()))

    def abandoned(self, now: float) -> tuple[Path, ...]:
        """The folders of any run whose process has ended without removing them.

        Args:
            now: Seconds since 1970.
        """
        return tuple(path for path in sorted(self._root.glob("*/*")) if path.is_dir() and _is_abandoned(path, now))

    def remove(self, folder: Path) -> None:
        """Remove a folder with whatever a service left in it; one that resists is logged and stays."""
        _remove_tree(folder)
        try:
            folder.parent.rmdir()
        except OSError:
            # Another task of the same run still has its folder there.
            return


def socket_path(folder: Path) -> str:
    """Where the service of a folder listens. Its own folder, because a container gets it whole."""
    return str(folder / "s" / "http.sock")


def _is_abandoned(folder: Path, now: float) -> bool:
    try:
        old = folder.stat().st_mtime < now - LONGEST_TEST_S
        gone = is_gone((folder / OWNER_FILE).read_text())
    except FileNotFoundError:
        # Just made, or just removed.
        return False
    except (OSError, ValueError):
        gone = None
    return old if gone is None else gone


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _remove_tree(folder: Path) -> None:
    """Remove a tree whose owner may have taken away its own permissions; links are never followed."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            child = os.path.join(path, name)
            if not os.path.islink(child):
                try:
                    os.chmod(child, 0o700)
                except OSError:
                    continue
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        log.warning("%s could not be removed; it is left for the host's own cleaning.", folder)
