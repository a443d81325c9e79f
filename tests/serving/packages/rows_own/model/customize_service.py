import collections
import json

from model_service.python_model_service import XgSklServingBaseService


class user_Service(XgSklServingBaseService):
    def __init__(self, model_path):
        self.path = model_path

    def _preprocess(self, data):
        self.kind = type(data).__name__
        return json.loads(data, object_pairs_hook=collections.OrderedDict)["data"]["req_data"]

    def _inference(self, data):
        return [list(row) for row in data]

    def _postprocess(self, data):
        return {"columns": data, "kind": self.kind, "same": self.path == self.model_path}
