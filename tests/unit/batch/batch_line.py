"""An installation with a real registry, and batches that are planned and imported in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import open_engine
from airlock.codec import decode, encode
from airlock.domain.batch import BatchPlan
from airlock.domain.batch_request import parse_batch
from airlock.domain.version import RunRef
from airlock.steps.plan_batch import plan_batch
from tests.unit.given import config_schema
from tests.unit.line import Line

BATCH_RUN = "manual__batch"
BAD = {"model/config.json": b"{}", "model/iris.m": b"x"}


class BatchLine(Line):
    """An installation with a real registry, whose versions can be looked at."""

    registry: SqlRegistry  # type: ignore[assignment]

    def __init__(self, database: Path) -> None:
        super().__init__()
        engine = open_engine(f"sqlite:///{database}")
        self.registry = SqlRegistry(engine, self.clock)
        self.reader = SqlRegistryReader(engine, self.clock)


def bucket(line: BatchLine, **packages: Mapping[str, bytes]) -> None:
    """Put packages below `s3://models/all/`."""
    content = line.storage.buckets["models"]
    for name, files in packages.items():
        content.update({f"all/{name}/{path}": data for path, data in files.items()})


def planned(line: BatchLine, *, batch_run_id: str = BATCH_RUN, **conf: Any) -> BatchPlan:
    plan = plan_batch(
        parse_batch(conf),
        batch_run_id=batch_run_id,
        storage_of=lambda scheme, connection: line.storage,
        store=line.store,
        reader=line.reader,
        catalogue=line.catalogue,
        schema=config_schema(),
        limits=line.limits,
        log=line.build_log.append,
    )
    assert decode(BatchPlan, encode(plan)) == plan
    return plan


def plans(plan: BatchPlan) -> dict[str, str]:
    return {item.model_name: item.plan.value for item in plan.items}


def imported(line: BatchLine, plan: BatchPlan, name: str) -> None:
    """Do what the run of a package does."""
    item = next(item for item in plan.items if item.model_name == name)
    line.import_model(RunRef(dag_id="import_model", run_id=item.run_id), **item.form)
