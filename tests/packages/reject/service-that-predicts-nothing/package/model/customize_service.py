from model_service.model_service import SingleNodeService


class Service(SingleNodeService):
    def _preprocess(self, data):
        return data
