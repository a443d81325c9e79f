"""Fills the one folder of the host that it can write to."""

import os
import time

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        pass

    def _inference(self, data):
        folder = os.path.dirname(os.environ["AIRLOCK_BIND"].partition(":")[2])
        with open(os.path.join(folder, "more"), "wb") as file:
            for _ in range(4000):
                file.write(os.urandom(1000000))
        time.sleep(600)

    def _postprocess(self, data):
        return [{"predictresult": 1}]
