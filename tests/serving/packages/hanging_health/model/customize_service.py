import sys
import time

from model_service.model_service import SingleNodeService


class HangingHealth(SingleNodeService):
    does = None

    def _inference(self, data):
        self.does = data
        return "done"

    def health(self):
        if self.does == "hang":
            time.sleep(3600)
        if self.does == "exit":
            sys.exit(1)
        return {"status": "OK"}, 200
