from model_service.pytorch_model_service import PTServingBaseService


class TextService(PTServingBaseService):
    def __init__(self, model_name, model_path):
        # Neither super() nor the base's constructor: most packages have none.
        self.words = {"good": "positive", "bad": "negative"}

    def _preprocess(self, data):
        return data["text"].lower().split()

    def _inference(self, data):
        return [self.words[word] for word in data if word in self.words]

    def _postprocess(self, data):
        return {"label": data[0] if data else "neutral"}
