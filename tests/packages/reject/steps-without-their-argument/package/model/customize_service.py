from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def _preprocess(self):
        return []

    def _postprocess(self, data, request):
        return data
