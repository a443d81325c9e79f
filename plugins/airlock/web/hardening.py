"""What every request and answer goes through: no change for another site's page, and headers that allow little."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from airflow.configuration import conf
from fastapi import FastAPI, Request, Response

from airlock.web.rendering import page

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`, with which browsers no longer say where a form comes from.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SAFE = ("GET", "HEAD", "OPTIONS")


def harden(app: FastAPI) -> None:
    """Let no other site's page change anything, and nothing be loaded from elsewhere, guessed at or kept."""

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if is_from_elsewhere(request):
            text = "This form came from another site. Open the page inside Airflow and send it again."
            response: Response = page(
                request, "error.html", 403, heading="This is not allowed", text=text, code="403", remedy=""
            )
        else:
            response = await call_next(request)
        response.headers.update(HEADERS)
        return response


def is_from_elsewhere(request: Request) -> bool:
    """Whether another site's page asks for a change in the name of the user who looks at it.

    Browsers send Airflow's cookie with such a form only if its site is the same but for the port or the subdomain; they
    tell in `Sec-Fetch-Site`, or on plain HTTP in `Origin`, where it comes from. What sends neither is no browser. A
    caller that brings a token of its own sends it knowingly.

    Source: OWASP, Cross-Site Request Forgery Prevention, fetch metadata.
    """
    if request.method in _SAFE or "authorization" in request.headers:
        return False
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and urlsplit(origin).netloc.lower() not in _own_hosts(request)


def _own_hosts(request: Request) -> set[str]:
    # A proxy may call this server by another name than the browser does; Airflow is told the browser's in `base_url`.
    base = urlsplit(conf.get("api", "base_url", fallback="") or "").netloc
    return {host.lower() for host in (request.headers.get("host", ""), base) if host}
