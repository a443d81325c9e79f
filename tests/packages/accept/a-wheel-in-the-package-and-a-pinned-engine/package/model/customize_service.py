import json

import brought_along
import sklearn
from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        self.version = sklearn.__version__

    def _preprocess(self, data):
        return [row["x"] for row in json.loads(data)["data"]["req_data"]]

    def _inference(self, data):
        return [brought_along.twice(x) for x in data]

    def _postprocess(self, data):
        return data
