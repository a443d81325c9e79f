# coding: utf-8
"""Inference code of the digits model: images through pycaffe's own transforming, one batch in one run."""

import caffe
import log
import numpy as np
from model_service.caffe_model_service import CaffeBaseService

logger = log.getLogger(__name__)


class DigitsService(CaffeBaseService):
    """Reads handwritten digits from 8x8 images given as numbers between 0 and 16."""

    def __init__(self, model_name, model_path):
        super(DigitsService, self).__init__(model_name, model_path)
        self.transformer = caffe.io.Transformer({"data": self.net.blobs["data"].data.shape})
        self.transformer.set_transpose("data", (2, 0, 1))
        # pycaffe's images lie between 0 and 1; the model was trained with pixels between 0 and 16.
        self.transformer.set_raw_scale("data", 16.0)
        logger.info("the network has %d layers with weights", len(self.net.params))

    def _preprocess(self, data):
        images = np.array(data["images"], dtype=np.float32)[:, :, :, np.newaxis] / 16
        self.net.blobs["data"].reshape(len(images), 1, 8, 8)
        self.net.reshape()
        for place, image in enumerate(images):
            self.net.blobs["data"].data[place, ...] = self.transformer.preprocess("data", image)

    def _postprocess(self, data):
        return {"results": [{"digit": int(row.argmax()), "probability": float(row.max())} for row in data["prob"]]}
