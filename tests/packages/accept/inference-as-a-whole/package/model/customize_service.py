import time

import log
from metric.metrics_manager import MetricsManager
from model_service.pytorch_model_service import PTServingBaseService

logger = log.getLogger(__name__)


class Service(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.model_name = model_name

    def _preprocess(self, data):
        return sum(len(files) for files in data.values())

    def inference(self, data):
        pre_start_time = time.time()
        data = self._preprocess(data)
        infer_start_time = time.time()
        pre_time_in_ms = (infer_start_time - pre_start_time) * 1000
        logger.info("preprocess time: " + str(pre_time_in_ms) + "ms")
        if self.model_name + "_LatencyPreprocess" in MetricsManager.metrics:
            MetricsManager.metrics[self.model_name + "_LatencyPreprocess"].update(pre_time_in_ms)
        data = self._postprocess(data)
        if self.model_name + "_LatencyOverall" in MetricsManager.metrics:
            MetricsManager.metrics[self.model_name + "_LatencyOverall"].update(pre_time_in_ms)
        return data

    def _postprocess(self, data):
        return {"n": data}
