"""Loads a Keras file in the constructor: with TensorFlow 1 into the default graph of the thread, which must predict."""

import os

import numpy as np
from model_service.tfserving_model_service import TfServingBaseService
from tensorflow import keras


class Service(TfServingBaseService):
    def __init__(self, model_name, model_path):
        self.network = keras.models.load_model(os.path.join(model_path, "iris.h5"))

    def _preprocess(self, data):
        return np.array(data["flowers"], dtype="float32")

    def _inference(self, data):
        return self.network.predict(data)

    def _postprocess(self, data):
        return {"probabilities": data, "species": [int(row.argmax()) for row in data]}
