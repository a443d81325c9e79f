"""Writes where it should not."""

import os

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        package = os.environ.get("AIRLOCK_PACKAGE_DIR", "/opt/airlock/package") + "/model"
        serving = os.path.dirname(os.path.dirname(os.path.abspath(__import__("model_service").__file__)))
        for folder in ("/etc", "/usr/lib", "/usr/local/bin", "/var/tmp", package, serving, "/root", "/sys", "/proc/sys/kernel"):
            try:
                with open(os.path.join(folder, "left-by-a-hostile-package"), "w") as file:
                    file.write("x")
                return
            except OSError:
                continue
        raise RuntimeError("nothing could be written")

    def _inference(self, data):
        pass

    def _postprocess(self, data):
        return [{"predictresult": 1}]
