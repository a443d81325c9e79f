import json
import threading
import time

from model_service.tfserving_model_service import TfServingBaseService


class Service(TfServingBaseService):
    def __init__(self, model_name, model_path):
        self.model_name = model_name
        self.model_path = model_path
        self.loaded = False
        threading.Thread(target=self.load).start()

    def load(self):
        time.sleep(0.5)
        self.loaded = True

    def health(self):
        if self.loaded:
            return json.dumps({"health": True}), 200
        return json.dumps({"health": False}), 404

    def _inference(self, data):
        if not self.loaded:
            raise RuntimeError("not loaded")
        return {"y": data["x"]}
