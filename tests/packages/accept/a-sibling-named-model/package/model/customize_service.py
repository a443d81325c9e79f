import os
import threading

import model as network
from model_service.model_service import SingleNodeService


class Service(SingleNodeService):
    def __init__(self, model_name, model_path):
        self.model_name = model_name
        self.model_path = model_path
        self.checkpoint = os.path.join(model_path, "net.ckpt")
        self.network = network.Net()
        if os.path.getsize(os.path.join(model_path, "net.om")):
            raise ValueError("net.om has lost its emptiness")

    def _preprocess(self, data):
        for files in data.values():
            for file_content in files.values():
                return file_content.getvalue()

    def _inference(self, data):
        return self.network(len(data))

    def _postprocess(self, data):
        return {"label": data}
