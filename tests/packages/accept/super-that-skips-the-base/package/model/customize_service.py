from model_service.pytorch_model_service import PTServingBaseService


class Service(PTServingBaseService):
    def __init__(self, model_name, model_path):
        super(PTServingBaseService, self).__init__(model_name, model_path)

    def _inference(self, data):
        return {"name": self.model_name, "path": self.model_path.rpartition("/")[2]}
