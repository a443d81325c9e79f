"""Blobs: named memory of a network. Its array is a view of it, so that code may write into it and keep it."""

import numpy as np


class Blob(object):
    """Values in a shape.

    Args:
        shape: Dimensions; None where they are not known before the weights are.
        source: Values to start with, copied when they are first asked for; without them zeros.
    """

    def __init__(self, shape, source=None):
        self._source = source
        self._memory = None
        self._gradient = None
        self._shape = None if shape is None else tuple(int(dim) for dim in shape)

    @property
    def shape(self):
        """Dimensions."""
        if self._shape is None:
            raise RuntimeError("the shape of this blob is known once the weights are loaded: call copy_from first")
        return self._shape

    @property
    def data(self):
        """Values: float32, shared with the network."""
        count = self.count
        if self._memory is None:
            self._memory = np.zeros(count, np.float32)
            if self._source is not None:
                self._memory[...] = np.ravel(self._source)
        return self._memory[:count].reshape(self._shape)

    @property
    def diff(self):
        """Gradients: zeros, because there is no training."""
        if self._gradient is None or self._gradient.size != self.count:
            self._gradient = np.zeros(self.count, np.float32)
        return self._gradient.reshape(self._shape)

    @property
    def count(self):
        """Number of values."""
        count = 1
        for dim in self.shape:
            count *= dim
        return count

    def _old_dimension(self, index):
        if len(self.shape) > 4:
            raise RuntimeError("a blob of %d dimensions has no num, channels, height and width" % len(self._shape))
        return self._shape[index] if index < len(self._shape) else 1

    @property
    def num(self):
        """First dimension."""
        return self._old_dimension(0)

    @property
    def channels(self):
        """Second dimension, 1 where there is none."""
        return self._old_dimension(1)

    @property
    def height(self):
        """Third dimension, 1 where there is none."""
        return self._old_dimension(2)

    @property
    def width(self):
        """Fourth dimension, 1 where there is none."""
        return self._old_dimension(3)

    def reshape(self, *dims):
        """Give the blob another shape; as in Caffe, memory is taken only when it gets larger than ever."""
        self._shape = tuple(int(dim) for dim in dims)
        if self._memory is not None and self._memory.size < self.count:
            self._memory = np.zeros(self.count, np.float32)

    def put(self, values):
        """Take values of any shape over, into the memory that views of the blob show."""
        if self._shape is None or self._shape != tuple(values.shape):
            self.reshape(*values.shape)
        self.data[...] = values

    def values(self):
        """Return the values without making them writable first."""
        return self._source if self._memory is None and self._source is not None else self.data

    def changed(self):
        """Return whether the values are other ones than those that it started with."""
        return self._memory is not None and not np.array_equal(np.ravel(self._source), self._memory)

    def settle(self):
        """Make the values those that it starts with."""
        if self.changed():
            self._source = self.data.copy()
