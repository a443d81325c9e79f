"""Answers with more than anybody wants."""

import os

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        pass

    def _inference(self, data):
        pass

    def _postprocess(self, data):
        return [{"predictresult": "x" * 20000000}]
