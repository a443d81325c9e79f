"""Arrays as `numpy.save` and `numpy.savez` write them: a header in text, then numbers, or a pickle of Python objects.

Source: NumPy, numpy/lib/format.py and the documentation of numpy.lib.format.
"""

from __future__ import annotations

import ast
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airlock.domain.model_files.facts import Facts, listed
from airlock.domain.model_files.ranges import Ranges
from airlock.domain.model_files.streams import Binary, OverLimit, Stream, Unreadable, of_bytes, of_file
from airlock.domain.model_files.zip_archive import DEFLATED, Member, Members, content

OPENING = b"\x93NUMPY"
ENDINGS = (".npy", ".npz")
#: NumPy itself refuses longer ones.
MAX_HEADER_BYTES = 10_000
#: Objects in a compressed archive are followed in memory.
MAX_OBJECTS_BYTES = 64 << 20
#: Bytes at the start of a compressed member in which its header ends.
_DEFLATED_HEAD_BYTES = 2 * MAX_HEADER_BYTES
#: Types that hold numbers or text. What is written in any other way is taken for objects.
_PLAIN = re.compile(r"[<>|=]?(?P<kind>[?biufcSaUVmM])(?P<bytes>\d*)(?:\[[0-9A-Za-z/]*\])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands before an array.

    Attributes:
        kind: Its type as NumPy writes it.
        shape: Its lengths.
        length: Bytes of the header, with what comes before.
        has_objects: Whether Python objects follow, as a pickle.
    """

    kind: str
    shape: tuple[int, ...]
    length: int
    has_objects: bool


def read_array(ranges: Ranges) -> Facts:
    """One array.

    Raises:
        Unreadable: It is none, or not whole.
    """
    header = _header(ranges.up_to(0, MAX_HEADER_BYTES + len(OPENING) + 6))
    plain = _PLAIN.fullmatch(header.kind)
    if plain and plain["bytes"]:
        width = int(plain["bytes"]) * (4 if plain["kind"] == "U" else 1)
        for length in header.shape:
            width *= length
        if header.length + width > ranges.size:
            raise Unreadable("the array ends too early", ranges.size)
    return Facts(
        says="is an array of Python objects" if header.has_objects else "is an array of NumPy",
        claims=(),
        details=(("type", header.kind), ("shape", " × ".join(map(str, header.shape)) or "one value")),
    )


def read_arrays(file: Binary, size: int) -> Facts:
    """An archive of arrays.

    Raises:
        Unreadable: It can be read in two ways.
    """
    names = [member.name for member in Members.of(file, size).entries]
    arrays = [name.removesuffix(".npy") for name in names if name.endswith(".npy")]
    return Facts(
        says=f"is an archive of {len(arrays):,} arrays of NumPy", claims=(), details=(("arrays", listed(arrays)),)
    )


def is_arrays(path: str, head: bytes) -> bool:
    """Whether `numpy.load` takes a file for arrays, by its name and its first bytes."""
    return head.startswith(OPENING) or (path.lower().endswith(ENDINGS) and head.startswith(b"PK\x03\x04"))


def pickles(file: Binary, size: int) -> Iterator[Stream]:
    """The pickles in a file of arrays, each to be read before the next is asked for.

    Raises:
        Unreadable: A header is damaged.
    """
    file.seek(0)
    head = file.read(MAX_HEADER_BYTES + len(OPENING) + 6)
    if head.startswith(OPENING):
        header = _header(head)
        if header.has_objects:
            yield of_file(file, header.length, size - header.length)
        return
    for member in Members.of(file, size).entries:
        # What is no array is handed out as bytes.
        opening = _opening(file, member)
        if not opening.startswith(OPENING):
            continue
        header = _header(opening)
        if not header.has_objects:
            continue
        if member.method == DEFLATED:
            yield of_bytes(content(file, member, MAX_OBJECTS_BYTES)[header.length :])
        else:
            yield of_file(file, member.start + header.length, member.stored_bytes - header.length)


def _opening(file: Binary, member: Member) -> bytes:
    file.seek(member.start)
    data = file.read(min(member.stored_bytes, _DEFLATED_HEAD_BYTES))
    if member.method != DEFLATED:
        return data
    try:
        return zlib.decompressobj(-15).decompress(data, _DEFLATED_HEAD_BYTES)
    except zlib.error:
        raise Unreadable(f"the compressed data of {member.name} are damaged") from None


def _header(data: bytes) -> Header:
    """The header at the start of an array.

    Raises:
        Unreadable: It is none.
    """
    width = 2 if data[6:7] == b"\x01" else 4
    start = 8 + width
    length = int.from_bytes(data[8:start], "little")
    if not data.startswith(OPENING) or data[6:7] not in (b"\x01", b"\x02", b"\x03") or len(data) < start:
        raise Unreadable("it is no array of NumPy")
    if length > MAX_HEADER_BYTES:
        raise OverLimit(f"its header has {length:,} bytes, at most {MAX_HEADER_BYTES:,} are looked at")
    text = data[start : start + length]
    try:
        if len(text) != length:
            raise ValueError(length)
        value: Any = ast.literal_eval(text.decode("utf-8" if data[6:7] == b"\x03" else "latin-1").strip())
        kind, shape = value["descr"], tuple(value["shape"])
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        raise Unreadable("its header is damaged") from None
    if not all(type(each) is int and each >= 0 for each in shape) or len(shape) > 64:
        raise Unreadable("its header has no shape")
    return Header(kind=str(kind), shape=shape, length=start + length, has_objects=not _is_plain(kind))


def _is_plain(kind: Any, depth: int = 0) -> bool:
    """Whether a type holds nothing but numbers and text, with all its fields."""
    if isinstance(kind, str):
        return _PLAIN.fullmatch(kind) is not None
    if not isinstance(kind, list) or depth > 16:
        return False
    return all(isinstance(field, tuple) and len(field) in (2, 3) and _is_plain(field[1], depth + 1) for field in kind)
