"""Lets the server's threads lose the processor at the moments that matter."""

import threading
import time

from model_service import connections
from model_service.model_service import SingleNodeService

wait = connections._Waiting.wait
take = connections.Connections._next
late = []


def wait_late(self, seconds):
    # The model's thread alone waits without an end.
    if late and seconds is None:
        time.sleep(0.1)
    wait(self, seconds)


def take_late(self):
    if late and threading.current_thread().name == "MainThread":
        time.sleep(0.05)
    return take(self)


connections._Waiting.wait = wait_late
connections.Connections._next = take_late


class LateThreads(SingleNodeService):
    def _inference(self, data):
        if data.get("late"):
            late.append(True)
        time.sleep(data.get("seconds", 0))
        return "done"
