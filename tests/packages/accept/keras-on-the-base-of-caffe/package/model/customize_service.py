from model_service.caffe_model_service import CaffeBaseService


class KerasService(CaffeBaseService):
    def __init__(self, model_name, model_path):
        self.model_name = model_name
        self.model_path = model_path

    def _preprocess(self, data):
        return [name for files in data.values() for name in files]

    def _inference(self, data):
        return sorted(data)

    def _postprocess(self, data):
        return {"names": data}
