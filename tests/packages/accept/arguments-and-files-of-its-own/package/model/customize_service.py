import argparse
import os

from model_service.pytorch_model_service import PTServingBaseService


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=3)
    return parser.parse_args()


class Service(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.options = parse()
        self.folder = os.path.dirname(os.path.abspath(__file__))

    def _preprocess(self, data):
        written = []
        for files in data.values():
            for name, content in files.items():
                beside = os.path.join(self.folder, "upload_" + name)
                for path in (beside, "upload_" + name):
                    with open(path, "wb") as f:
                        f.write(content.read())
                        content.seek(0)
                    written.append(path)
        return written

    def _inference(self, data):
        sizes = [os.path.getsize(path) for path in data]
        for path in data:
            os.remove(path)
        return {"n": sum(sizes) * self.options.size}

    def _postprocess(self, data):
        return data
