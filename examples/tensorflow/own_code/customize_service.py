# coding: utf-8
"""Inference code of the iris model: names for columns and species around the SavedModel's signature."""

import log
import numpy as np
from model_service.tfserving_model_service import TfServingBaseService

logger = log.getLogger(__name__)

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SPECIES = ["setosa", "versicolor", "virginica"]


class IrisService(TfServingBaseService):
    """Names the species of each flower in the request; the base class runs the model."""

    def _preprocess(self, data):
        flowers = [[flower[column] for column in COLUMNS] for flower in data["flowers"]]
        logger.info("%d flowers", len(flowers))
        return {"flowers": np.array(flowers, dtype=np.float32)}

    def _postprocess(self, data):
        pairs = zip(data["species"], data["probabilities"])
        return {"flowers": [{"species": SPECIES[kind], "probability": max(chances)} for kind, chances in pairs]}
