"""`Classifier`: a network that classifies images.

Source: documentation of pycaffe, Caffe 1.0.
"""

import numpy as np

from caffe import io
from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST


class Classifier(Net):
    """A network with the transformations of its one input.

    Args:
        model_file: The prototxt.
        pretrained_file: The caffemodel.
        image_dims: (height, width) to which images are brought before they are cropped; the input's own by default.
        mean: As for `Transformer.set_mean`; the others likewise.
    """

    def __init__(
        self,
        model_file,
        pretrained_file,
        image_dims=None,
        mean=None,
        input_scale=None,
        raw_scale=None,
        channel_swap=None,
    ):
        super(Classifier, self).__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = transformer_of(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = self.crop_dims if image_dims is None or len(image_dims) == 0 else image_dims

    def predict(self, inputs, oversample=True):
        """Classify images.

        Args:
            inputs: Arrays of shape (height, width, channels).
            oversample: Whether to average over ten crops of each image; else its centre alone counts.

        Returns:
            Array of shape (images, classes).
        """
        sized = np.array([io.resize_image(image, self.image_dims) for image in inputs], dtype=np.float32)
        if oversample:
            crops = io.oversample(sized, self.crop_dims)
        else:
            top, left = ((np.array(self.image_dims) - self.crop_dims) / 2.0).astype(int)
            crops = sized[:, top : top + self.crop_dims[0], left : left + self.crop_dims[1], :]
        name = self.inputs[0]
        values = np.array([self.transformer.preprocess(name, crop) for crop in crops], dtype=np.float32)
        predictions = self.forward_all(**{name: values})[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape((len(predictions) // 10, 10, -1)).mean(1)
        return predictions


def transformer_of(net, mean, input_scale, raw_scale, channel_swap):
    """Return the transformations of a network's first input."""
    name = net.inputs[0]
    transformer = io.Transformer({name: net.blobs[name].data.shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer
