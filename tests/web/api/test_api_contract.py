"""The API against its own description: schemathesis asks whatever it allows, and what it forbids.

In process, with requests that are the same each time.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fakes.package_store import FakeStore
from tests.web.api.api_fakes import Adapters, Runs
from tests.web.conftest import Site

EXAMPLES_EACH = 8
PREFIX = "/api/v1"


@pytest.fixture(scope="module")
def asked_site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A site with one version, which starts no run and reads no storage of the world's."""
    from airlock.adapters.registry_schema import open_engine, upgrade
    from airlock.web import wired
    from airlock.web.app import create_app
    from tests.unit.given import iris_files

    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('contract') / 'registry.db'}")
    upgrade(engine)
    site = Site(create_app(), engine)
    site.put(wired.runs, Runs())
    site.put(wired.wiring, Adapters({f"iris/{path}": data for path, data in iris_files().items()}))
    site.put(wired.packages, FakeStore())
    site.line().import_model(labels=["garden"])
    site.schema = schemathesis.openapi.from_dict(site.get(f"{PREFIX}/openapi.json").json())  # type: ignore[attr-defined]
    yield site
    engine.dispose()


def operations() -> list[tuple[str, str]]:
    from airlock.web.api.app import create_api, described

    paths = described(create_api())["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize("method,path", operations())
def test_whatever_is_asked_the_answer_is_as_described(asked_site: Site, method: str, path: str) -> None:
    operation = asked_site.schema[path][method]  # type: ignore[attr-defined]
    checks = [
        schemathesis.checks.not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
    ]
    asked = 0

    @settings(
        max_examples=EXAMPLES_EACH,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(operation))
    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        case.validate_response(_send(asked_site, case), checks=checks)

    ask()
    assert asked >= 1


def cases(operation: Any) -> Any:
    """Requests that keep the description, and requests that break it."""
    kept = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.path_parameters or operation.query or operation.body):
        return kept
    return strategies.one_of(kept, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def _send(site: Site, case: Any) -> httpx.Response:
    request = case.as_transport_kwargs(base_url=f"http://airlock{PREFIX}")
    request.pop("cookies", None)
    if isinstance(request.get("data"), bytes):
        request["content"] = request.pop("data")

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(site.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(**request)

    return asyncio.run(go())
