"""`Detector`: a network that classifies windows of images.

Source: documentation of pycaffe, Caffe 1.0.
"""

import numpy as np

from caffe import io
from caffe.classifier import transformer_of
from caffe.missing import refuse
from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST


class Detector(Net):
    """A network with the transformations of its one input.

    Args:
        model_file: The prototxt.
        pretrained_file: The caffemodel.
        mean: As for `Transformer.set_mean`; the others likewise.
        context_pad: Not possible here.
    """

    def __init__(
        self,
        model_file,
        pretrained_file,
        mean=None,
        input_scale=None,
        raw_scale=None,
        channel_swap=None,
        context_pad=None,
    ):
        super(Detector, self).__init__(model_file, TEST, weights=pretrained_file)
        if context_pad:
            refuse("Detector with context_pad")
        self.transformer = transformer_of(self, mean, input_scale, raw_scale, channel_swap)

    def crop(self, im, window):
        """Return the part of an image in a window (ymin, xmin, ymax, xmax)."""
        return im[window[0] : window[2], window[1] : window[3]]

    def detect_windows(self, images_windows):
        """Classify windows.

        Args:
            images_windows: (path of an image, its windows) pairs; a window is (ymin, xmin, ymax, xmax).

        Returns:
            One object for each window: `window`, `prediction` and `filename`.
        """
        found, values = [], []
        name = self.inputs[0]
        for path, windows in images_windows:
            image = io.load_image(path)
            for window in windows:
                values.append(self.transformer.preprocess(name, self.crop(image, window)))
                found.append({"window": window, "filename": path})
        predictions = self.forward_all(**{name: np.array(values, dtype=np.float32)})[self.outputs[0]]
        for detection, prediction in zip(found, predictions):
            detection["prediction"] = prediction
        return found

    def detect_selective_search(self, image_fnames):
        """Refuse: it needs a program beside Caffe."""
        refuse("detect_selective_search")
