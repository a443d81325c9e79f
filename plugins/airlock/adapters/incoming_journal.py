"""What a copy under way has written so far, a JSON line each: what a killed copy leaves for the next one.

Nothing in it is believed before the bytes on the disk have the digest that it says.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_FORM = 1
_as_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Written:
    """What an earlier copy says it wrote.

    Attributes:
        whole: Path of a whole file → its SHA-256.
        reached: Path of a long file → ranges from its beginning → SHA-256 of everything up to their end.
    """

    whole: dict[str, str] = field(default_factory=dict)
    reached: dict[str, dict[int, str]] = field(default_factory=dict)


def read_journal(path: Path, range_bytes: int) -> Written:
    """Read a journal; one of another form or with other ranges says nothing.

    Args:
        path: The journal.
        range_bytes: Length of a range.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return Written()
    found, ours = Written(), False
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            # An empty one, or the last of a writer that was killed.
            continue
        if not isinstance(row, dict):
            continue
        if "form" in row:
            ours = row == _opening(range_bytes)
            if not ours:
                found = Written()
        elif not ours:
            continue
        elif "ranges" in row:
            found.reached.setdefault(row["path"], {})[row["ranges"]] = row["sha256"]
        else:
            found.whole[row["path"]] = row["sha256"]
    return found


class Journal:
    """Writes lines; several threads may.

    Args:
        file: The open journal, for appending: what an earlier copy wrote stays readable while it is verified.
        range_bytes: Length of a range.
        held: How many short files' lines may wait for each other; they are lost when this process is killed, and their
            files copied again.
    """

    def __init__(self, file: IO[str], range_bytes: int, held: int = 0) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._held = held
        self._waiting: list[str] = []
        self._note(_opening(range_bytes))

    def whole(self, path: str, sha256: str) -> None:
        """A file is whole."""
        self._note({"path": path, "sha256": sha256}, self._held)

    def flush(self) -> None:
        """Write what still waits."""
        with self._lock:
            self._write()

    def reached(self, path: str, ranges: int, sha256: str) -> None:
        """So many ranges of a file are there, and this is the digest of everything up to their end."""
        self._note({"path": path, "ranges": ranges, "sha256": sha256})

    def _note(self, row: dict[str, Any], held: int = 0) -> None:
        # A line of its own even after one that a killed writer did not end.
        text = "\n" + _as_json(row) + "\n"
        with self._lock:
            self._waiting.append(text)
            if len(self._waiting) > held:
                self._write()

    def _write(self) -> None:
        self._file.write("".join(self._waiting))
        self._waiting.clear()
        # Out of this process, so that it is there when this process is killed.
        self._file.flush()


def _opening(range_bytes: int) -> dict[str, Any]:
    return {"form": _FORM, "range_bytes": range_bytes}
