# coding: utf-8
"""Inference code of the iris model: a network's parameters that MindSpore saved."""

import os

import log
import mindspore
import numpy as np
from iris_network import IrisNetwork
from mindspore import ops
from model_service.model_service import SingleNodeService

SPECIES = ["setosa", "versicolor", "virginica"]
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
logger = log.getLogger(__name__)


class IrisService(SingleNodeService):
    """Names the species of each flower in the request, and how sure the network is of it."""

    def __init__(self, model_name, model_path):
        self.model_name = model_name
        self.model_path = model_path
        self.network = IrisNetwork()
        parameters = mindspore.load_checkpoint(os.path.join(model_path, "iris.ckpt"))
        mindspore.load_param_into_net(self.network, parameters)
        self.network.set_train(False)
        logger.info("iris model of MindSpore %s", mindspore.__version__)

    def _preprocess(self, data):
        return np.array([[flower[column] for column in COLUMNS] for flower in data["flowers"]], dtype=np.float32)

    def _inference(self, data):
        return ops.softmax(self.network(mindspore.Tensor(data)), axis=1).asnumpy()

    def _postprocess(self, data):
        return {"results": [{"species": SPECIES[row.argmax()], "probability": float(row.max())} for row in data]}
