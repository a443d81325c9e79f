import log
import model_service.log as service_log
from metric.metrics_manager import MetricsManager
from mms.log import get_logger
from mms.utils.mxnet import image, ndarray
from model_service import log as package_log
from model_service.pytorch_model_service import PTServingBaseService

logger = log.getLogger(__name__)
loggers = [logger, service_log.getLogger("a"), package_log.getLogger("b"), get_logger("c")]


class Service(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.helpers = [image.read, ndarray.top_probability, MetricsManager.metrics]

    def _inference(self, data):
        for item in loggers:
            item.info("asked for %s", data["x"])
        return {"n": len(loggers)}
