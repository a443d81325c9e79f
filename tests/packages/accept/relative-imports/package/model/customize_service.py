from model.net.layers import plus_one as the_same
from model_service.pytorch_model_service import PTServingBaseService

from . import utils
from .net import plus_one


class Service(PTServingBaseService):
    def __init__(self, model_name, model_path):
        if the_same is not plus_one:
            raise ImportError("the module was loaded twice")

    def _inference(self, data):
        return {"y": plus_one(data["x"]) + utils.twice(1)}
