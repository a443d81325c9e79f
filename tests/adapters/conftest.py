"""The registry on both databases, and versions to fill it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from airlock.adapters.clock import SystemClock
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_edits import SqlRegistryEditor
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import open_engine, upgrade
from airlock.codec import encode
from airlock.domain.record import ModelVersion
from airlock.domain.version import RunRef
from tests.adapters.fault_proxy import FaultProxy
from tests.unit.line import Line

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, on each of both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    made: str = request.getfixturevalue("postgres").database_url()
    return made


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def registry(engine: Engine) -> SqlRegistry:
    return SqlRegistry(engine, SystemClock())


@pytest.fixture
def reader(engine: Engine) -> SqlRegistryReader:
    return SqlRegistryReader(engine, SystemClock())


@pytest.fixture
def editor(engine: Engine) -> SqlRegistryEditor:
    return SqlRegistryEditor(engine, SystemClock())


@pytest.fixture(scope="session")
def a_version() -> ModelVersion:
    """What an import of iris found out."""
    return Line().import_model()


@pytest.fixture
def imported(registry: SqlRegistry, a_version: ModelVersion) -> Callable[..., ModelVersion]:
    """Imports a version: its name, and what else the form says."""
    runs = iter(range(1, 10_000))

    def run(model_name: str = "iris", by: str = "ada", **conf: Any) -> ModelVersion:
        request = replace(a_version.accepted.request, model_name=model_name, **conf)
        reservation = registry.reserve(request, RunRef(dag_id="import_model", run_id=f"run-{next(runs)}"), by)
        accepted = replace(a_version.accepted, request=request, reservation=reservation)
        version = replace(a_version, accepted=accepted)
        registry.complete(version, encode(version))
        return version

    return run


@pytest.fixture
def proxy(object_server: Any) -> Iterator[FaultProxy]:
    """A proxy before the object server that breaks what a test says."""
    with FaultProxy(object_server.endpoint_url) as proxy:
        yield proxy
