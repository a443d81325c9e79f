"""Protocol buffers on the wire, as far as Caffe's files need them: read without copying, and written again.

Source: Protocol Buffers, "Encoding"; field numbers of caffe.proto, Caffe 1.0.
"""

import struct

import numpy as np

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no message."""


def fields(view):
    """Yield the fields of a message as (number, value).

    Args:
        view: A memoryview of bytes.

    Yields:
        The number, and an integer for a varint, else the field's bytes as a memoryview.

    Raises:
        WireError: The bytes are no message.
    """
    position, size = 0, len(view)
    while position < size:
        key, position = _varint(view, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(view, position)
            yield number, value
            continue
        if kind == _BYTES:
            length, position = _varint(view, position)
        elif kind == _FIXED32:
            length = 4
        elif kind == _FIXED64:
            length = 8
        else:
            raise WireError("a field has the unknown form %d" % kind)
        if number == 0 or position + length > size:
            raise WireError("a field is longer than what is there")
        yield number, view[position : position + length]
        position += length


def _varint(view, position):
    value = shift = 0
    while True:
        if position >= len(view) or shift > 63:
            raise WireError("a number has no end")
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def text(value):
    """Return a field as text.

    Raises:
        WireError: The field is a number, or no UTF-8.
    """
    if isinstance(value, int):
        raise WireError("a text is a number")
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise WireError("a text is not UTF-8")


def number(value):
    """Return a field as a number.

    Raises:
        WireError: It is none.
    """
    if not isinstance(value, int):
        raise WireError("a number is no number")
    return value


def numbers(value):
    """Return a field of integers, packed or not, as a list.

    Raises:
        WireError: The bytes are no integers.
    """
    if isinstance(value, int):
        return [value]
    found, position = [], 0
    while position < len(value):
        item, position = _varint(value, position)
        found.append(item)
    return found


class Blob(object):
    """A BlobProto.

    Attributes:
        shape: Dimensions; of the old form the four that it has.
        legacy: Whether the shape is of the old form, num, channels, height and width.
        data: Values, float32 (float64 where the file has doubles), flat and read-only.
        diff: The same for the gradients.
    """

    def __init__(self, view):
        dims, old = [], {}
        pieces = {5: [], 6: [], 8: [], 9: []}
        for field, value in fields(view):
            if field in (1, 2, 3, 4):
                old[field] = number(value)
            elif field == 7:
                for inner, dim in fields(value):
                    if inner == 1:
                        dims.extend(numbers(dim))
            elif field in pieces:
                pieces[field].append(value)
        self.legacy = bool(old)
        self.dims = tuple(dims)
        self.old = old
        self.shape = tuple(old.get(key, 0) for key in (1, 2, 3, 4)) if old else self.dims
        self.data = _array(pieces[8], "<f8") if pieces[8] else _array(pieces[5], "<f4")
        self.diff = _array(pieces[9], "<f8") if pieces[9] else _array(pieces[6], "<f4")

    def array(self):
        """Return the values in their shape.

        Raises:
            WireError: There are more or fewer values than the shape has.
        """
        count = 1
        for dim in self.shape:
            count *= dim
        if count != self.data.size:
            raise WireError("a blob of shape %s has %d values" % (self.shape, self.data.size))
        return self.data.reshape(self.shape)


def _array(pieces, form):
    width = int(form[-1])
    if any(isinstance(piece, int) or len(piece) % width for piece in pieces):
        raise WireError("values have another width than %d bytes" % width)
    if len(pieces) == 1:
        return np.frombuffer(pieces[0], form)
    return np.frombuffer(b"".join(pieces), form)


def encode_varint(value):
    """Return an integer from 0 upwards as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_bytes(field, *pieces):
    """Return a length-delimited field as a list of pieces, none of which is copied."""
    length = sum(memoryview(piece).nbytes for piece in pieces)
    return [encode_varint(field << 3 | _BYTES) + encode_varint(length), *pieces]


def encode_blob(array):
    """Return a BlobProto of an array as a list of pieces."""
    dims = b"".join(encode_varint(dim) for dim in array.shape)
    shape = encode_bytes(7, *encode_bytes(1, dims))
    values = np.ascontiguousarray(array, "<f4").reshape(-1)
    return shape + encode_bytes(5, memoryview(values).cast("B") if values.size else b"")


def encode_float(field, value):
    """Return a float field."""
    return encode_varint(field << 3 | _FIXED32) + struct.pack("<f", value)
