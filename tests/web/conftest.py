"""The application without a running Airflow, on a real registry."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__AIRLOCK__REGISTRY_URL", f"sqlite:///{tmp_path / 'registry.db'}")
    from airlock.adapters.clock import SystemClock
    from airlock.adapters.registry import SqlRegistry
    from airlock.adapters.registry_schema import open_engine, upgrade

    engine = open_engine(os.environ["AIRFLOW__AIRLOCK__REGISTRY_URL"])
    upgrade(engine)
    yield SqlRegistry(engine, SystemClock())
    engine.dispose()


class Site:
    """The application, asked by somebody who may read; who may is tested against a running Airflow."""

    def __init__(self, registry: Any) -> None:
        from airlock.adapters.registry_edits import SqlRegistryEditor
        from airlock.web import wired
        from airlock.web.access import actor_of, may_change, may_read
        from airlock.web.api.app import API_PREFIX
        from airlock.web.app import create_app

        self.app = create_app()
        (api,) = (route.app for route in self.app.routes if getattr(route, "path", "") == API_PREFIX)
        #: Where tests put their own adapters, in the pages and in the API below them.
        self.overrides = [self.app.dependency_overrides, api.dependency_overrides]
        self.put(may_read.dependency, None)
        self.put(may_change.dependency, None)
        self.put(actor_of, "ada")
        self.put(wired.editor, SqlRegistryEditor(registry.engine, registry.clock))
        from airlock.adapters.registry_reads import SqlRegistryReader

        self.registry = registry
        self.show(SqlRegistryReader(registry.engine, registry.clock))

    def show(self, reader: Any) -> None:
        """Show what this reader of a registry finds."""
        from airlock.web import wired

        self.put(wired.registry, reader)

    def put(self, dependency: Any, value: Any) -> None:
        """Put a value in the place of what a route depends on."""
        for overrides in self.overrides:
            overrides[dependency] = lambda: value

    def line(self, *given: Any, **more: Any) -> Any:
        """The straight line of steps on fakes, but for the registry: what it imports, the site shows."""
        from tests.unit.line import Line

        return Line(*given, registry=self.registry, **more)

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", path)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; what a defect raises is answered as the server answers it."""

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://airlock") as client:
                return await client.request(method, path, **more)

        return asyncio.run(go())


@pytest.fixture
def site(registry: Any) -> Site:
    return Site(registry)


@pytest.fixture
def get(site: Site) -> Callable[[str], httpx.Response]:
    return site.get


@pytest.fixture
def reserve(registry: Any) -> Callable[..., Any]:
    """Reserves a version of a model."""
    from airlock.domain.request import parse_request
    from airlock.domain.version import RunRef

    def reserve(run: str, **conf: Any) -> Any:
        request = parse_request({"model_name": "iris", "source_location": "s3://bucket/iris/", **conf})
        return registry.reserve(request, RunRef(dag_id="import_model", run_id=run))

    return reserve
