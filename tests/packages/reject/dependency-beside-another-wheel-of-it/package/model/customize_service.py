from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    pass
