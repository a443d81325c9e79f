"""The application without a running Airflow, on a real registry."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException


@pytest.fixture
def engine(tmp_path: Path, empty_registry: Path) -> Iterator[Any]:
    from airlock.adapters.registry_schema import open_engine

    shutil.copyfile(empty_registry, tmp_path / "registry.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'registry.db'}")
    yield engine
    engine.dispose()


def without_own_script(text: str) -> str:
    """A page without the one script that every page loads."""
    own = '<script src="/airlock/assets/airlock.js"></script>'
    assert text.count(own) == 1
    return text.replace(own, "")


class FakeRuns:
    """Runs without an Airflow."""

    def __init__(self) -> None:
        self.dags = {"import_model"}
        self.confs: dict[Any, dict[str, Any]] = {}
        self.started: list[tuple[str, dict[str, Any], str]] = []
        self.ended: set[Any] = set()

    def has_dag(self, dag_id: str) -> bool:
        return dag_id in self.dags

    async def start(self, dag_id: str, conf: Mapping[str, Any], credentials: Mapping[str, str]) -> Any:
        from airlock.domain.version import RunRef
        from airlock.errors import RunRefused

        if dag_id not in self.dags:
            raise RunRefused("RUN002", f"Airflow does not start a run of {dag_id} (HTTP 404): not found")
        self.started.append((dag_id, dict(conf), credentials.get("cookie", "")))
        run = RunRef(dag_id=dag_id, run_id=f"manual__{len(self.started)}")
        self.confs[run] = dict(conf)
        return run

    def conf_of(self, run: Any) -> dict[str, Any] | None:
        return self.confs.get(run)

    def is_under_way(self, run: Any) -> bool:
        return run in self.confs and run not in self.ended


class Site:
    """The application, mounted as Airflow mounts it, for a user who may change models unless `may_change` is False.

    How Airflow decides that is tested against a running one.
    """

    def __init__(self, app: FastAPI, engine: Any) -> None:
        from airlock.adapters.clock import SystemClock
        from airlock.adapters.registry import SqlRegistry
        from airlock.adapters.registry_edits import SqlRegistryEditor
        from airlock.adapters.registry_reads import SqlRegistryReader
        from airlock.adapters.registry_sweeps import SqlSweeps
        from airlock.web import access, wired
        from airlock.web.api.app import API_PREFIX
        from tests.fakes.reports import FakeReports

        self.runs = FakeRuns()
        self.reports = FakeReports()
        self.app = app
        self.registry = SqlRegistry(engine, SystemClock())
        self.reader = SqlRegistryReader(engine, SystemClock())
        self.outer = FastAPI()
        self.outer.mount("/airlock", self.app)
        self.may_change = True
        (api,) = (route.app for route in app.routes if getattr(route, "path", "") == API_PREFIX)
        #: Where tests put their own adapters, in the pages and in the API below them.
        self.overrides = [app.dependency_overrides, api.dependency_overrides]
        for overrides in self.overrides:
            overrides.clear()
            overrides |= {
                access.may_read.dependency: lambda: None,
                access.may_change.dependency: self._refuse_changes,
                access.changes_allowed: lambda: self.may_change,
                access.actor_of: lambda: "ada",
                wired.runs: lambda: self.runs,
                wired.registry: lambda: self.reader,
                wired.sweeps: lambda: SqlSweeps(engine, SystemClock()),
                wired.editor: lambda: SqlRegistryEditor(engine, SystemClock()),
                wired.importers: lambda: self.registry,
                wired.reports: lambda: self.reports,
            }

    def _refuse_changes(self) -> None:
        if not self.may_change:
            raise HTTPException(403, "Forbidden")

    def show(self, reader: Any) -> None:
        """Show what this reader of a registry finds."""
        self.reader = reader

    def put(self, dependency: Any, value: Any) -> None:
        """Put a value in the place of what a route depends on."""
        for overrides in self.overrides:
            overrides[dependency] = lambda: value

    def line(self, *given: Any, **more: Any) -> Any:
        """The straight line of steps on fakes, but for the registry: what it imports and reports, the site shows."""
        from tests.unit.line import Line

        line = Line(*given, registry=self.registry, **more)
        line.reports = self.reports
        return line

    def get(self, path: str, under: str = "") -> httpx.Response:
        """A page of an Airflow that lies under a path."""
        return self.ask("GET", path, under)

    def post(self, path: str, data: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """Send a form, from the pages themselves where no header says otherwise."""
        return self.ask("POST", path, data=data or {}, headers=headers or {"sec-fetch-site": "same-origin"})

    def ask(self, method: str, path: str, under: str = "", **more: Any) -> httpx.Response:
        """One request; what a defect raises is answered as the server answers it."""

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.outer, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://airflow.example") as client:
                return await client.request(method, f"{under}/airlock{path}", **more)

        return asyncio.run(go())


@pytest.fixture(scope="session")
def app() -> FastAPI:
    from airlock.web.app import create_app

    return create_app()


@pytest.fixture
def site(app: FastAPI, engine: Any) -> Site:
    return Site(app, engine)


@pytest.fixture
def registry(site: Site) -> Any:
    """The registry as runs see it."""
    return site.registry


@pytest.fixture
def reserve(registry: Any) -> Callable[..., Any]:
    """Reserves a version of a model."""
    from airlock.domain.request_form import parse_request
    from airlock.domain.version import RunRef

    def reserve(run: str, **conf: Any) -> Any:
        request = parse_request({"model_name": "iris", "source_location": "s3://bucket/iris/", **conf})
        return registry.reserve(request, RunRef(dag_id="import_model", run_id=run))

    return reserve


@pytest.fixture
def imported(site: Site) -> Callable[..., Any]:
    """Imports a package on fakes, as this form asks for it."""
    return lambda **conf: site.line().import_model(**conf)
