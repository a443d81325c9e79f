"""The attributes of an HDF5 file's root group, which is where Keras says what the file holds; nothing else is read.

What keeps its attributes in a form that is not followed here (a heap of their own, shared messages) is said to be
beyond the limit, never taken for harmless.

Source: HDF5 File Format Specification 3.0, sections II, IV.A.1, IV.A.2 and III.E.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airlock.domain.model_files.facts import CERTAIN, WEAK, Facts, WrittenBy, claims, numbered
from airlock.domain.model_files.keras_config import KERAS_VERSIONS, Layers
from airlock.domain.model_files.ranges import MAX_JSON_BYTES, Ranges, parsed
from airlock.domain.model_files.streams import OverLimit, Unreadable

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_BLOCKS = 64
MAX_MESSAGES = 4096
MAX_HEAP_OBJECTS = 4096
_ATTRIBUTE, _ATTRIBUTES_ELSEWHERE, _CONTINUATION = 0x0C, 0x15, 0x10
_STRING, _VARIABLE = 3, 9
_WANTED = (KERAS_VERSIONS, "backend", "model_config", "layer_names")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Widths:
    offset: int
    length: int


def read_hdf5(ranges: Ranges) -> Facts:
    """An HDF5 file.

    Raises:
        Unreadable: It is damaged.
        OverLimit: Its attributes are kept in a way that is not followed.
    """
    attributes = root_attributes(ranges)
    version = numbered(attributes.get(KERAS_VERSIONS, b"").decode("ascii", "replace"))
    layers = Layers(version=version)
    config = attributes.get("model_config")
    if config is not None:
        layers.read(parsed(config, "its model_config"))
        says = "is a Keras model in HDF5"
    elif version or "layer_names" in attributes:
        says = "holds the weights of a Keras model in HDF5"
    else:
        return Facts(says="is an HDF5 file", claims=claims(WEAK, "TensorFlow"))
    return Facts(
        says=says,
        claims=claims(CERTAIN, "TensorFlow"),
        written_by=(WrittenBy(library="Keras", version=version),) if version else (),
        details=layers.details(),
        problems=tuple(layers.problems()),
    )


def root_attributes(ranges: Ranges) -> dict[str, bytes]:
    """The attributes of the root group that Keras writes, as bytes; empty bytes for one that is no single text."""
    widths, root = _superblock(ranges)
    found: dict[str, bytes] = {}
    for kind, data, shared in _messages(ranges, widths, root):
        if kind == _ATTRIBUTES_ELSEWHERE:
            _refuse_dense(data, widths)
        elif kind == _ATTRIBUTE:
            if shared:
                raise OverLimit("it shares the attributes of its root group, which is not followed here")
            name, value = _attribute(ranges, widths, data)
            if name in found:
                raise Unreadable(f"its attribute {name} stands twice")
            if name in _WANTED:
                found[name] = value
    return found


def _superblock(ranges: Ranges) -> tuple[_Widths, int]:
    """Widths of offsets and lengths, and where the root group's header stands."""
    head = ranges.up_to(0, 128)
    if not head.startswith(SIGNATURE):
        raise Unreadable("it is no HDF5 file from its first byte on")
    if len(head) < 16:
        raise Unreadable("its superblock is cut off")
    version = head[8]
    if version in (0, 1):
        widths, at = _Widths(offset=head[13], length=head[14]), 24 + 4 * version
        base_at, root_at = at, at + 5 * head[13]
    elif version in (2, 3):
        widths, at = _Widths(offset=head[9], length=head[10]), 12
        base_at, root_at = at, at + 3 * head[9]
    else:
        raise Unreadable("its superblock has an unknown version")
    if widths.offset not in (4, 8) or widths.length not in (4, 8):
        raise Unreadable("its superblock names unknown widths")
    if root_at + widths.offset > len(head):
        raise Unreadable("its superblock is cut off")
    if int.from_bytes(head[base_at : base_at + widths.offset], "little"):
        raise Unreadable("it is no HDF5 file from its first byte on")
    return widths, int.from_bytes(head[root_at : root_at + widths.offset], "little")


def _messages(ranges: Ranges, widths: _Widths, root: int) -> Iterator[tuple[int, bytes, bool]]:
    """Type, data and whether it is shared, of every message of an object's header."""
    opening = ranges.at(root, 16)
    seen: set[int] = set()
    total = 0
    if opening.startswith(b"OHDR"):
        new_form, flags = True, opening[5]
        start = root + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        length = int.from_bytes(ranges.at(start, width), "little")
        waiting = [(start + width, length)]
    elif opening[0] == 1:
        new_form, flags = False, 0
        waiting = [(root + 16, int.from_bytes(opening[8:12], "little"))]
    else:
        raise Unreadable("the header of its root group has an unknown version", root)
    while waiting:
        start, length = waiting.pop(0)
        if start in seen or len(seen) >= MAX_BLOCKS:
            raise Unreadable("the header of its root group runs in a circle", start)
        seen.add(start)
        for kind, data, shared in _block(ranges.at(start, length), new_form, bool(flags & 4)):
            total += 1
            if total > MAX_MESSAGES:
                raise OverLimit("the header of its root group is longer than is looked at", start)
            if kind == _CONTINUATION:
                if len(data) < widths.offset + widths.length:
                    raise Unreadable("the header of its root group is damaged", start)
                at = int.from_bytes(data[: widths.offset], "little")
                more = int.from_bytes(data[widths.offset : widths.offset + widths.length], "little")
                # The new form stands between a mark and a checksum.
                waiting.append((at + 4, more - 8) if new_form else (at, more))
            else:
                yield kind, data, shared


def _block(block: bytes, new_form: bool, ordered: bool) -> Iterator[tuple[int, bytes, bool]]:
    head = (4 + 2 * ordered) if new_form else 8
    at = 0
    while at + head <= len(block):
        kind = block[at] if new_form else int.from_bytes(block[at : at + 2], "little")
        size = int.from_bytes(block[at + 1 : at + 3] if new_form else block[at + 2 : at + 4], "little")
        flags = block[at + 3] if new_form else block[at + 4]
        at += head
        if at + size > len(block):
            raise Unreadable("a message of its root group is cut off")
        yield kind, block[at : at + size], bool(flags & 2)
        at += size


def _refuse_dense(data: bytes, widths: _Widths) -> None:
    at = 2 + (2 if len(data) > 1 and data[1] & 1 else 0)
    address = data[at : at + widths.offset]
    if address != b"\xff" * widths.offset:
        raise OverLimit("it keeps the attributes of its root group in a heap of their own, which is not followed here")


def _attribute(ranges: Ranges, widths: _Widths, data: bytes) -> tuple[str, bytes]:
    if len(data) < 9 or data[0] not in (1, 2, 3):
        raise Unreadable("an attribute of its root group has an unknown form")
    sizes = [int.from_bytes(data[at : at + 2], "little") for at in (2, 4, 6)]
    at = 9 if data[0] == 3 else 8
    parts = []
    for size in sizes:
        parts.append(data[at : at + size])
        at += (size + 7) // 8 * 8 if data[0] == 1 else size
    if at > len(data):
        raise Unreadable("an attribute of its root group is cut off")
    name = parts[0].split(b"\x00")[0].decode("utf-8", "replace")
    if name not in _WANTED:
        return name, b""
    if data[0] > 1 and data[1] & 3:
        raise OverLimit(f"its attribute {name} has a shared type, which is not followed here")
    return name, _value(ranges, widths, name, parts[1], parts[2], data[at:])


def _value(ranges: Ranges, widths: _Widths, name: str, kind: bytes, space: bytes, data: bytes) -> bytes:
    if len(kind) < 8 or len(space) < 2:
        raise Unreadable(f"its attribute {name} is damaged")
    single = space[1] == 0
    if not single:
        return b""
    family, size = kind[0] & 0x0F, int.from_bytes(kind[4:8], "little")
    if family == _STRING:
        return data[:size].split(b"\x00")[0]
    if family == _VARIABLE and kind[1] & 0x0F == 1:
        length = int.from_bytes(data[:4], "little")
        address = int.from_bytes(data[4 : 4 + widths.offset], "little")
        index = int.from_bytes(data[4 + widths.offset : 8 + widths.offset], "little")
        return _heap_object(ranges, widths, address, index)[:length].split(b"\x00")[0]
    raise Unreadable(f"its attribute {name} is no text")


def _heap_object(ranges: Ranges, widths: _Widths, address: int, index: int) -> bytes:
    head = 8 + widths.length
    opening = ranges.at(address, head)
    if not opening.startswith(b"GCOL"):
        raise Unreadable("a text of its root group points nowhere", address)
    end = address + int.from_bytes(opening[8:], "little")
    at = address + head
    for _ in range(MAX_HEAP_OBJECTS):
        if at + head > end:
            break
        entry = ranges.at(at, head)
        number, size = int.from_bytes(entry[:2], "little"), int.from_bytes(entry[8:], "little")
        if number == 0:
            break
        if number == index:
            if size > MAX_JSON_BYTES:
                raise OverLimit(f"a text of its root group has {size:,} bytes", at)
            return ranges.at(at + head, size)
        at += head + (size + 7) // 8 * 8
    raise Unreadable("a text of its root group points nowhere", address)
