"""Train a pipeline on iris and save it as the folder spark_model (Spark 2.3 to today's)."""

import os
import sys

import pyspark
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import IndexToString, VectorAssembler
from pyspark.sql import SparkSession

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

SPECIES = ["setosa", "versicolor", "virginica"]
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def table(spark, rows, kinds):
    """Make a data frame of rows and numbers of species."""
    values = [[*map(float, row), float(kind)] for row, kind in zip(rows, kinds)]
    return spark.createDataFrame(values, [*COLUMNS, "label"])


def answer(model, frame):
    """Give the name of the species of each row."""
    return [row.species for row in model.transform(frame).select("species").collect()]


def main():
    """Train, save, load again, measure, answer the samples."""
    out = training.parse_arguments(__doc__)
    rows, kinds = training.read_table("iris")
    test = training.held_out(len(rows))
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    stages = [
        VectorAssembler(inputCols=COLUMNS, outputCol="features"),
        LogisticRegression(maxIter=100, regParam=0.01),
        IndexToString(inputCol="prediction", outputCol="species", labels=SPECIES),
    ]
    folder = os.path.join(out, "spark_model")
    Pipeline(stages=stages).fit(table(spark, rows[~test], kinds[~test])).write().overwrite().save(folder)
    model = PipelineModel.load(folder)
    predicted = [SPECIES.index(name) for name in answer(model, table(spark, rows[test], kinds[test]))]
    metrics = training.measure(kinds[test], predicted)
    responses = {}
    # The same model twice: with inference code of its own, and served by what Spark saved alone.
    for further in ("", "pipeline_alone"):
        for name, request in training.read_samples(os.path.join(HERE, further)).items():
            values = [[float(row[column]) for column in COLUMNS] for row in request["data"]["req_data"]]
            results = [{"predictresult": kind} for kind in answer(model, spark.createDataFrame(values, COLUMNS))]
            responses[further + "/" + name if further else name] = {"data": {"resp_data": results}}
    spark.stop()
    training.write_report(out, pyspark.__version__, metrics, responses)


if __name__ == "__main__":
    main()
