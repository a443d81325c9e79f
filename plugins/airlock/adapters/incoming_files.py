"""The files of a copy under way: which part of them is to be written next, and how far they are right."""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from airlock.adapters.disk import reserve, write_all
from airlock.ports.object_storage import Chunk
from airlock.ports.package_store import IncomingFile

#: Reads of this size stay in the processor's cache while they are hashed.
READ_BYTES = 256 * 1024
#: Ranges of one long file that are read at a time, to begin with: near by, two already fill the wire, and more only
#: scatter the writes.
RANGES_AT_A_TIME = 3
#: The same where each of them waits for the storage more than anything else.
MOST_RANGES_AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a file: from `start` up to but without `stop`."""

    start: int
    stop: int


class LongFile:
    """A file of several ranges while it is written.

    Args:
        path: Its path in the package.
        target: Where it is written.
        incoming: Where its bytes come from.
        range_bytes: Length of a range.

    Attributes:
        ranges: How many it has.
        hash: The digest of the first `hashed` ranges.
        written: Ranges that are on the disk.
        descriptor: The open file.
    """

    def __init__(self, path: str, target: Path, incoming: IncomingFile, range_bytes: int) -> None:
        self.path = path
        self.target = target
        self.incoming = incoming
        self.ranges = -(-incoming.size_bytes // range_bytes)
        self.hash = hashlib.sha256()
        self.hashed = 0
        self.written: set[int] = set()
        self.descriptor = -1
        self._range_bytes = range_bytes

    def range(self, index: int) -> Range:
        """One of its ranges."""
        start = index * self._range_bytes
        return Range(start, min(start + self._range_bytes, self.incoming.size_bytes))

    def verify(self, reached: Mapping[int, str]) -> int:
        """Find how far the file on the disk is what a journal says, and go on hashing from there.

        Args:
            reached: Ranges from the beginning → digest of everything up to their end.

        Returns:
            How many bytes are right.
        """
        state = self.hash.copy()
        descriptor = os.open(self.target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for index in range(min(max(reached), self.ranges)):
                wanted = self.range(index)
                for block in blocks(descriptor, wanted):
                    state.update(block)
                if reached.get(index + 1) == state.hexdigest():
                    self.hashed = index + 1
                    self.hash = state.copy()
        except EndsEarly:
            pass
        finally:
            os.close(descriptor)
        self.written.update(range(self.hashed))
        return self.range(self.hashed - 1).stop if self.hashed else 0


class Tally:
    """What one thread has done: each counts for itself, so that none waits for another one's count."""

    __slots__ = ("bytes_read", "writing_s")

    def __init__(self) -> None:
        self.bytes_read = 0
        self.writing_s = 0.0

    def write(self, descriptor: int, chunk: Chunk, position: int | None) -> None:
        """Write all of it, and count the time."""
        before = time.perf_counter()
        write_all(descriptor, chunk, position)
        self.writing_s += time.perf_counter() - before


class Jobs:
    """What is to be copied: long files first, their ranges in order, so that whoever hashes them can follow.

    Args:
        short: Paths of files of one range.
        long: The others; opened here, and their room taken.

    Raises:
        OSError: The disk has no room for them, or will not open them.
    """

    def __init__(self, short: deque[str], long: deque[LongFile]) -> None:
        self.long_files = list(long)
        self._short = short
        self._lock = threading.Lock()
        self._next = {file.path: file.hashed for file in long}
        self._busy = dict.fromkeys(self._next, 0)
        self._waiting = [file for file in long if file.hashed < file.ranges]
        self._ranges_at_a_time = RANGES_AT_A_TIME
        try:
            for file in long:
                # A file that is whole already is still made final.
                file.descriptor = os.open(file.target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
                reserve(file.descriptor, file.incoming.size_bytes)
        except BaseException:
            # A deleted file takes its room for as long as it is open.
            self.close()
            raise

    def most_at_a_time(self) -> int:
        """How many threads can have something to do."""
        with self._lock:
            return len(self._short) + self._ranges_at_a_time * len(self._waiting)

    def more_at_a_time(self) -> None:
        """Let more ranges of one file be under way."""
        self._ranges_at_a_time = MOST_RANGES_AT_A_TIME

    def next(self) -> str | tuple[LongFile, int] | None:
        """A short file's path, or a range of a long one; None when there is nothing more to begin."""
        with self._lock:
            for file in self._waiting:
                if self._busy[file.path] < self._ranges_at_a_time:
                    index = self._next[file.path]
                    self._next[file.path] += 1
                    self._busy[file.path] += 1
                    if index + 1 == file.ranges:
                        self._waiting.remove(file)
                    return file, index
            return self._short.popleft() if self._short else None

    def release(self, file: LongFile) -> None:
        """One range less of this file is under way."""
        with self._lock:
            self._busy[file.path] -= 1

    def close(self) -> None:
        """Close the long files that are open."""
        for file in self.long_files:
            if file.descriptor >= 0:
                os.close(file.descriptor)
                file.descriptor = -1


def hash_range(digest: hashlib._Hash, descriptor: int, wanted: Range) -> None:
    """Hash a part of a file that was just written, where the system still has it: without copying it once more.

    In one call, which lets the threads that write go on meanwhile.

    Args:
        digest: Takes the bytes.
        descriptor: The file, which has all of the range.
        wanted: The range.
    """
    before = wanted.start % mmap.ALLOCATIONGRANULARITY
    start = wanted.start - before
    try:
        pages = mmap.mmap(descriptor, wanted.stop - start, access=mmap.ACCESS_READ, offset=start)
    except OSError:
        # Some file systems over a network or in user space cannot do this.
        for block in blocks(descriptor, wanted):
            digest.update(block)
        return
    with pages, memoryview(pages) as view, view[before:] as part:
        digest.update(part)


class EndsEarly(OSError):
    """A file has fewer bytes than it should have."""


def blocks(descriptor: int, wanted: Range) -> Iterator[bytes]:
    """A file's range, block by block.

    Raises:
        EndsEarly: The file ends within the range.
    """
    position = wanted.start
    while position < wanted.stop:
        block = os.pread(descriptor, min(READ_BYTES, wanted.stop - position), position)
        if not block:
            raise EndsEarly(f"a file of a copy under way ends at byte {position:,}")
        position += len(block)
        yield block


def sha256_of(path: Path, size_bytes: int) -> str:
    """Digest of a file; empty where it has another size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size != size_bytes:
            return ""
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
