"""`caffe.io`: images, and their way into an input blob.

Source: documentation of pycaffe, Caffe 1.0, and of skimage.transform.resize of that time, which pycaffe calls.
"""

import cv2
import numpy as np

from caffe.missing import refuse
from caffe.proto import caffe_pb2

# Code reads mean files by `caffe.io.caffe_pb2` too.
__all__ = [
    "Transformer",
    "blobproto_to_array",
    "caffe_pb2",
    "load_image",
    "oversample",
    "resize_image",
]

# skimage's weights of red, green and blue.
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)


def load_image(filename, color=True):
    """Read an image.

    Args:
        filename: A path, or an open file.
        color: Whether to give three channels, red first; else one of intensity.

    Returns:
        Array of shape (height, width, 3 or 1), float32 between 0 and 1.

    Raises:
        OSError: There is no such file, or it is no image that OpenCV reads.
    """
    if hasattr(filename, "read"):
        content = filename.read()
    else:
        with open(filename, "rb") as stream:
            content = stream.read()
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if image is None:
        name = getattr(filename, "name", None) or ("the given file" if hasattr(filename, "read") else filename)
        raise OSError("%s is no image that %s reads" % (name, "OpenCV " + cv2.__version__))
    if image.dtype.kind in "ui":
        image = image.astype(np.float32) / np.iinfo(image.dtype).max
    image = image.astype(np.float32)
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
        return np.tile(image, (1, 1, 3)) if color else image
    image = np.ascontiguousarray(image[:, :, 2::-1])
    return image if color else (image @ _LUMINANCE)[:, :, np.newaxis]


def resize_image(im, new_dims, interp_order=1):
    """Resize an image.

    Images of one or three channels are sampled at the centres of the new pixels, and beyond the edge lies the image's
    least value; others have their corners kept in place.

    Args:
        im: Array of shape (height, width, channels).
        new_dims: (height, width).
        interp_order: 1, linear interpolation.

    Returns:
        The resized array, float32.
    """
    if interp_order != 1:
        refuse("interpolation of order %r" % (interp_order,))
    height, width = int(new_dims[0]), int(new_dims[1])
    im = np.asarray(im)
    if im.shape[-1] not in (1, 3):
        places = [_corners(old, new) for old, new in zip(im.shape[:2], (height, width))]
        return _sample(im.astype(np.float64), places).astype(np.float32)
    least, most = im.min(), im.max()
    if not most > least:
        return np.full((height, width, im.shape[-1]), least, np.float32)
    places = [_centres(old, new) for old, new in zip(im.shape[:2], (height, width))]
    scaled = (im - least) / (most - least)
    return (_sample(scaled.astype(np.float64), places) * (most - least) + least).astype(np.float32)


def _centres(old, new):
    return (np.arange(new) + 0.5) * (float(old) / new) - 0.5


def _corners(old, new):
    return np.linspace(0, old - 1, new) if new > 1 else np.zeros(1)


def _sample(im, places):
    """Sample along both axes; what lies beyond the edge is 0."""
    for axis, place in enumerate(places):
        im = np.moveaxis(im, axis, 0)
        low = np.floor(place).astype(int)
        share = (place - low)[:, np.newaxis, np.newaxis]
        im = np.moveaxis(_rows(im, low) * (1 - share) + _rows(im, low + 1) * share, 0, axis)
    return im


def _rows(im, rows):
    found = im[np.clip(rows, 0, len(im) - 1)]
    found[(rows < 0) | (rows >= len(im))] = 0
    return found


def oversample(images, crop_dims):
    """Cut ten crops of each image: the four corners, the centre, and the same five mirrored.

    Args:
        images: Arrays of shape (height, width, channels), all of one size.
        crop_dims: (height, width) of a crop.

    Returns:
        Array of shape (10 × images, height, width, channels), float32.
    """
    height, width = int(crop_dims[0]), int(crop_dims[1])
    full_height, full_width = images[0].shape[:2]
    places = [(top, left) for top in (0, full_height - height) for left in (0, full_width - width)]
    places.append((int(full_height / 2.0 - height / 2.0), int(full_width / 2.0 - width / 2.0)))
    crops = []
    for image in images:
        five = [image[top : top + height, left : left + width, :] for top, left in places]
        crops += five + [crop[:, ::-1, :] for crop in five]
    return np.array(crops, dtype=np.float32)


def blobproto_to_array(blob, return_diff=False):
    """Return the values of a BlobProto in their shape: four dimensions in the old form."""
    data = np.array(blob.diff if return_diff else blob.data)
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return data.reshape(blob.num, blob.channels, blob.height, blob.width)
    return data.reshape([int(dim) for dim in blob.shape.dim])


def array_to_blobproto(arr, diff=None):
    """Refuse: it is for writing files."""
    refuse("array_to_blobproto")


def array_to_datum(arr, label=None):
    """Refuse: it is for databases."""
    refuse("array_to_datum")


def datum_to_array(datum):
    """Refuse: it is for databases."""
    refuse("datum_to_array")


class Transformer:
    """Brings images into the form of an input blob.

    Args:
        inputs: Input blob → its shape.

    Attributes:
        inputs: As given.
        transpose: Input blob → order of the axes.
        channel_swap: Input blob → order of the channels.
        raw_scale: Input blob → factor before the mean is taken off.
        mean: Input blob → mean.
        input_scale: Input blob → factor after the mean is taken off.
    """

    def __init__(self, inputs):
        self.inputs = inputs
        self.transpose = {}
        self.channel_swap = {}
        self.raw_scale = {}
        self.mean = {}
        self.input_scale = {}

    def _check(self, in_):
        if in_ not in self.inputs:
            raise Exception("{} is not one of the net inputs: {}".format(in_, self.inputs))

    def preprocess(self, in_, data):
        """Return an image for an input blob.

        In this order: float32, the input's height and width, transposed, channels swapped, times raw scale, minus mean,
        times input scale. The given array stays as it is; Caffe may write into it.

        Args:
            in_: Name of the input blob.
            data: Array of shape (height, width, channels).

        Returns:
            Array in the order of the input's axes without its first, float32.
        """
        self._check(in_)
        values = np.array(data, np.float32)
        if values.shape[:2] != tuple(self.inputs[in_][2:]):
            values = resize_image(values, self.inputs[in_][2:])
        if self.transpose.get(in_) is not None:
            values = values.transpose(self.transpose[in_])
        if self.channel_swap.get(in_) is not None:
            values = values[list(self.channel_swap[in_]), :, :]
        if self.raw_scale.get(in_) is not None:
            values *= self.raw_scale[in_]
        if self.mean.get(in_) is not None:
            values -= self.mean[in_]
        if self.input_scale.get(in_) is not None:
            values *= self.input_scale[in_]
        return values

    def deprocess(self, in_, data):
        """Return the image of a blob's values: `preprocess` backwards, without the resizing."""
        self._check(in_)
        values = np.array(data).squeeze()
        if self.input_scale.get(in_) is not None:
            values /= self.input_scale[in_]
        if self.mean.get(in_) is not None:
            values += self.mean[in_]
        if self.raw_scale.get(in_) is not None:
            values /= self.raw_scale[in_]
        if self.channel_swap.get(in_) is not None:
            values = values[np.argsort(self.channel_swap[in_]), :, :]
        if self.transpose.get(in_) is not None:
            values = values.transpose(np.argsort(self.transpose[in_]))
        return values

    def set_transpose(self, in_, order):
        """Set the order of the axes: (2, 0, 1) puts the channels first."""
        self._check(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise Exception("Transpose order needs to have the same number of dimensions as the input.")
        self.transpose[in_] = order

    def set_channel_swap(self, in_, order):
        """Set the order of the channels, which are the first axis by then: (2, 1, 0) puts blue first."""
        self._check(in_)
        if len(order) != self.inputs[in_][1]:
            raise Exception("Channel swap needs to have the same number of dimensions as the input channels.")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_, scale):
        """Set the factor before the mean is taken off: 255 for images between 0 and 1."""
        self._check(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_, mean):
        """Set the mean: one value for each channel, or an image.

        Raises:
            ValueError: It does not fit the input.
        """
        self._check(in_)
        shape = tuple(self.inputs[in_][1:])
        if mean.ndim == 1:
            if len(mean) != shape[0]:
                raise ValueError("Mean channels incompatible with input.")
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            given = (1, *mean.shape) if mean.ndim == 2 else mean.shape
            if len(given) != 3:
                raise ValueError("Mean shape invalid")
            if given != shape:
                raise ValueError("Mean shape incompatible with input shape.")
        self.mean[in_] = mean

    def set_input_scale(self, in_, scale):
        """Set the factor after the mean is taken off."""
        self._check(in_)
        self.input_scale[in_] = scale
