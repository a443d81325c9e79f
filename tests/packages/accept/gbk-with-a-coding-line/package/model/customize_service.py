# -*- coding: gbk -*-
from model_service.pytorch_model_service import PTServingBaseService


class Service(PTServingBaseService):
    """识别服务"""

    def __init__(self, model_name, model_path):
        self.labels = ["猫", "狗"]

    def _inference(self, data):
        return {"类别": self.labels[int(data["x"])]}
