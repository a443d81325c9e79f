"""Messages of caffe.proto that inference code reads: mean files (BlobProto) and the phases. Others refuse.

Source: caffe.proto, Caffe 1.0.
"""

import numpy as np

from caffe import wire
from caffe.missing import refuse

TRAIN = 0
TEST = 1

_OLD_FIELDS = {"num": 1, "channels": 2, "height": 3, "width": 4}


class BlobShape(object):
    """Dimensions of a blob."""

    def __init__(self):
        self.dim = []


class BlobProto(object):
    """Values with a shape, as mean files (`mean.binaryproto`) have them."""

    def __init__(self):
        self._read(wire.Blob(memoryview(b"")))

    def _read(self, blob):
        self._old = dict(blob.old)
        self.shape = BlobShape()
        self.shape.dim = list(blob.dims)
        for name, field in _OLD_FIELDS.items():
            setattr(self, name, blob.old.get(field, 0))
        self.data = np.array(blob.data, np.float64)
        self.diff = np.array(blob.diff, np.float64)

    def ParseFromString(self, content):
        """Read a message from bytes.

        Raises:
            ValueError: The bytes are no such message.
        """
        self._read(wire.Blob(memoryview(content)))
        return len(content)

    MergeFromString = ParseFromString

    @classmethod
    def FromString(cls, content):
        """Return the message of bytes."""
        message = cls()
        message.ParseFromString(content)
        return message

    def HasField(self, name):
        """Return whether a field is there."""
        if name in _OLD_FIELDS:
            return _OLD_FIELDS[name] in self._old
        if name == "shape":
            return bool(self.shape.dim)
        raise ValueError("BlobProto has no single field %r" % name)


class _Missing(object):
    def __init__(self, *args, **kwargs):
        refuse("caffe_pb2." + type(self).__name__)


class BlobProtoVector(_Missing):
    """Several blobs."""


class Datum(_Missing):
    """An image of a database."""


class NetParameter(_Missing):
    """A network."""


class SolverParameter(_Missing):
    """A solver's settings."""
