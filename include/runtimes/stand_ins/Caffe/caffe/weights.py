"""Trained weights: a caffemodel read into arrays, and arrays written as one that OpenCV reads.

Source: caffe.proto, Caffe 1.0: NetParameter, LayerParameter, V1LayerParameter.
"""

import mmap
import os

from caffe import wire

_LAYERS_V1, _LAYERS = 2, 100
# Field numbers of (name, blobs) in each form of a layer.
_FORMS = {_LAYERS: (1, 7), _LAYERS_V1: (4, 6)}
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_weights(path):
    """Read a caffemodel.

    Args:
        path: The file; it is mapped, and the arrays are read-only views of it.

    Returns:
        Layer name → list of blobs, for the layers that have any.

    Raises:
        RuntimeError: The file cannot be opened.
        ValueError: It is no caffemodel.
    """
    check_file(path)
    if os.path.getsize(path) == 0:
        raise ValueError("%s is no caffemodel: it is empty" % path)
    with open(path, "rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    view = memoryview(mapped)
    if bytes(view[: len(_HDF5)]) == _HDF5:
        raise NotImplementedError("the stand-in for Caffe reads no weights in HDF5: %s" % path)
    found = {}
    try:
        for field, value in wire.fields(view):
            if field in _FORMS and not isinstance(value, int):
                name, blobs = _layer(value, *_FORMS[field])
                if blobs:
                    found.setdefault(name, blobs)
    except wire.WireError as error:
        raise ValueError("%s is no caffemodel: %s" % (path, error))
    if not found:
        raise ValueError("%s is no caffemodel: it has no layer with weights" % path)
    return found


def check_file(path):
    """Say which file cannot be opened, as pycaffe does.

    Raises:
        RuntimeError: It cannot be read.
    """
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        raise RuntimeError("Could not open file " + str(path))


def _layer(view, name_field, blobs_field):
    name, blobs = "", []
    for field, value in wire.fields(view):
        if field == name_field:
            name = wire.text(value)
        elif field == blobs_field and not isinstance(value, int):
            blobs.append(wire.Blob(value))
    return name, blobs


def settled(blob, kind, index):
    """Return a blob's values in the shape that Caffe's layer has them.

    Old files give every blob four dimensions; Caffe takes them for the layer's own, which has as many values.

    Args:
        blob: The blob.
        kind: The layer's type.
        index: Which of the layer's blobs it is.
    """
    values = blob.array()
    if not blob.legacy:
        return values
    if index == 0 and kind in ("Convolution", "ConvolutionDepthwise", "Deconvolution"):
        return values
    if index == 0 and kind in ("InnerProduct", "Embed"):
        return values.reshape(values.shape[2:])
    return values.reshape(-1)


def write_weights(stream, layers):
    """Write arrays as a caffemodel.

    Args:
        stream: An open file.
        layers: (name, type, arrays) of each layer that has any.
    """
    for name, kind, arrays in layers:
        layer = wire.encode_bytes(1, name.encode("utf-8")) + wire.encode_bytes(2, kind.encode("utf-8"))
        for array in arrays:
            layer += wire.encode_bytes(7, *wire.encode_blob(array))
        stream.writelines(wire.encode_bytes(_LAYERS, *layer))
