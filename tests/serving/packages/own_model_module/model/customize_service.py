import model
from model_service.caffe_model_service import CaffeBaseService
from model_service.model_service import SingleNodeService

from .utils import VALUE


class Base(CaffeBaseService):
    """Not the service: it has a subclass here. Nor does the base class decide the engine."""


class Service(Base):
    def __init__(self, name, path):
        # Skips its own base's constructor, as one package in the wild does.
        super(CaffeBaseService, self).__init__(name, path)

    def inference(self, data):
        return [model.WHO, VALUE, self.model_name, self.model_path]
