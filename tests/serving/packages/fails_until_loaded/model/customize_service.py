import os
import threading
import time

from model_service.pytorch_model_service import PTServingBaseService


class Service(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.model = None
        self.folder = os.path.dirname(os.path.realpath(__file__))
        threading.Thread(target=self.load).start()

    def load(self):
        while not os.path.exists(os.path.join(self.folder, "go")):
            time.sleep(0.02)
        self.model = {"a": 1}

    def _preprocess(self, data):
        return data

    def _inference(self, data):
        return {"a": self.model["a"], "b": 1 // data["b"]}

    def _postprocess(self, data):
        return data
