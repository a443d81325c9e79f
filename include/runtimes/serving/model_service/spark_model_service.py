"""Base class of Spark_MLlib packages: ``self.spark`` is a session, ``self.model_path`` the saved model's folder.

The default service reads ``{"data": {"req_data": [{column: value, ...}, ...]}}``, applies the saved model, and answers
``[{"predictresult": value}, ...]`` with the last stage's output column. What Spark itself needs of its surroundings
(memory, folders) is set by the runtime, in ``PYSPARK_SUBMIT_ARGS``.
"""

from __future__ import absolute_import

import decimal
import json
import numbers

from model_service.model_service import SingleNodeService, lazy

# Half of the memory that the service may use is the virtual machine's heap; below Spark's own default nothing starts.
LEAST_HEAP_MB = 1024
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class SparkServingBaseService(SingleNodeService):
    """``_preprocess`` receives the raw JSON text."""

    airlock_reads = "text"
    airlock_serves_alone = True
    airlock_arguments = ("model_path",)

    def __init__(self, model_path):
        self.model_path = model_path

    def airlock_start(self):
        """Start Spark and its first job now: that takes longer than a prediction may."""
        self.spark.createDataFrame([(1.0,)], ["x"]).collect()

    def airlock_prepare(self):
        """Load the model, so that an unreadable one fails the start and not the first request."""
        return self.airlock_model

    @lazy
    def spark(self):
        """A local Spark session, started when it is first read (some seconds)."""
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[*]").appName(self.model_name)
        builder = builder.config("spark.driver.memory", "%dm" % _heap_mb())
        return builder.config("spark.ui.enabled", "false").getOrCreate()

    @lazy
    def airlock_model(self):
        """The saved pipeline or single model, of the class that its metadata names."""
        from pyspark.ml.util import DefaultParamsReader

        return DefaultParamsReader.loadParamsInstance(self.model_path, self.spark.sparkContext)

    def _preprocess(self, data):
        rows = json.loads(data)["data"]["req_data"]
        return self.spark.createDataFrame(*_table(rows)) if rows else None

    def _inference(self, data):
        if data is None:
            return []
        from pyspark.sql.utils import AnalysisException, IllegalArgumentException

        model = self.airlock_model
        try:
            frame = model.transform(_with_features(model, data))
        except (AnalysisException, IllegalArgumentException) as error:
            raise TypeError("the columns of the rows do not fit the model: %s" % error)
        column = _output_column(model, frame.columns)
        return [row[0] for row in frame.select(column).collect()]

    def _postprocess(self, data):
        return [{"predictresult": _plain(value)} for value in data]


def _plain(value):
    if hasattr(value, "toArray"):
        return value.toArray()
    return float(value) if isinstance(value, decimal.Decimal) else value


def _heap_mb():
    for path in _MEMORY_LIMITS:
        try:
            with open(path) as stream:
                limit = int(stream.read())
        except (EnvironmentError, ValueError):  # another version of control groups, or no limit
            continue
        if limit < 1 << 50:
            return max(LEAST_HEAP_MB, limit // 2 // 1024 // 1024)
    return LEAST_HEAP_MB


def _table(rows):
    """Return the rows as tuples and their schema; rows of other columns than the first are refused.

    Raises:
        TypeError: The rows differ in their columns, or a column holds what no table has.
    """
    from pyspark.sql.types import StructField, StructType

    names = list(rows[0])
    for row in rows:
        if set(row) != set(names):
            raise TypeError("all rows must have the columns of the first: %s" % ", ".join(names))
    columns = [_column(name, [row[name] for row in rows]) for name in names]
    schema = StructType([StructField(name, kind) for name, (kind, _) in zip(names, columns)])
    return list(zip(*(values for _, values in columns))), schema


def _column(name, values):
    """Return a column's type and values. Spark refuses 5 beside 3.6 in one column, and clients write 5.0 as 5."""
    from pyspark.ml.linalg import Vectors, VectorUDT
    from pyspark.sql.types import BooleanType, DoubleType, LongType, StringType

    given = [value for value in values if value is not None]
    if given and all(isinstance(value, bool) for value in given):
        return BooleanType(), values
    if given and all(_is_number(value, numbers.Integral) for value in given):
        return LongType(), values
    if given and all(_is_number(value, numbers.Real) for value in given):
        return DoubleType(), [None if value is None else float(value) for value in values]
    if given and all(isinstance(value, list) and _are_numbers(value) for value in given):
        return VectorUDT(), [None if value is None else Vectors.dense(value) for value in values]
    if any(isinstance(value, (bool, numbers.Real, list, dict)) for value in given):
        raise TypeError("column %s must hold numbers, texts, or lists of numbers, of one kind in all rows" % name)
    return StringType(), values


def _are_numbers(values):
    return all(_is_number(value, numbers.Real) for value in values)


def _is_number(value, kind):
    return isinstance(value, kind) and not isinstance(value, bool)


def _with_features(model, frame):
    """Return the frame with the vector column that a single model reads, made of all its columns in their order."""
    name = _param(model, "featuresCol")
    if name is None or name in frame.columns:
        return frame
    from pyspark.ml.feature import VectorAssembler

    return VectorAssembler(inputCols=frame.columns, outputCol=name).transform(frame)


def _output_column(model, columns):
    """Return the column that the last stage writes.

    Raises:
        RuntimeError: It does not say which.
    """
    last = (getattr(model, "stages", None) or [model])[-1]
    for name in (_param(last, "predictionCol"), _param(last, "outputCol"), "prediction"):
        if name in columns:
            return name
    raise RuntimeError("the model's last stage, %s, names no output column" % type(last).__name__)


def _param(stage, name):
    if not hasattr(stage, "hasParam") or not stage.hasParam(name):
        return None
    param = stage.getParam(name)
    return stage.getOrDefault(param) if stage.hasDefault(param) or stage.isSet(param) else None
