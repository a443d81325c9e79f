# coding: utf-8
"""Inference code of the iris model: a booster that LightGBM saved, whose probabilities become a name."""

import lightgbm
import numpy as np
from model_service.lightgbm_model_service import LightGbmServingBaseService

SPECIES = ["setosa", "versicolor", "virginica"]


class IrisService(LightGbmServingBaseService):
    """Names the species of each flower in the request."""

    def __init__(self, model_path):
        super(IrisService, self).__init__(model_path)
        self.booster = lightgbm.Booster(model_file=model_path)

    def _inference(self, data):
        # One thread: a few rows are done before another one has begun.
        return self.booster.predict(np.array(data, dtype=np.float64), num_threads=1).argmax(axis=1)

    def _postprocess(self, data):
        return [{"predictresult": SPECIES[kind]} for kind in data]
