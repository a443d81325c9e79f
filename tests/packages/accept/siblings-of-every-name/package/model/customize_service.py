import common
import core.function
import detect
import utils
from models import net
from src import NAME as SRC

from model_service.pytorch_model_service import PTServingBaseService


class Service(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.names = [net.NAME, utils.NAME, SRC, core.function.NAME, detect.NAME, common.NAME]

    def _inference(self, data):
        return {"names": self.names}
