import threading
import time

from model_service.pytorch_model_service import PTServingBaseService


class Service(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.factor = None
        thread = threading.Thread(target=self.load)
        thread.start()

    def load(self):
        time.sleep(0.5)
        self.factor = 3

    def _preprocess(self, data):
        return data["x"]

    def _inference(self, data):
        return self.factor * data

    def _postprocess(self, data):
        return {"y": data}
