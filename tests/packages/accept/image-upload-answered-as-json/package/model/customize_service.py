import io
import os
from collections import OrderedDict

from model_service.pytorch_model_service import PTServingBaseService


class ImageService(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.dir_path = os.path.dirname(os.path.realpath(model_path))
        with open(os.path.join(self.dir_path, "labels.txt")) as f:
            self.labels = f.read().split()

    def _preprocess(self, data):
        images = OrderedDict()
        for key, files in data.items():
            for file_name, file_content in files.items():
                if not isinstance(file_content, io.BytesIO):
                    raise ValueError("not a BytesIO")
                images[file_name] = file_content.getvalue()
        return images

    def _inference(self, data):
        return [(self.labels[len(content) % 2], name, len(content)) for name, content in data.items()]

    def _postprocess(self, data):
        return {"result": [{"label": label, "name": name, "bytes": size} for label, name, size in data]}
