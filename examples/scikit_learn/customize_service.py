# coding: utf-8
"""Inference code of the iris model: a logistic regression that joblib saved."""

import collections
import json

from model_service.python_model_service import XgSklServingBaseService

try:
    import joblib
except ImportError:  # scikit-learn of that time carries joblib inside
    from sklearn.externals import joblib


class IrisService(XgSklServingBaseService):
    """Names the species of each flower in the request."""

    def __init__(self, model_path):
        super(IrisService, self).__init__(model_path)
        self.model_path = model_path
        self.classifier = joblib.load(model_path)

    def _preprocess(self, data):
        """Take the rows out of the request's text, columns in the order in which they were sent."""
        request = json.loads(data, object_pairs_hook=collections.OrderedDict)
        return [list(row.values()) for row in request["data"]["req_data"]]

    def _inference(self, data):
        return self.classifier.predict(data).tolist()

    def _postprocess(self, data):
        return [{"predictresult": species} for species in data]
