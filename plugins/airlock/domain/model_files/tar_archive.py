"""A tar archive read so strictly that no two readers can see different files in it.

Every header has its checksum, what a pax record or a long name says is all there is of it, nothing but zeros comes
after the last file, and forms that readers take differently (sparse files, volumes, global paths) are refused.

Source: POSIX.1-2017, pax, "pax Interchange Format" and "ustar Interchange Format"; GNU tar 1.35, "Basic Tar Format".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from airlock.domain.model_files.streams import CHUNK_BYTES, Binary, OverLimit, Stream, Unreadable, of_file

BLOCK_BYTES = 512
#: A pax record or a long name longer than this is nobody's path.
MAX_RECORD_BYTES = 1 << 16
#: Zeros after the end: writers fill up to their own block size, ten kilobytes or a few megabytes.
MAX_PADDING_BYTES = 16 << 20
#: From here on a size has no room in the header itself.
_LONG_BYTES = 8**11
_USTAR, _GNU = b"ustar\x0000", b"ustar  \x00"
_FILE, _FOLDER = (b"0", b"\x00"), b"5"
_PAX, _PAX_ALL, _LONG_NAME, _LONG_TARGET = b"x", b"g", b"L", b"K"
_OTHERS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
}
#: pax keywords that change what is read; times, owners, comments and attributes do not.
_MEANT = {"path", "size"}
_REFUSED = ("GNU.sparse.", "hdrcharset", "SCHILY.realsize", "SUN.holesdata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of an archive.

    Attributes:
        name: Its path; a folder's ends with `/`.
        size_bytes: Its length.
        not_a_file: What it is where it is neither a file nor a folder, else empty.
    """

    name: str
    size_bytes: int
    not_a_file: str = ""


def walk(file: Binary, size: int, *, compressed: bool) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """Every entry with its bytes, in order; bytes that are not taken are passed over.

    Args:
        file: The archive.
        size: Its length in bytes.
        compressed: Whether it is compressed with gzip.

    Raises:
        Unreadable: While it is walked.
    """
    stream = _gunzipped(of_file(file, 0, size)) if compressed else of_file(file, 0, size)
    long_name, records = "", dict[str, str]()
    while True:
        block = stream.read(BLOCK_BYTES)
        if not any(block):
            if long_name or records:
                raise Unreadable("the archive ends after a header that belongs to a file")
            _check_end(stream)
            return
        kind = _checked(block)
        size_bytes = _number(block[124:136])
        if kind in (_PAX, _PAX_ALL, _LONG_NAME, _LONG_TARGET):
            if size_bytes > MAX_RECORD_BYTES:
                raise OverLimit("a record of the archive is longer than is looked at")
            data = stream.read(size_bytes)
            _pad(stream, size_bytes)
            if kind == _LONG_TARGET:
                # Of a link, which is refused whatever it leads to.
                continue
            if kind == _LONG_NAME:
                if long_name or records:
                    raise Unreadable("a file of the archive has two names")
                long_name = _text(data.rstrip(b"\x00"))
                continue
            rows = _records(data)
            if kind == _PAX_ALL:
                if _MEANT & set(rows):
                    raise Unreadable("a global record of the archive gives files a path or a size")
                continue
            if long_name or records:
                raise Unreadable("a file of the archive has two names")
            # So that a record of times alone still counts as one.
            records = {"": "", **rows}
            continue
        name = records.get("path") or long_name or _name(block)
        if "size" in records:
            told, size_bytes = size_bytes, _decimal(records["size"])
            if size_bytes not in (told, max(size_bytes, _LONG_BYTES)):
                raise Unreadable(f"{name!r} has two sizes in the archive")
        long_name, records = "", {}
        entry = _entry(kind, name, size_bytes)
        if entry.name.endswith("/") or entry.not_a_file:
            # Links and devices carry no bytes, whatever their size says; a sparse file's are not told apart.
            if entry.not_a_file == _OTHERS[b"S"]:
                stream.skip(size_bytes)
                _pad(stream, size_bytes)
            yield entry, iter(())
            continue
        pieces = _Pieces(stream, size_bytes)
        yield entry, iter(pieces)
        pieces.finish()
        _pad(stream, size_bytes)


class _Pieces:
    """The bytes of one file."""

    def __init__(self, stream: Stream, size_bytes: int) -> None:
        self._stream = stream
        self._left = size_bytes

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            data = self._stream.read(min(CHUNK_BYTES, self._left))
            self._left -= len(data)
            yield data

    def finish(self) -> None:
        self._stream.skip(self._left)
        self._left = 0


def _checked(block: bytes) -> bytes:
    """The kind of a header whose checksum is right."""
    told = _number(block[148:156])
    if told != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise Unreadable("a header of the archive does not match its checksum")
    if block[257:265] not in (_USTAR, _GNU) and any(block[257:265]):
        raise Unreadable("a header of the archive is of an unknown form")
    return block[156:157]


def _entry(kind: bytes, name: str, size_bytes: int) -> Entry:
    if kind == _FOLDER:
        if size_bytes:
            raise Unreadable(f"the folder {name!r} has bytes of its own")
        return Entry(name=name if name.endswith("/") else f"{name}/", size_bytes=0)
    if kind in _FILE:
        # Before folders had a kind of their own they were files with a closing slash; readers differ.
        if name.endswith("/"):
            raise Unreadable(f"the file {name!r} is named like a folder")
        return Entry(name=name, size_bytes=size_bytes)
    if kind in _OTHERS:
        return Entry(name=name, size_bytes=0, not_a_file=_OTHERS[kind])
    raise Unreadable(f"{name!r} is of a kind that readers take differently")


def _name(block: bytes) -> str:
    name = block[:100].split(b"\x00", 1)[0]
    # GNU tar keeps other things where POSIX has the beginning of a long path.
    prefix = block[345:500].split(b"\x00", 1)[0] if block[257:265] == _USTAR else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(name: bytes) -> str:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("a name in the archive is not UTF-8") from None
    if not text or "\x00" in text:
        raise Unreadable(f"the name {text!r} in the archive is not usable")
    return text


def _number(field: bytes) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \x00")
    if not digits:
        return 0
    if not all(48 <= each <= 55 for each in digits):
        raise Unreadable("a number in a header of the archive cannot be read")
    return int(digits, 8)


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        raise Unreadable("a size in the archive cannot be read")
    return int(text)


def _records(data: bytes) -> dict[str, str]:
    """The records of a pax header: a length, a key, `=`, a value and a line feed, each."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 8)
        digits = data[at:space] if space > 0 else b""
        if not digits.isdigit():
            raise Unreadable("a record of the archive cannot be read")
        end = at + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space or data[end - 1 : end] != b"\n" or not equals:
            raise Unreadable("a record of the archive cannot be read")
        name = _text(key)
        if name.startswith(_REFUSED):
            raise Unreadable(f"a record of the archive, {name!r}, changes how a file is read")
        if name in _MEANT:
            if name in found:
                raise Unreadable(f"a record of the archive gives {name!r} twice")
            found[name] = _text(value)
        at = end
    return found


def _pad(stream: Stream, size_bytes: int) -> None:
    stream.skip(-size_bytes % BLOCK_BYTES)


def _check_end(stream: Stream) -> None:
    """Two blocks of zeros end an archive, and more zeros may follow."""
    left = MAX_PADDING_BYTES
    seen = 0
    while not stream.at_end():
        data = stream.peek()
        stream.skip(len(data))
        if data.count(0) != len(data):
            raise Unreadable("bytes follow the end of the archive")
        seen += len(data)
        left -= len(data)
        if left < 0:
            raise OverLimit("more zeros follow the end of the archive than are looked at")
    if seen < BLOCK_BYTES:
        raise Unreadable("the archive is cut off")


def _gunzipped(source: Stream) -> Stream:
    """What a gzip file holds; several parts behind each other are one, as for every reader of them."""
    engine = zlib.decompressobj(31)
    waiting = b""

    def pull() -> bytes:
        nonlocal engine, waiting
        while True:
            if engine.eof:
                waiting = engine.unused_data or source.take()
                if not waiting:
                    return b""
                engine = zlib.decompressobj(31)
            waiting = waiting or source.take()
            ended = not waiting
            try:
                # When all of the input is taken, output may still be waiting for room.
                data = engine.decompress(waiting, CHUNK_BYTES)
            except zlib.error as error:
                raise Unreadable(f"the compressed data are damaged ({error})") from None
            if ended and not data and not engine.eof:
                raise Unreadable("the compressed data end too early")
            waiting = engine.unconsumed_tail
            if data:
                return data

    return Stream(pull)
