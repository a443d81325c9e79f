import json

from model_service.python_model_service import XgSklServingBaseService


class RowService(XgSklServingBaseService):
    def __init__(self, model_path):
        self.model_path = model_path

    def _preprocess(self, data):
        # The raw text of the body: the code parses it itself.
        return json.loads(data)["data"]["req_data"]

    def _inference(self, rows):
        return [sum(row.values()) for row in rows]

    def _postprocess(self, values):
        return [{"predictresult": value} for value in values]
