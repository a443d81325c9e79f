"""Spark's metadata: which class loads each part of a model, and the version that wrote it.

Loading creates the class that a part names; only Spark's own are let through.

Source: Spark, mllib/src/main/scala/org/apache/spark/ml/util/ReadWrite.scala; python/pyspark/ml/util.py.
"""

from __future__ import annotations

import re
from typing import Any

from airlock.domain.model_files.facts import CERTAIN, Facts, Problem, WrittenBy, claims, numbered
from airlock.domain.model_files.ranges import Ranges, parsed
from airlock.domain.model_files.streams import Unreadable

MAX_METADATA_BYTES = 4 << 20
_UID = re.compile(r"[\w.-]{1,200}", re.ASCII)
_OWN = ("org.apache.spark.ml.", "org.apache.spark.mllib.", "pyspark.ml.", "pyspark.mllib.")


def read_spark_metadata(ranges: Ranges) -> Facts:
    """A `metadata/part-00000`.

    Raises:
        Unreadable: It is none.
    """
    lines = [line for line in ranges.whole(MAX_METADATA_BYTES).splitlines() if line.strip()]
    if len(lines) != 1:
        raise Unreadable(f"it has {len(lines):,} lines, and one is read")
    value: Any = parsed(lines[0])
    name = value.get("class") if isinstance(value, dict) else None
    if not isinstance(name, str):
        raise Unreadable("it names no class")
    version = numbered(value.get("sparkVersion"))
    parameters = value.get("paramMap")
    stages = parameters.get("stageUids") if isinstance(parameters, dict) else None
    details = [("class", name[:120])]
    if isinstance(stages, list):
        if not all(isinstance(uid, str) and _UID.fullmatch(uid) for uid in stages):
            raise Unreadable("a stage of it has a name that is a path")
        details.append(("stages", f"{len(stages):,}"))
    problems = []
    if not name.startswith(_OWN) or not all(part.isidentifier() for part in name.split(".")):
        message = "Loading it creates a class that is not Spark's own."
        problems.append(Problem(code="MDL001", message=message, value=name))
    return Facts(
        says="is the metadata of a Spark model",
        claims=claims(CERTAIN, "Spark_MLlib"),
        written_by=(WrittenBy(library="Spark", version=version),) if version else (),
        details=tuple(details),
        problems=tuple(problems),
    )
