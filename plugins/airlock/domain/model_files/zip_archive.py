"""A zip archive read so strictly that no two readers can see different files in it.

The end record comes last, the central directory right before it, every local header says what the directory says,
nothing overlaps, no name stands twice, and the checksums are right.

Source: PKWARE's APPNOTE 6.3, sections 4.3 and 4.5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from airlock.domain.model_files.streams import Binary, OverLimit, Unreadable

STORED, DEFLATED = 0, 8
MAX_MEMBERS = 200_000
_CHUNK_BYTES = 1 << 20
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_FULL32 = 0xFFFFFFFF
_DESCRIPTOR, _UTF8 = 0x8, 0x800
#: Those, and how hard it was compressed. Others mean encryption or patches, which readers treat differently.
_KNOWN_FLAGS = _DESCRIPTOR | _UTF8 | 0x6
#: The form is described up to version 6.3; a reader may refuse what asks for more, or read it differently.
_MAX_VERSION = 63
#: Kind of a file in the attributes that Unix systems write → what it is; files, folders and none are left out.
_NOT_FILES = {
    0o120000: "a symbolic link",
    0o020000: "a device",
    0o060000: "a device",
    0o010000: "a pipe",
    0o140000: "a socket",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of an archive.

    Attributes:
        name: Its path.
        method: 0 stored, 8 deflated.
        crc: CRC-32 of its bytes.
        stored_bytes: Bytes in the archive.
        size_bytes: Bytes of the file.
        start: Offset of its first byte in the archive.
        not_a_file: What it is where its attributes say that it is neither a file nor a folder, else empty.
    """

    name: str
    method: int
    crc: int
    stored_bytes: int
    size_bytes: int
    start: int
    not_a_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What an archive holds, in the order of its bytes."""

    entries: tuple[Member, ...]

    @classmethod
    def of(cls, file: Binary, size: int) -> Members:
        """Read the directory and every local header.

        Args:
            file: The archive.
            size: Its length in bytes.

        Raises:
            Unreadable: Two readers could see different files.
        """
        start, length, count = _directory(file, size)
        file.seek(start)
        data = file.read(length)
        if len(data) != length or count > MAX_MEMBERS:
            raise Unreadable("the archive's directory is not whole or has too many entries")
        entries: list[Member] = []
        names: set[str] = set()
        at, position = 0, 0
        for _ in range(count):
            member, at, header = _entry(data, at)
            if header != position:
                raise Unreadable(f"bytes of the archive belong to no file, or {member.name!r} overlaps another")
            if member.name in names:
                raise Unreadable(f"{member.name!r} stands twice in the archive")
            names.add(member.name)
            whole, position = _local(file, header, member, start)
            entries.append(whole)
        if at != length or position != start:
            raise Unreadable("the archive's directory does not end where it says")
        return cls(entries=tuple(entries))


def content(file: Binary, member: Member, limit: int) -> bytes:
    """The bytes of a small file of an archive.

    Raises:
        OverLimit: It is larger than the limit.
        Unreadable: It is damaged.
    """
    if max(member.size_bytes, member.stored_bytes) > limit:
        raise OverLimit(f"{member.name} of the archive has {member.size_bytes:,} bytes")
    file.seek(member.start)
    data = file.read(member.stored_bytes)
    if member.method == DEFLATED:
        try:
            engine = zlib.decompressobj(-15)
            data = engine.decompress(data, limit + 1)
        except zlib.error:
            raise Unreadable(f"the compressed data of {member.name} are damaged") from None
    if len(data) != member.size_bytes or zlib.crc32(data) != member.crc:
        raise Unreadable(f"{member.name} of the archive does not match its checksum")
    return data


def check_contents(file: Binary, member: Member) -> None:
    """Compare a file's checksum.

    Raises:
        Unreadable: It does not match.
    """
    for _ in contents(file, member):
        pass


def contents(file: Binary, member: Member) -> Iterator[bytes]:
    """A file's bytes, a piece at a time and never more than it says it has.

    Raises:
        Unreadable: Not before the last piece: they do not match its checksum or length.
    """
    file.seek(member.start)
    left, crc, size = member.stored_bytes, 0, 0
    engine = zlib.decompressobj(-15) if member.method == DEFLATED else None
    while left:
        data = file.read(min(_CHUNK_BYTES, left))
        if not data:
            raise Unreadable("the file ends too early")
        left -= len(data)
        try:
            for piece in (data,) if engine is None else _pieces(engine, data):
                crc = zlib.crc32(piece, crc)
                size += len(piece)
                if size > member.size_bytes:
                    raise Unreadable(f"{member.name} of the archive has more bytes than it says")
                yield piece
        except zlib.error:
            raise Unreadable(f"the compressed data of {member.name} are damaged") from None
        if engine is not None and engine.unused_data:
            raise Unreadable(f"bytes follow the end of {member.name} in the archive")
    if engine is not None and not engine.eof:
        raise Unreadable(f"the compressed data of {member.name} end too early")
    if crc != member.crc or size != member.size_bytes:
        raise Unreadable(f"{member.name} of the archive does not match its checksum")


def _pieces(engine: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while piece := engine.decompress(data, _CHUNK_BYTES):
        yield piece
        # When all of the input is taken, output may still be waiting for room.
        data = engine.unconsumed_tail


def _directory(file: Binary, size: int) -> tuple[int, int, int]:
    """Offset, length and number of entries of the central directory."""
    end = size - _END.size
    if end < 0:
        raise Unreadable("the archive is too short")
    file.seek(end)
    record = file.read(_END.size)
    signature, disk, first_disk, here, count, length, start, comment = _END.unpack(record)
    if signature != b"PK\x05\x06" or comment:
        raise Unreadable("the archive does not end with its end record")
    if disk or first_disk or here != count:
        raise Unreadable("the archive is one of several parts")
    locator_at = end - _LOCATOR64.size
    if locator_at >= 0:
        file.seek(locator_at)
        mark, part, record_at, parts = _LOCATOR64.unpack(file.read(_LOCATOR64.size))
        if mark == b"PK\x06\x07":
            if part or parts != 1 or record_at + _END64.size != locator_at:
                raise Unreadable("the archive's two end records do not meet")
            file.seek(record_at)
            big = _END64.unpack(file.read(_END64.size))
            if big[0] != b"PK\x06\x06" or big[1] != _END64.size - 12 or big[4] or big[5] or big[6] != big[7]:
                raise Unreadable("the archive's long end record is not usable")
            for short, full, wide in ((count, 0xFFFF, big[7]), (length, _FULL32, big[8]), (start, _FULL32, big[9])):
                if short not in (full, wide):
                    raise Unreadable("the archive's two end records differ")
            count, length, start, end = big[7], big[8], big[9], record_at
    if start + length != end:
        raise Unreadable("the archive's directory does not stand before its end record")
    if length > 1 << 27:
        raise OverLimit("the archive's directory is larger than is looked at")
    return start, length, count


def _entry(data: bytes, at: int) -> tuple[Member, int, int]:
    """One entry of the directory, where the next one begins, and where its local header stands."""
    if at + _CENTRAL.size > len(data):
        raise Unreadable("the archive's directory is cut off")
    fields = _CENTRAL.unpack_from(data, at)
    signature, flags, method, crc, stored, size = fields[0], fields[3], fields[4], fields[7], fields[8], fields[9]
    name_length, extra_length, comment_length, disk, header = (*fields[10:13], fields[13], fields[16])
    at += _CENTRAL.size
    name = data[at : at + name_length]
    extra = data[at + name_length : at + name_length + extra_length]
    at += name_length + extra_length + comment_length
    if signature != b"PK\x01\x02" or disk or comment_length or at > len(data):
        raise Unreadable("the archive's directory is damaged")
    if flags & ~_KNOWN_FLAGS or fields[2] > _MAX_VERSION or method not in (STORED, DEFLATED):
        raise Unreadable("a file of the archive is encrypted or compressed in an unknown way")
    if not name.isascii() and not flags & _UTF8:
        # Some readers take such a name for UTF-8, others for an old code page.
        raise Unreadable("a name in the archive does not say how it is written")
    wide = _wide(extra)
    if size == _FULL32:
        size, wide = _next(wide)
    if stored == _FULL32:
        stored, wide = _next(wide)
    if header == _FULL32:
        header, wide = _next(wide)
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("a name in the archive is not UTF-8") from None
    if not text or "\x00" in text or "\\" in text:
        raise Unreadable(f"the name {text!r} in the archive is not usable")
    member = Member(
        name=text,
        method=method,
        crc=crc,
        stored_bytes=stored,
        size_bytes=size,
        start=-1,
        not_a_file=_NOT_FILES.get((fields[15] >> 16) & 0o170000, ""),
    )
    return member, at, header


def _wide(extra: bytes) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""


def _next(wide: bytes) -> tuple[int, bytes]:
    if len(wide) < 8:
        raise Unreadable("a long size in the archive is missing")
    return int.from_bytes(wide[:8], "little"), wide[8:]


def _local(file: Binary, header: int, member: Member, limit: int) -> tuple[Member, int]:
    """The member with its place, and where the next local header must stand."""
    file.seek(header)
    raw = file.read(_LOCAL.size)
    if len(raw) != _LOCAL.size:
        raise Unreadable("a local header is cut off")
    signature, version, flags, method, _, _, crc, stored, size, name_length, extra_length = _LOCAL.unpack(raw)
    name = file.read(name_length)
    extra = file.read(extra_length)
    differs = signature != b"PK\x03\x04" or name != member.name.encode() or method != member.method
    if differs or flags & ~_KNOWN_FLAGS or version > _MAX_VERSION or (not name.isascii() and not flags & _UTF8):
        raise Unreadable(f"the local header of {member.name!r} differs from the directory")
    start = header + _LOCAL.size + name_length + extra_length
    end = start + member.stored_bytes
    if flags & _DESCRIPTOR:
        if (crc, stored, size) != (0, 0, 0) and (crc, stored, size) != (
            member.crc,
            member.stored_bytes,
            member.size_bytes,
        ):
            raise Unreadable(f"the local header of {member.name!r} differs from the directory")
        end += _descriptor(file, end, member)
    else:
        wide = _wide(extra)
        if size == _FULL32:
            size, wide = _next(wide)
        if stored == _FULL32:
            stored, wide = _next(wide)
        if (crc, stored, size) != (member.crc, member.stored_bytes, member.size_bytes):
            raise Unreadable(f"the local header of {member.name!r} differs from the directory")
    if end > limit:
        raise Unreadable(f"{member.name!r} reaches into the directory")
    return replace(member, start=start), end


def _descriptor(file: Binary, at: int, member: Member) -> int:
    """Length of the descriptor behind the bytes of a file."""
    file.seek(at)
    raw = file.read(24)
    for form in ("<4sIQQ", "<4sIII"):
        length = struct.calcsize(form)
        if len(raw) >= length:
            values = struct.unpack_from(form, raw)
            if values == (b"PK\x07\x08", member.crc, member.stored_bytes, member.size_bytes):
                return length
    raise Unreadable(f"the descriptor behind {member.name!r} differs from the directory")
