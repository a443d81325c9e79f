"""A batch of many small packages, from the trigger to its report, on an Airflow and an object server of their own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.airflow_api import ENDED
from scripts.bench.imports import ImportBench
from scripts.bench.measure import RunFailed
from scripts.bench.table import Row

COUNT = 100
TARGET_S = 600.0
MORE_BYTES = 1_000
DAG_ID = "import_models"
DAG_TIMEOUT_S = 120.0
BATCH_TIMEOUT_S = 3600.0
#: What is asked while the batch runs takes processor time from it.
POLL_S = 2.0
TELL_EVERY_S = 60.0


def rows(bench: ImportBench, example: Path, *, count: int, tell: Callable[[str], None]) -> Iterator[Row]:
    """The row about a batch; every package is one of its own, and the runtime is there before it is timed.

    Args:
        bench: The running parts.
        example: The example's package.
        count: Packages of the batch.
        tell: Takes a line of progress.

    Raises:
        RunFailed: Not all packages were imported.
    """
    tell("importing one package, so that the runtime is there")
    bench.imported("single", bench.upload("single", example, MORE_BYTES))
    tell(f"uploading {count} packages")
    locations = [bench.upload(f"batch/model-{number:03d}", example, MORE_BYTES) for number in range(count)]
    prefix = f"{locations[0].rsplit('/', 2)[0]}/*/"
    tell("importing them as one batch")
    seconds = _imported(bench, prefix, count, tell)
    yield Row(
        name=f"batch of {count} packages on a cached runtime, trigger to report",
        value=seconds,
        unit="s",
        target=TARGET_S * count / COUNT,
    )


def _imported(bench: ImportBench, prefix: str, count: int, tell: Callable[[str], None]) -> float:
    api = bench.api
    api.wait_for_dag(DAG_ID, DAG_TIMEOUT_S)
    began = told = time.monotonic()
    run_id = api.trigger(DAG_ID, {"prefix": prefix})
    while (state := api.run_of(DAG_ID, run_id)["state"]) not in ENDED:
        bench.wait(POLL_S)
        now = time.monotonic()
        if now - began > BATCH_TIMEOUT_S:
            raise RunFailed(f"the batch has not ended after {BATCH_TIMEOUT_S:.0f} s")
        if now - told >= TELL_EVERY_S:
            told = now
            states = Counter(str(task["state"]) for task in api.task_instances(DAG_ID, run_id))
            tell(f"{now - began:.0f} s: " + ", ".join(f"{many} {name}" for name, many in states.most_common()))
    seconds = time.monotonic() - began
    report = api.xcom(DAG_ID, run_id, "report") or {}
    outcomes = Counter(str(row["outcome"]) for row in report.get("packages", ()))
    if outcomes != {"imported": count}:
        raise RunFailed(f"the batch ended as {state}, its packages as {dict(outcomes)}")
    return seconds
