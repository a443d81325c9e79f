from model_service.pytorch_model_service import PTServingBaseService


def make_service(factor):
    class Scaled(PTServingBaseService):
        def _inference(self, data):
            return {"y": data["x"] * factor}

    return Scaled


Service = make_service(2)
