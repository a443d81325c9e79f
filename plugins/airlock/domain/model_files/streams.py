"""Bytes of a model file, one piece at a time: in bounded memory, whatever the file says of itself."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

CHUNK_BYTES = 1 << 18
#: What is read behind a place that was jumped to; where the file lies elsewhere, every byte counts.
FIRST_BYTES = 1 << 13
#: A compressed file that grows beyond this is not followed further.
MAX_INFLATED_BYTES = 4 << 30
#: Nor one that grows so much more than models do, once it has given this many bytes.
MAX_INFLATED_RATIO = 200
MIN_INFLATED_BYTES = 256 << 20


class Unreadable(Exception):
    """The file ends too early, or breaks its own form.

    Args:
        message: What is wrong, as the end of a sentence.
        offset: Bytes from the start, where known.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message, offset)
        self.message = message
        self.offset = offset


class OverLimit(Unreadable):
    """The file is larger or deeper than is looked at."""


class NotRead(Exception):
    """Whoever gives the bytes of a file gives no more of them: it lies elsewhere, and so much of it is not fetched.

    No fault of the file, so whoever bears with an unreadable one does not bear with this.
    """


class Binary(Protocol):
    """The part of a binary file that reading needs."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""


class Stream:
    """A reader with a small buffer.

    Args:
        pull: Gives the next bytes, none at the end.
        jump: Skips that many bytes without giving them, and returns how many there were; None where only reading helps.

    Attributes:
        position: Bytes taken so far.
    """

    def __init__(self, pull: Callable[[], bytes], jump: Callable[[int], int] | None = None) -> None:
        self._pull = pull
        self._jump = jump
        self._buffer = b""
        self._at = 0
        self._drained = False
        self.position = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes.

        Raises:
            Unreadable: The file ends before.
        """
        end = self._at + size
        if end > len(self._buffer):
            self._fill(size)
            end = self._at + size
        data = self._buffer[self._at : end]
        self._at = end
        self.position += size
        return data

    def byte(self) -> int:
        """The next byte as a number.

        Raises:
            Unreadable: The file is at its end.
        """
        if self._at == len(self._buffer):
            self._fill(1)
        self._at += 1
        self.position += 1
        return self._buffer[self._at - 1]

    def window(self, ahead: int) -> tuple[bytes, int]:
        """The buffer, and where the next byte stands in it, for a reader that takes many small pieces.

        Args:
            ahead: So many bytes follow, unless the file ends before.
        """
        if len(self._buffer) - self._at < ahead and not self._drained:
            parts = [self._buffer[self._at :]]
            have = len(parts[0])
            while have < ahead:
                data = self._pull()
                if not data:
                    self._drained = True
                    break
                parts.append(data)
                have += len(data)
            self._buffer, self._at = b"".join(parts), 0
        return self._buffer, self._at

    def taken(self, at: int) -> None:
        """Say how far the reader of the window came.

        Args:
            at: Where the next byte stands in it.

        Raises:
            Unreadable: That is behind the end of the file.
        """
        if at > len(self._buffer):
            raise Unreadable("the file ends too early", self.position + len(self._buffer) - self._at)
        self.position += at - self._at
        self._at = at

    def line(self, limit: int = 1 << 16) -> bytes:
        """The bytes up to the next line feed, which is taken too.

        Raises:
            Unreadable: There is none within `limit` bytes.
        """
        while (found := self._buffer.find(b"\n", self._at)) < 0:
            if len(self._buffer) - self._at > limit:
                raise OverLimit("a line is too long", self.position)
            self._fill(len(self._buffer) - self._at + 1)
        data = self._buffer[self._at : found]
        self.position += found + 1 - self._at
        self._at = found + 1
        return data

    def peek(self) -> bytes:
        """What is buffered; at least one byte unless the file is at its end."""
        if self._at == len(self._buffer):
            self._buffer, self._at = self._pull(), 0
        return self._buffer[self._at :]

    def take(self) -> bytes:
        """What is buffered, and passes over it; at least one byte unless the file is at its end."""
        data = self.peek()
        self.skip(len(data))
        return data

    def skip(self, size: int) -> None:
        """Pass over bytes.

        Raises:
            Unreadable: The file ends before.
        """
        self.position += size
        ready = len(self._buffer) - self._at
        if size <= ready:
            self._at += size
            return
        self._buffer, self._at = b"", 0
        size -= ready
        if self._jump is not None and size > CHUNK_BYTES:
            size -= self._jump(size)
        while size > 0:
            data = self._pull()
            if not data:
                raise Unreadable("the file ends too early", self.position - size)
            if len(data) > size:
                self._buffer, self._at = data, size
            size -= len(data)

    def at_end(self) -> bool:
        """Whether nothing follows."""
        return not self.peek()

    def _fill(self, size: int) -> None:
        parts = [self._buffer[self._at :]]
        have = len(parts[0])
        while have < size:
            data = self._pull()
            if not data:
                raise Unreadable("the file ends too early", self.position + have)
            parts.append(data)
            have += len(data)
        self._buffer, self._at = b"".join(parts), 0


def of_bytes(data: bytes) -> Stream:
    """A stream over bytes in memory."""
    rest = [data]
    return Stream(lambda: rest.pop() if rest else b"")


def of_file(file: Binary, start: int, size: int) -> Stream:
    """A stream over a part of a file, which nothing else may read meanwhile.

    Args:
        file: The file.
        start: Where the part begins, in bytes.
        size: Its length, in bytes.
    """
    file.seek(start)
    left, chunk = size, FIRST_BYTES

    def pull() -> bytes:
        nonlocal left, chunk
        data = file.read(min(chunk, left))
        left -= len(data)
        chunk = min(CHUNK_BYTES, 2 * chunk)
        return data

    def jump(count: int) -> int:
        nonlocal left, chunk
        count = min(count, left)
        file.seek(count, 1)
        left -= count
        chunk = FIRST_BYTES
        return count

    return Stream(pull, jump)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


#: Opening bytes → what decompresses the rest.
_OPENINGS: tuple[tuple[bytes, str, Callable[[], _Decompressor]], ...] = (
    (b"\x1f\x8b", "gzip", lambda: zlib.decompressobj(31)),
    (b"x\x01", "zlib", zlib.decompressobj),
    (b"x\x5e", "zlib", zlib.decompressobj),
    (b"x\x9c", "zlib", zlib.decompressobj),
    (b"x\xda", "zlib", zlib.decompressobj),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", "xz", lambda: lzma.LZMADecompressor(memlimit=1 << 28)),
    (b"\x5d\x00\x00", "lzma", lambda: lzma.LZMADecompressor(memlimit=1 << 28)),
)


def compression(head: bytes) -> str:
    """The compression that a file's first bytes tell of, or an empty text."""
    return next((name for opening, name, _ in _OPENINGS if head.startswith(opening)), "")


def inflated(source: Stream, limit: int = MAX_INFLATED_BYTES) -> Stream:
    """What a compressed stream holds, a piece at a time.

    Args:
        source: The compressed bytes; their opening must be one that `compression` knows.
        limit: Bytes after which it is given up.

    Raises:
        Unreadable: While reading, where the compression is broken.
    """
    head = source.peek()[:8]
    make = next(make for opening, _, make in _OPENINGS if head.startswith(opening))
    engine = make()
    waiting = b""
    total = 0

    def pull() -> bytes:
        nonlocal waiting, total, engine
        while True:
            if engine.eof:
                # Some writers put several streams behind each other; loaders read on.
                rest = engine.unused_data or source.take()
                if not any(rest.startswith(opening) for opening, _, _ in _OPENINGS):
                    return b""
                engine, waiting = make(), rest
            if not waiting and getattr(engine, "needs_input", True):
                waiting = source.take()
                if not waiting:
                    raise Unreadable("the compressed data end too early")
            try:
                data = engine.decompress(waiting, CHUNK_BYTES)
            except (zlib.error, OSError, EOFError, ValueError) as error:
                raise Unreadable(f"the compressed data are damaged ({error})") from None
            except lzma.LZMAError as error:
                raise Unreadable(f"the compressed data are damaged ({error})") from None
            waiting = getattr(engine, "unconsumed_tail", b"")
            total += len(data)
            if total > limit:
                raise OverLimit(f"it holds more than {limit:,} bytes once decompressed")
            if total > MIN_INFLATED_BYTES and total > MAX_INFLATED_RATIO * source.position:
                raise OverLimit(f"it grows to more than {MAX_INFLATED_RATIO} times its size once decompressed")
            if data:
                return data

    return Stream(pull)
