"""Who may ask the REST API for what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tests.web.api.api_answers import API, ONE, is_problem
from tests.web.api.api_fakes import Runs
from tests.web.conftest import Site


def routes(app: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of everything that an application answers."""
    for route in app.routes:
        if hasattr(route, "app") and hasattr(route.app, "routes"):
            yield from routes(route.app, prefix + route.path)
        else:
            for method in sorted(route.methods):
                yield method, prefix + route.path


def test_nobody_who_is_not_signed_in_gets_anything() -> None:
    import asyncio

    from airlock.web.app import create_app

    app = create_app()
    known = list(routes(app))
    assert ("GET", "/api/v1/openapi.json") in known
    assert ("DELETE", "/api/v1/models/{model_name}/versions/{model_version}") in known

    async def go() -> dict[str, int]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://airlock") as client:
            found = {}
            for method, path in known:
                for value in ("0.0.1", "%00"):
                    url = re.sub(r"\{[^}]*\}", value, path)
                    found[f"{method} {url}"] = (await client.request(method, url)).status_code
            return found

    statuses = asyncio.run(go())
    assert {told for told, status in statuses.items() if status != 401} == set()
    assert len(statuses) > 40


def test_who_may_only_read_changes_nothing(site: Site, imported_iris: Any, runs: Runs) -> None:
    from fastapi import HTTPException

    from airlock.web.access import may_change

    def refuse() -> None:
        raise HTTPException(403, "Forbidden")

    for overrides in site.overrides:
        overrides[may_change.dependency] = refuse
    changing = [
        (method, path.replace("{model_name}", "iris").replace("{model_version}", "0.0.1").replace("{alias}", "best"))
        for method, path in routes(site.app)
        if method not in ("GET", "HEAD") and path.startswith(API)
    ]
    assert len(changing) >= 8
    for method, path in changing:
        is_problem(site.ask(method, path, json={}), 403, "WEB003")
    assert site.get(ONE).json()["model_status"] == "Normal"
    assert runs.asked == []


def test_every_route_that_changes_asks_for_more_than_reading() -> None:
    from airlock.web.access import may_change
    from airlock.web.api.app import create_api

    checked = 0
    for route in create_api().routes:
        methods: set[str] = getattr(route, "methods", set())
        if methods - {"GET", "HEAD"}:
            dependencies: Callable[..., Any] = [each.dependency for each in route.dependencies]  # type: ignore[attr-defined, assignment]
            assert may_change.dependency in dependencies, route
            checked += 1
    assert checked >= 8
