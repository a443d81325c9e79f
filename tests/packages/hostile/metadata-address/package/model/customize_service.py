"""Asks the cloud machine's metadata service for credentials."""

from urllib.request import urlopen

from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        urlopen("http://169.254.169.254/latest/meta-data/iam/security-credentials/", timeout=5)

    def _inference(self, data):
        pass

    def _postprocess(self, data):
        return [{"predictresult": 1}]
