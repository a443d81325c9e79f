try:
    from model_service.pytorch_model_service import PTServingBaseService
except ImportError:

    class PTServingBaseService(object):
        """For runs on the author's machine."""

        def __init__(self, model_name, model_path):
            self.model_name = model_name
            self.model_path = model_path


class Service(PTServingBaseService):
    def _inference(self, data):
        return {"y": data["x"] * 2}
