"""The application that Airflow mounts: pages of model versions, and what users do with them.

Every route asks Airflow's own sign-in and permission. Pages are rendered on the server and escaped; a small script of
their own makes them fit into Airflow's frame, and they can be read and used without it.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException

from airlock.errors import AirlockError, NoSuchVersion, PermanentError
from airlock.web import changes, imports, listing, reports, versions
from airlock.web.access import may_read
from airlock.web.api.app import API_PREFIX, create_api
from airlock.web.api.problems import of_http
from airlock.web.hardening import HEADERS, harden
from airlock.web.rendering import HERE, URL_PREFIX, page

__all__ = ["URL_PREFIX", "create_app"]

#: What the pages load.
ASSETS = {"airlock.css": "text/css", "airlock.js": "text/javascript"}
_HEADINGS = {
    401: "You are not signed in",
    403: "This is not allowed",
    404: "There is nothing here",
    422: "This cannot be read",
    500: "The page cannot be made",
    503: "The models cannot be shown",
}


def create_app() -> FastAPI:
    """The application that Airflow mounts under `URL_PREFIX`."""
    app = FastAPI(title="Airlock", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[may_read])
    harden(app)
    # Forms come before the tabs of a version, whose address takes any last part.
    for part in (listing, changes, imports, reports, versions):
        app.include_router(part.router)
    app.mount(API_PREFIX, create_api())

    @app.get("/assets/{name}")
    def asset(name: str) -> FileResponse:
        if name not in ASSETS:
            raise HTTPException(404, f"The pages have no asset {name}.")
        return FileResponse(HERE / "assets" / name, media_type=ASSETS[name])

    @app.exception_handler(AirlockError)
    def told(request: Request, error: AirlockError) -> HTMLResponse:
        status = 404 if isinstance(error, NoSuchVersion) else 409 if isinstance(error, PermanentError) else 503
        return _problem(request, status, error.message, error.code, error.remedy)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        # Whatever begins like the API's addresses is answered as they are, also where no route of it fits.
        if request.scope["path"].removeprefix(request.scope.get("root_path", "")).startswith(API_PREFIX):
            return of_http(error)
        answer = _problem(request, error.status_code, str(error.detail), str(error.status_code))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    def misread(request: Request, error: RequestValidationError) -> HTMLResponse:
        first = error.errors()[0]
        return _problem(request, 422, f"The address or form has an unusable {first['loc'][-1]}: {first['msg']}.", "422")

    @app.exception_handler(Exception)
    def broken(request: Request, error: Exception) -> HTMLResponse:
        # The server goes on to log the error; its text may hold what is nobody's business here.
        answer = _problem(request, 500, "This is a defect of Airlock. The API server's log has the details.", "500")
        answer.headers.update(HEADERS)
        return answer

    return app


def _problem(request: Request, status: int, text: str, code: str, remedy: str = "") -> HTMLResponse:
    heading = _HEADINGS.get(status, "This cannot be done")
    return page(request, "error.html", status, heading=heading, text=text, code=code, remedy=remedy)
