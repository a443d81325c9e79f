"""The REST API as one application: every route behind Airflow's sign-in, its own description included."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from airlock import __version__
from airlock.web.access import may_read
from airlock.web.api import changing, deployment, importing, reading
from airlock.web.api.problems import Problem, handle_problems
from airlock.web.rendering import page

API_PREFIX = "/api/v1"


def create_api() -> FastAPI:
    """The application that is mounted under `API_PREFIX`."""
    api = FastAPI(
        title="Airlock",
        version=__version__,
        description="Models, their versions and their imports. Sign in as for Airflow's own API: a bearer token from "
        "`POST /auth/token`, or the session's cookie. Failures are problems in the form of RFC 9457.",
        # Described by routes of our own: the framework's are neither guarded nor work without the internet.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[may_read],
    )
    handle_problems(api)
    for router in (reading.router, changing.router, importing.router, deployment.router, _description(api)):
        api.include_router(router)
    return api


def _description(api: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    def openapi() -> JSONResponse:
        return JSONResponse(described(api))

    @router.get("/docs")
    def docs(request: Request) -> HTMLResponse:
        return page(request, "api.html", description=described(api))

    return router


def described(api: FastAPI) -> dict[str, Any]:
    """The API's description in OpenAPI's form, with the form of problems that all routes share."""
    description = api.openapi()
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    description["servers"] = [{"url": "."}]
    return description
