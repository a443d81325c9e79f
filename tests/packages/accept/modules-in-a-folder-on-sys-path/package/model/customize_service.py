import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import helper
import tool_paths
from model_service.pytorch_model_service import PTServingBaseService
from parts.scale import factor
from shapes import area


class Service(PTServingBaseService):
    def _inference(self, data):
        return {"y": area(helper.twice(data["x"]), factor)}
