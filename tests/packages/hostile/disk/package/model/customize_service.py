"""Fills the disk."""

import os
import tempfile

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        pass

    def _inference(self, data):
        with tempfile.TemporaryFile() as file:
            for _ in range(4000):
                file.write(os.urandom(1000000))

    def _postprocess(self, data):
        return [{"predictresult": 1}]
