# coding: utf-8
"""Inference code of the iris model: a pipeline that Spark saved."""

import collections
import json

import pandas as pd
from model_service.spark_model_service import SparkServingBaseService
from pyspark.ml import PipelineModel


class IrisService(SparkServingBaseService):
    """Names the species of each flower in the request."""

    def __init__(self, model_path):
        super(IrisService, self).__init__(model_path)
        # The session first: loading needs one.
        self.spark.sparkContext.setLogLevel("ERROR")
        self.pipeline = PipelineModel.load(model_path)

    def _preprocess(self, data):
        """Make a data frame of the rows in the request's text."""
        request = json.loads(data, object_pairs_hook=collections.OrderedDict)
        return self.spark.createDataFrame(pd.DataFrame(request["data"]["req_data"]).astype("float64"))

    def _inference(self, data):
        return self.pipeline.transform(data).select("species")

    def _postprocess(self, data):
        return [{"predictresult": species} for species in data.toPandas()["species"]]
