import os

from model_service.tfserving_model_service import TfServingBaseService


class Service(TfServingBaseService):
    def __init__(self, model_name, model_path):
        self.labels = open("/home/mind/model/1/labels.txt").read().split()
        self.relative = open("model/1/labels.txt").read().split()

    def _inference(self, data):
        return {"label": self.labels[int(data["x"])], "same": self.labels == self.relative, "cwd": os.getcwd()}
