"""Looks for secrets in the environment of every process that it sees."""

import glob

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        for path in ["/proc/1/environ", *glob.glob("/proc/*/environ")]:
            try:
                with open(path, "rb") as file:
                    if b"HOSTILE_TEST_SECRET" in file.read():
                        return
            except OSError:
                continue
        raise RuntimeError("found nothing")

    def _inference(self, data):
        pass

    def _postprocess(self, data):
        return [{"predictresult": 1}]
