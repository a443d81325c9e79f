"""Leaves a process behind that has detached itself."""

import os
import time

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        pass

    def _inference(self, data):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        raise RuntimeError("went wrong")

    def _postprocess(self, data):
        return [{"predictresult": 1}]
