import threading
import time

from model_service.model_service import SingleNodeService


class SlowHealth(SingleNodeService):
    predicted = False

    def _inference(self, data):
        self.predicted = True
        return threading.current_thread().name

    def health(self):
        if self.predicted:
            time.sleep(1)
        return {"status": "late"}, 200
