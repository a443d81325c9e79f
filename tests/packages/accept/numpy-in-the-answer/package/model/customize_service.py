import json

import numpy as np
from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        self.model_path = model_path

    def _preprocess(self, data):
        return np.array([row["x"] for row in json.loads(data)["data"]["req_data"]], dtype="float32")

    def _inference(self, data):
        return data * 2

    def _postprocess(self, data):
        # Nothing is converted.
        return {"values": data, "first": data[0], "count": np.int64(len(data)), "any": data.any()}
