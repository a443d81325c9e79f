from model_service.python_model_service import XgSklServiceBaseService as Base


class Service(Base):
    pass
