import helper
from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def _inference(self, data):
        return {"y": helper.twice(data["x"])}
