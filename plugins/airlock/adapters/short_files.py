"""The files of one range in a copy under way: written and hashed at once, by whoever fetched them or by one for all.

A small file has more steps than bytes, and threads of one interpreter that each fetch, hash, make, write and close one
mostly wait for each other. One that does nothing but write leaves the others less to wait for: two thousand files of
20 KB take a sixth less time.
"""

from __future__ import annotations

import hashlib
import os
import queue
import stat
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from airlock.adapters.incoming_files import Tally
from airlock.ports.object_storage import Chunk

#: Files up to this length may be handed on, in memory.
HANDED_ON_BYTES = 512 * 1024
#: So many of them may wait; whoever finds as many writes its own, so that a slow disk is written by all.
MOST_HANDED_ON = 8


class ShortFiles:
    """Writes short files.

    Args:
        package: The folder that they are written below, with all its folders.
        finish: Takes the path, the length and the digest of a file that is written.
        many: Whether there are so many that they are handed on, and synced together by somebody else.
    """

    def __init__(self, package: Path, finish: Callable[[str, int, str], None], *, many: bool) -> None:
        self._below = f"{package}/"
        self._finish = finish
        self._many = many
        self._modes_hold: bool | None = None
        self._handed_on: queue.SimpleQueue[tuple[str, int, list[Chunk]] | None] = queue.SimpleQueue()

    def take(self, path: str, size_bytes: int, chunks: Iterable[Chunk], tally: Tally) -> None:
        """Write a file, or hand it on.

        Args:
            path: Its path in the package.
            size_bytes: Its length.
            chunks: Its bytes.
            tally: Of the thread that calls.

        Raises:
            OSError: The disk would not take it.
            Exception: Whatever the bytes' source raised.
        """
        # Few files are synced one by one, which several threads do at a time.
        if self._many and size_bytes <= HANDED_ON_BYTES:
            chunks = list(chunks)
            if self._handed_on.qsize() < MOST_HANDED_ON:
                self._handed_on.put((path, size_bytes, chunks))
                return
        self._write(path, size_bytes, chunks, tally)

    def write_handed_on(self, tally: Tally, stop: threading.Event) -> None:
        """Write what is handed on until the end.

        Args:
            tally: Of the thread that calls.
            stop: Set when the copy is given up.

        Raises:
            OSError: The disk would not take one.
        """
        while (handed := self._handed_on.get()) is not None and not stop.is_set():
            self._write(*handed, tally)

    def end(self) -> None:
        """Nothing more is handed on."""
        self._handed_on.put(None)

    def _write(self, path: str, size_bytes: int, chunks: Iterable[Chunk], tally: Tally) -> None:
        digest = hashlib.sha256()
        # Exclusive: on a file system that folds names, a second name for the same file is an error, not a mix.
        descriptor = os.open(self._below + path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            for chunk in chunks:
                digest.update(chunk)
                tally.write(descriptor, chunk, None)
            if not self._modes_are_kept(descriptor):
                os.fchmod(descriptor, 0o444)
            if not self._many:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._finish(path, size_bytes, digest.hexdigest())

    def _modes_are_kept(self, descriptor: int) -> bool:
        """Whether a new file has the mode that it was made with; the process's umask is the same for all of them."""
        if self._modes_hold is None:
            self._modes_hold = stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o444
        return self._modes_hold
