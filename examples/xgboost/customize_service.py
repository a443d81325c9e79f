# coding: utf-8
"""Inference code of the iris model: a booster that XGBoost saved."""

import collections
import json

import numpy as np
import xgboost as xgb
from model_service.python_model_service import XgSklServingBaseService


class IrisService(XgSklServingBaseService):
    """Gives the number of the species for each flower in the request: 0 setosa, 1 versicolor, 2 virginica."""

    def __init__(self, model_path):
        self.model_path = model_path
        # Once, not with each request: reading it takes longer than asking it.
        self.booster = xgb.Booster(model_file=model_path)

    def _preprocess(self, data):
        """Take the rows out of the request's text, columns in the order in which they were sent."""
        request = json.loads(data, object_pairs_hook=collections.OrderedDict)
        return [list(row.values()) for row in request["data"]["req_data"]]

    def _inference(self, data):
        return self.booster.predict(xgb.DMatrix(np.array(data, dtype=np.float64))).tolist()

    def _postprocess(self, data):
        return [{"predictresult": kind} for kind in data]
