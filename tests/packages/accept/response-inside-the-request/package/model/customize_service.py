from model_service.caffe_model_service import CaffeBaseService


class CountService(CaffeBaseService):
    def __init__(self, model_name, model_path):
        self.model_name = model_name

    def _preprocess(self, data):
        return len(data["images"])

    def _inference(self, data):
        return data

    def _postprocess(self, data):
        return {"n": data}
