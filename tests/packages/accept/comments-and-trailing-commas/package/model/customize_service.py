import json
import os

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        self.factor = float(open(os.path.join(os.path.dirname(model_path), "factor.txt")).read())

    def _preprocess(self, data):
        return [row["x"] for row in json.loads(data)["data"]["req_data"]]

    def _inference(self, data):
        return [self.factor * value for value in data]

    def _postprocess(self, data):
        return [{"predictresult": value} for value in data]
