from model_service.pytorch_model_service import PTServingBaseService


class CommonService(PTServingBaseService):
    def _preprocess(self, data):
        return data["x"]

    def _postprocess(self, data):
        return {"y": data}
