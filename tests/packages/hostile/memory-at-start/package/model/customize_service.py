"""Takes more memory than it may before it is ready."""

import os

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        self.eaten = [b'x' * 1000000 for _ in range(100000)]

    def _inference(self, data):
        pass

    def _postprocess(self, data):
        return [{"predictresult": 1}]
