# coding: utf-8
"""Inference code of the digits model: an uploaded image in, a digit out."""

import os

import log
import mxnet as mx
from mms.model_service.mxnet_model_service import MXNetBaseService
from mms.utils.mxnet import image

logger = log.getLogger(__name__)


class DigitsService(MXNetBaseService):
    """Reads the handwritten digit on an uploaded image, light on dark."""

    def __init__(self, model_name, model_dir, manifest, gpu=None):
        self.model_name = model_name
        self.signature = manifest["Model"]["Signature"]
        self.ctx = mx.cpu() if gpu is None else mx.gpu(gpu)
        epoch = int(manifest["Model"]["Parameters"][len(model_name) + 1 : -len(".params")])
        symbol, arguments, auxiliary = mx.model.load_checkpoint(os.path.join(model_dir, model_name), epoch)
        names = [entry["data_name"] for entry in self.signature["inputs"]]
        self.mx_model = mx.mod.Module(symbol=symbol, context=self.ctx, data_names=names, label_names=None)
        self.mx_model.bind(for_training=False, data_shapes=[(names[0], (1, 8, 8))])
        self.mx_model.set_params(arguments, auxiliary, allow_missing=True)
        logger.info("digits model of epoch %d on %s", epoch, self.ctx)

    def _preprocess(self, data):
        """Make 8x8 numbers between 0 and 16 of the image."""
        pixels = image.resize(image.read(data[0], flag=0), 8, 8).astype("float32") / 15
        return [pixels.reshape((1, 8, 8))]

    def _postprocess(self, data):
        chances = data[0].asnumpy()
        return {"results": [{"digit": int(row.argmax()), "probability": float(row.max())} for row in chances]}
