from model_service.model_service import SingleNodeService


class DetectService(SingleNodeService):
    def __init__(self, model_name, model_path):
        SingleNodeService.__init__(self, model_name, model_path)
        self.model_name = model_name
        self.model_path = model_path

    def _preprocess(self, data):
        upload = list(data["input_img"].values())[0]
        return upload.read(), float(data.get("threshold", "0.5"))

    def _inference(self, data):
        content, threshold = data
        return {"size": len(content), "threshold": threshold}

    def _postprocess(self, data):
        return data
