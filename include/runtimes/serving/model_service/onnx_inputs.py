"""From a request to the arrays that an ONNX model takes: by name, of the declared type and shape.

What does not fit is a ``TypeError`` or ``KeyError``, which the server answers with 400.
"""

from __future__ import absolute_import

import io
import json
from collections import OrderedDict

import numpy

NUMPY_OPENING = b"\x93NUMPY"
_TYPES = {
    "float": "float32",
    "double": "float64",
    "string": "object",
}
_CHANNEL_MODES = {1: "L", 3: "RGB"}


def inputs_of(wanted, data):
    """Return ``{input name: array}`` of a request.

    Args:
        wanted: The session's inputs.
        data: A JSON object, or a form's fields: files are images or NumPy arrays, text is JSON.

    Raises:
        KeyError: An input is missing.
        TypeError: A value does not fit its input.
    """
    if not isinstance(data, dict):
        raise TypeError("the request has to be an object with the model's inputs: %s" % describe(wanted))
    inputs = {}
    for entry in wanted:
        value = _value(entry, wanted, data)
        if isinstance(value, OrderedDict) and all(hasattr(stream, "getvalue") for stream in value.values()):
            value = _of_files(entry, list(value.items()))
        elif hasattr(value, "encode") and _item_type(entry) != "object":
            value = _parsed(entry, value)
        inputs[entry.name] = as_array(entry, value)
    return inputs


def feed_of(wanted, data):
    """Return what the session is fed with: the inputs that it has, as arrays of its types."""
    return {entry.name: as_array(entry, _value(entry, wanted, data)) for entry in wanted}


def as_array(entry, value):
    """Return a value as the array that an input takes.

    Raises:
        TypeError: Its form or its numbers do not fit.
    """
    item = _item_type(entry)
    try:
        array = numpy.asarray(value)
        # Rows of different lengths become an array of lists, which no model takes.
        ragged = array.dtype == object and any(isinstance(part, (list, tuple)) for part in array.ravel())
    except ValueError:
        ragged = True
    if ragged:
        raise TypeError("input %s: the lists are not of one length" % entry.name)
    if array.dtype != item or item == "object":
        if not _casts(array, numpy.dtype(item)):
            raise TypeError("input %s takes %s, the request has %s" % (entry.name, entry.type, array.dtype))
        array = array.astype(item)
    fits = len(entry.shape) == array.ndim and all(
        not isinstance(size, int) or size == given for size, given in zip(entry.shape, array.shape)
    )
    # A model that says nothing about the shape says so with an empty one, like one that takes a single number.
    if not fits and entry.shape:
        raise TypeError("input %s has the shape %s, the model takes %s" % (entry.name, list(array.shape), entry.shape))
    return array


def describe(wanted):
    """Return the inputs in words, for a message."""
    return ", ".join("%s %s %s" % (entry.name, entry.type, entry.shape) for entry in wanted)


def _value(entry, wanted, data):
    if entry.name not in data:
        raise KeyError("%s is missing; the model's inputs are %s" % (entry.name, describe(wanted)))
    return data[entry.name]


def _item_type(entry):
    kind = entry.type
    if not kind.startswith("tensor("):
        raise TypeError("input %s is a %s: define _preprocess and _inference" % (entry.name, kind))
    name = kind[len("tensor(") : -1]
    return _TYPES.get(name, name)


def _casts(array, item):
    """Whether no number changes its meaning: neither a fraction nor a digit is lost silently."""
    if item == object:
        return all(hasattr(part, "encode") for part in array.ravel())
    if array.size == 0:
        return True
    if array.dtype.kind in "iub" and item.kind in "iu":
        return bool((array.astype(item) == array).all())
    if array.dtype.kind in "iuf" and item.kind == "f":
        return True
    return array.dtype.kind == "b" and item.kind == "b"


def _parsed(entry, text):
    try:
        return json.loads(text)
    except ValueError:
        raise TypeError("input %s: the field is neither a file nor JSON" % entry.name)


def _of_files(entry, files):
    arrays = [_of_file(entry, name, stream.getvalue()) for name, stream in files]
    if arrays[0].ndim == len(entry.shape) and len(arrays) == 1:
        return arrays[0]
    if len({array.shape for array in arrays}) > 1:
        raise TypeError("input %s: the files have different sizes, and the model fixes none" % entry.name)
    return numpy.stack(arrays)


def _of_file(entry, name, content):
    if content.startswith(NUMPY_OPENING):
        try:
            return numpy.load(io.BytesIO(content), allow_pickle=False)
        except ValueError as error:
            raise TypeError("input %s: %s cannot be read: %s" % (entry.name, name, error))
    return _of_image(entry, name, content)


def _of_image(entry, name, content):
    """Return one image as the model takes it: of its size and channels, floating-point numbers from 0 to 1.

    Means and deviations that some networks subtract are nowhere in the model: such packages define ``_preprocess``.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise TypeError("input %s: images need the dependency pillow, or a _preprocess" % entry.name)
    shape = list(entry.shape)
    if len(shape) == 4 and shape[1] in _CHANNEL_MODES:
        channels, height, width, first = shape[1], shape[2], shape[3], True
    elif len(shape) == 4 and shape[3] in _CHANNEL_MODES:
        channels, height, width, first = shape[3], shape[1], shape[2], False
    else:
        raise TypeError("input %s takes %s %s, which is no image" % (entry.name, entry.type, shape))
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert(_CHANNEL_MODES[channels])
    except Exception as error:  # Pillow's readers raise anything
        raise TypeError("input %s: %s is no image that can be read: %s" % (entry.name, name, type(error).__name__))
    if isinstance(height, int) and isinstance(width, int) and image.size != (width, height):
        image = image.resize((width, height), Image.BILINEAR)
    array = numpy.asarray(image)
    if channels == 1:
        array = array[:, :, None]
    if first:
        array = array.transpose(2, 0, 1)
    if numpy.dtype(_item_type(entry)).kind == "f":
        array = array.astype(_item_type(entry)) / 255
    return array
