"""The application that Airflow mounts: pages of model versions, each with its history.

Every route asks Airflow's own sign-in and permission. Pages are rendered on the server, escaped, and work without any
script.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from airlock.errors import AirlockError
from airlock.web import pages, reports
from airlock.web.access import may_read
from airlock.web.hardening import harden
from airlock.web.rendering import URL_PREFIX, page

__all__ = ["URL_PREFIX", "create_app"]


def create_app() -> FastAPI:
    """The application that Airflow mounts under `URL_PREFIX`."""
    app = FastAPI(title="Airlock", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[may_read])
    harden(app)
    app.include_router(pages.router)
    app.include_router(reports.router)

    @app.exception_handler(AirlockError)
    def told(request: Request, error: AirlockError) -> HTMLResponse:
        return page("error.html", 503, error=error)

    return app
