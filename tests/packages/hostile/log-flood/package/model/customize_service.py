"""Writes to its log without end."""

import threading

from model_service.python_model_service import XgSklServingBaseService


def flood():
    while True:
        print("y" * 100000, flush=True)


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        threading.Thread(target=flood, daemon=True).start()

    def _inference(self, data):
        while True:
            pass

    def _postprocess(self, data):
        return [{"predictresult": 1}]
