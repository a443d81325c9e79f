"""The pages: model versions, each with its history.

Every route asks Airflow's own sign-in and permission: whoever may read the runs of `import_model` may read what they
made.
Pages are rendered on the server, escaped, and work without any script.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from airlock.errors import AirlockError

if TYPE_CHECKING:
    from airlock.ports import Registry

URL_PREFIX = "/airlock"
DAG_ID = "import_model"
PAGE_SIZE = 50
_HERE = Path(__file__).parent
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

may_read = Depends(requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=DAG_ID))


@functools.cache
def _registry() -> Registry:
    from airlock.adapters.settings import from_airflow
    from airlock.adapters.wiring import Wiring

    return Wiring(from_airflow()).registry


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _bytes(count: float | None) -> str:
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


@functools.cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    environment.filters["bytes"] = _bytes
    environment.filters["json"] = functools.partial(json.dumps, ensure_ascii=False)
    return environment


def _page(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(_templates().get_template(name).render(prefix=URL_PREFIX, **values), status_code=status)


def create_app() -> FastAPI:
    """The application that Airflow mounts under `URL_PREFIX`."""
    app = FastAPI(title="Airlock", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[may_read])

    @app.middleware("http")
    async def harden(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(_SECURITY_HEADERS)
        return response

    @app.exception_handler(AirlockError)
    def told(request: Request, error: AirlockError) -> HTMLResponse:
        return _page("error.html", 503, error=error)

    # Plain functions: FastAPI runs them in threads, and the registry blocks.
    @app.get("/")
    def versions(page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> HTMLResponse:
        rows = _registry().list(limit=PAGE_SIZE + 1, offset=(page - 1) * PAGE_SIZE)
        return _page("versions.html", rows=rows[:PAGE_SIZE], page=page, more=len(rows) > PAGE_SIZE)

    @app.get("/models/{model_name}/{model_version}")
    def version(model_name: str, model_version: str) -> HTMLResponse:
        row = _registry().find(model_name, model_version)
        if row is None:
            raise HTTPException(404, f"There is no version {model_version} of {model_name}.")
        dag_id, _, run_id = row.run.partition("/")
        return _page("version.html", row=row, dag_id=dag_id, run_id=run_id)

    @app.get("/assets/airlock.css")
    def style() -> FileResponse:
        return FileResponse(_HERE / "assets" / "airlock.css", media_type="text/css")

    return app
