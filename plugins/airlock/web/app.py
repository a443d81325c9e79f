"""The application that Airflow mounts: pages of model versions, each with its history.

Every route asks Airflow's own sign-in and permission. Pages are rendered on the server, escaped, and work without any
script.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from airlock.errors import AirlockError
from airlock.web import pages, reports
from airlock.web.access import may_read
from airlock.web.api.app import API_PREFIX, create_api
from airlock.web.api.problems import of_http
from airlock.web.hardening import harden
from airlock.web.rendering import URL_PREFIX, page

__all__ = ["URL_PREFIX", "create_app"]


def create_app() -> FastAPI:
    """The application that Airflow mounts under `URL_PREFIX`."""
    app = FastAPI(title="Airlock", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[may_read])
    harden(app)
    app.include_router(pages.router)
    app.include_router(reports.router)
    app.mount(API_PREFIX, create_api())

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: StarletteHTTPException) -> Response:
        # Whatever begins like the API's addresses is answered as they are, also where no route of it fits.
        if request.scope["path"].removeprefix(request.scope.get("root_path", "")).startswith(API_PREFIX):
            return of_http(error)
        return await http_exception_handler(request, error)

    @app.exception_handler(AirlockError)
    def told(request: Request, error: AirlockError) -> HTMLResponse:
        return page("error.html", 503, error=error)

    return app
