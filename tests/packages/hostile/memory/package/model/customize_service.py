"""Takes more memory than it may."""

import os

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        pass

    def _inference(self, data):
        self.eaten = [b'x' * 1000000 for _ in range(100000)]

    def _postprocess(self, data):
        return [{"predictresult": 1}]
