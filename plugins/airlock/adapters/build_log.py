"""A build's log on disk: one per layer, kept until the layer is made again, and for three months at most."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path

MAX_LOG_BYTES = 20_000_000
KEPT_S = 90 * 24 * 3600.0
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class BuildLog:
    """A build's log on disk, cut where it grows too large.

    Args:
        work_dir: The installation's folder of short-lived files.
        key: Names what is built; an earlier log of the same name is replaced.
        log: Takes each line too.
    """

    def __init__(self, work_dir: Path, key: str, log: Callable[[str], None]) -> None:
        self.path = log_path(work_dir, key)
        self._log = log
        self._left = MAX_LOG_BYTES
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("")
        self._forget_old()

    def line(self, text: str) -> None:
        """Take a line."""
        self._log(text)
        data = text + "\n"
        if self._left > 0:
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(data[: self._left])
        self._left -= len(data)

    def _forget_old(self) -> None:
        before = time.time() - KEPT_S
        for path in self.path.parent.glob("*.log"):
            # Another process may just be doing the same.
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()


def log_path(work_dir: Path, key: str) -> Path:
    """Where the log of what is built under a key lies, if it was built here."""
    return work_dir / "build-logs" / f"{_UNSAFE.sub('-', key)}.log"
