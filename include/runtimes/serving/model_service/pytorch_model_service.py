"""Base class of PyTorch packages. Their constructor puts a callable on ``self.model``."""

from __future__ import absolute_import

import sys

from model_service.model_service import SingleNodeService


class PTServingBaseService(SingleNodeService):
    """``_inference`` gives ``{key: self.model(value)}``."""

    model = None

    def _inference(self, data):
        if self.model is None:
            raise RuntimeError("self.model is not set: load the network in the constructor, or define _inference")
        torch = sys.modules.get("torch")
        if torch is None or not hasattr(torch, "no_grad"):
            return self._apply(data)
        # Gradients are never used here, and recording them holds memory for as long as the result lives.
        with torch.no_grad():
            return self._apply(data)

    def _apply(self, data):
        return {key: self.model(value) for key, value in data.items()}
