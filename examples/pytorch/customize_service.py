# coding: utf-8
"""Inference code of the digits model: a network's state that PyTorch saved."""

import log
import torch
import torch.nn.functional as F
from digits_network import DigitsNetwork
from model_service.pytorch_model_service import PTServingBaseService

logger = log.getLogger(__name__)


class DigitsService(PTServingBaseService):
    """Reads handwritten digits from 8x8 images given as numbers between 0 and 16."""

    def __init__(self, model_name, model_path):
        super(DigitsService, self).__init__(model_name, model_path)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = DigitsNetwork()
        self.model.load_state_dict(torch.load(model_path, map_location="cpu"))
        self.model.to(self.device).eval()
        logger.info("digits model on %s", self.device)

    def _preprocess(self, data):
        images = torch.tensor(data["images"], dtype=torch.float32).view(-1, 1, 8, 8) / 16
        return {"images": images.to(self.device)}

    def _inference(self, data):
        with torch.no_grad():
            return F.softmax(self.model(data["images"]), dim=1)

    def _postprocess(self, data):
        return {"results": [{"digit": int(row.argmax()), "probability": float(row.max())} for row in data]}
