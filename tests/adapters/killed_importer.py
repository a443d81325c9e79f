"""One importer in a process of its own, for the tests that kill it: the fetch step on real parts."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from pathlib import Path

from airlock.adapters.clock import SystemClock
from airlock.adapters.package_store import PackageFolderStore
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_schema import open_engine
from airlock.adapters.s3 import S3Storage
from airlock.domain.package import FetchLimits, Package
from airlock.domain.record import Accepted
from airlock.domain.request_form import parse_request
from airlock.domain.version import RunRef
from airlock.steps.fetch import fetch

LIMITS = FetchLimits(max_package_bytes=10**9, max_objects=1000)


def fetch_once(source: str, store: Path, registry_url: str, run_id: str) -> Package:
    """Reserve a version and fetch its package."""
    clock = SystemClock()
    registry = SqlRegistry(open_engine(registry_url), clock)
    request = parse_request({"model_name": "killed", "source_location": source, "source_connection": "kills_s3"})
    reservation = registry.reserve(request, RunRef(dag_id="import_model", run_id=run_id))
    return fetch(
        Accepted(request=request, reservation=reservation, at=clock.now()),
        storage=S3Storage("kills_s3"),
        store=PackageFolderStore(store, clock),
        registry=registry,
        limits=LIMITS,
        log=lambda line: None,
    )


def run(connection: Connection, conn: str, source: str, store: Path, registry_url: str, run_id: str) -> None:
    """What the process does: say that it begins, fetch, and tell the package's digest."""
    os.environ["AIRFLOW_CONN_KILLS_S3"] = conn
    connection.send("begins")
    connection.send(fetch_once(source, store, registry_url, run_id).digest)
