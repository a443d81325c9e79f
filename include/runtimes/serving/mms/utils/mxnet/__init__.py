"""``from mms.utils.mxnet import image, ndarray``; MXNet itself is imported at the first call."""
