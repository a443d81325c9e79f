import os
import signal
import time

from model_service.model_service import SingleNodeService


class Slow(SingleNodeService):
    def _inference(self, data):
        if "die" in data:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(data.get("sleep", 0))
        return os.getpid()
