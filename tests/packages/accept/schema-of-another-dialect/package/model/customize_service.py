from model_service.pytorch_model_service import PTServingBaseService


class BoxService(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.model = sum

    def _preprocess(self, data):
        return data["boxes"]

    def _inference(self, boxes):
        return [self.model(box) / 4 for box in boxes]

    def _postprocess(self, scores):
        return {"scores": scores}
