import os
import threading
import time

from model_service.pytorch_model_service import PTServingBaseService


class Late(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.ready = False
        thread = threading.Thread(target=self.load, args=(model_path,))
        thread.start()

    def load(self, path):
        go = os.path.join(os.path.dirname(path), "go")
        while not os.path.exists(go):
            time.sleep(0.01)
        self.model = lambda value: [value]
        self.ready = True
        # Threads that never end must not keep the server from stopping.
        while True:
            time.sleep(1)

    def health(self):
        return ({"health": "true"}, 200) if self.ready else ("loading", 404)

    def _preprocess(self, data):
        while not self.ready:
            time.sleep(0.01)
        return data
