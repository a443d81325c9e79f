"""Protocol buffers by their wire format alone: no schema is compiled, and large values are passed over unread.

Source: Protocol Buffers documentation, Encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

from airlock.domain.model_files.ranges import Ranges
from airlock.domain.model_files.streams import OverLimit, Unreadable

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELDS = 4_000_000
MAX_TEXT_BYTES = 4096
#: Bytes that are read at once: few after a jump over a large value, more where it goes on.
_LEAST_BYTES, _MOST_BYTES = 1 << 10, 1 << 16

#: Number, wire type, then the value of a number, or the start of bytes; and their end.
Field = tuple[int, int, int, int]


class Wire:
    """The messages of a file.

    Args:
        ranges: The file.
    """

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self._left = MAX_FIELDS
        self._base = 0
        self._window = b""

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message in these bytes.

        Yields:
            Number, wire type, value or start, end. Bytes are given by their place.

        Raises:
            Unreadable: It is no message.
            OverLimit: The file has more fields than are looked at.
        """
        at = start
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise OverLimit(f"it has more than {MAX_FIELDS:,} fields", at)
            offset = at - self._base
            if 0 <= offset <= len(self._window) - 2 and at + 2 <= end:
                key, value = self._window[offset], self._window[offset + 1]
                kind = key & 7
                # Most fields are of this kind: a small number, and a small number or length.
                if 7 < key < 0x80 and value < 0x80 and (kind == VARINT or (kind == BYTES and at + 2 + value <= end)):
                    at += 2
                    if kind == VARINT:
                        yield key >> 3, VARINT, value, at
                    else:
                        yield key >> 3, BYTES, at, at + value
                        at += value
                    continue
            key, at = self._varint(at, end)
            number, kind = key >> 3, key & 7
            if not 0 < number < 1 << 29:
                raise Unreadable("it is no protocol buffer: a field has no number", at)
            if kind == VARINT:
                value, at = self._varint(at, end)
                yield number, kind, value, at
            elif kind == BYTES:
                length, at = self._varint(at, end)
                if at + length > end:
                    raise Unreadable("a field is longer than what it stands in", at)
                yield number, kind, at, at + length
                at += length
            elif kind in (FIXED64, FIXED32):
                length = 8 if kind == FIXED64 else 4
                if at + length > end:
                    raise Unreadable("a field is longer than what it stands in", at)
                yield number, kind, at, at + length
                at += length
            else:
                raise Unreadable("it is no protocol buffer: a field has an unknown type", at)

    def text(self, start: int, end: int, limit: int = MAX_TEXT_BYTES) -> str:
        """A field's bytes as text.

        Raises:
            Unreadable: It is no UTF-8, or longer than the limit.
        """
        try:
            return self.raw(start, end, limit).decode("utf-8")
        except UnicodeDecodeError:
            raise Unreadable("a name is not UTF-8", start) from None

    def raw(self, start: int, end: int, limit: int) -> bytes:
        """A field's bytes.

        Raises:
            OverLimit: There are more than the limit.
        """
        if end - start > limit:
            raise OverLimit(f"a text of it has {end - start:,} bytes, at most {limit:,} are looked at", start)
        offset = start - self._base
        if offset >= 0 and offset + end - start <= len(self._window):
            return self._window[offset : offset + end - start]
        return self.ranges.at(start, end - start)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        offset = at - self._base
        if offset < 0 or offset + 10 > len(self._window):
            goes_on = 0 <= offset <= len(self._window)
            length = min(_MOST_BYTES, max(_LEAST_BYTES, 4 * len(self._window))) if goes_on else _LEAST_BYTES
            self._base, offset = at, 0
            self._window = self.ranges.up_to(at, length)
        window = self._window
        value = shift = 0
        stop = min(len(window), offset + 10, offset + end - at)
        for index in range(offset, stop):
            byte = window[index]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, at + index - offset + 1
            shift += 7
        raise Unreadable("a number of it does not end", at)


def entry(wire: Wire, start: int, end: int) -> tuple[str, tuple[int, int]]:
    """An entry of a map from text: the key, and the place of its value."""
    key, value = "", (end, end)
    for number, kind, at, until in wire.fields(start, end):
        if kind == BYTES and number == 1:
            key = wire.text(at, until)
        elif kind == BYTES and number == 2:
            value = (at, until)
    return key, value


def signed(value: int) -> int:
    """A varint as the int64 that it stands for."""
    return value - (1 << 64) if value >> 63 else value
