"""Base class of Spark_MLlib packages: ``self.spark`` is a session, ``self.model_path`` the saved model's folder."""

from __future__ import absolute_import

from model_service.model_service import SingleNodeService, lazy


class SparkServingBaseService(SingleNodeService):
    """``_preprocess`` receives the raw JSON text; ``_inference`` is the package's own."""

    airlock_reads = "text"
    airlock_arguments = ("model_path",)

    def __init__(self, model_path):
        self.model_path = model_path

    @lazy
    def spark(self):
        """A local Spark session, started when it is first read (some seconds)."""
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[*]").appName(self.model_name)
        return builder.config("spark.ui.enabled", "false").getOrCreate()
