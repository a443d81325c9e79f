"""Image helpers for MXNet packages. Arrays are ``mxnet.nd.NDArray`` in height, width, channel order."""

from __future__ import absolute_import


def read(buf, flag=1, to_rgb=True, out=None):
    """Decode an image: bytes, or an object with ``read()``. ``flag`` 1 is colour, 0 is grey."""
    import mxnet

    if hasattr(buf, "getvalue"):
        buf = buf.getvalue()
    elif hasattr(buf, "read"):
        buf = buf.read()
    return mxnet.img.imdecode(buf, flag, to_rgb, out)


def write(img_arr, flag=1, format="jpeg"):  # noqa: A002 - the argument's name is part of the contract
    """Encode an image array as ``data:image/...;base64,...`` text."""
    import base64
    import io

    from PIL import Image

    stream = io.BytesIO()
    array = img_arr.asnumpy().astype("uint8")
    Image.fromarray(array[:, :, 0] if not flag and array.ndim == 3 else array).save(stream, format=format)
    return "data:image/%s;base64,%s" % (format, base64.b64encode(stream.getvalue()).decode("ascii"))


def resize(src, new_width, new_height, interp=2):
    """Return the image in a new size, in pixels."""
    import mxnet

    return mxnet.img.imresize(src, new_width, new_height, interp)


def fixed_crop(src, x0, y0, w, h, size=None, interp=2):
    """Cut out a rectangle; scale it to ``size`` (width, height) when given."""
    import mxnet

    return mxnet.img.fixed_crop(src, x0, y0, w, h, size, interp)


def color_normalize(src, mean, std=None):
    """Subtract the mean and divide by the standard deviation, per channel."""
    import mxnet

    return mxnet.img.color_normalize(src, mean, std)


def transform_shape(img_arr, dim_order="NCHW"):
    """Return the image as a batch of one, ``NCHW`` or ``NHWC``."""
    import mxnet

    if dim_order not in ("NCHW", "NHWC"):
        raise ValueError("dim_order must be NCHW or NHWC, not %r" % (dim_order,))
    if dim_order == "NCHW":
        img_arr = mxnet.nd.transpose(img_arr, (2, 0, 1))
    return mxnet.nd.expand_dims(img_arr, axis=0)
