# coding: utf-8
"""Inference code of the iris model: a booster that XGBoost saved."""

import collections
import json

import numpy as np
import xgboost as xgb
from model_service.python_model_service import XgSklServingBaseService


class IrisService(XgSklServingBaseService):
    """Gives the number of the species for each flower in the request: 0 setosa, 1 versicolor, 2 virginica."""

    def _preprocess(self, data):
        """Take the rows out of the request's text, columns in the order in which they were sent."""
        request = json.loads(data, object_pairs_hook=collections.OrderedDict)
        return [list(row.values()) for row in request["data"]["req_data"]]

    def _inference(self, data):
        booster = xgb.Booster(model_file=self.model_path)
        return booster.predict(xgb.DMatrix(np.array(data, dtype=np.float64))).tolist()

    def _postprocess(self, data):
        return [{"predictresult": kind} for kind in data]
