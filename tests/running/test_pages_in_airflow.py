from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from tests.running.conftest import Running

VERSION = "/airlock/models/{model_name}/{model_version}"
#: Every route, and the methods that it answers.
ROUTES = {
    "/airlock/": "GET",
    "/airlock/models/{model_name}": "GET",
    VERSION: "GET",
    f"{VERSION}/{{tab}}": "GET",
    f"{VERSION}/edit": "GET POST",
    f"{VERSION}/alias": "GET POST",
    f"{VERSION}/unalias": "GET POST",
    f"{VERSION}/stage": "GET POST",
    f"{VERSION}/delete": "GET POST",
    f"{VERSION}/new": "GET POST",
    f"{VERSION}/revalidate": "GET POST",
    f"{VERSION}/dependencies": "GET POST",
    "/airlock/runs/{dag_id}/{run_id:path}": "GET",
    "/airlock/reports/{dag_id}/{run_id}": "GET",
    "/airlock/reports/{dag_id}/{run_id}/report.json": "GET",
    "/airlock/assets/{name}": "GET",
    # Its own routes are walked in tests/web/api/test_api_access.py.
    "/airlock/api/v1": "",
}
VALUES = {"model_name": "x", "model_version": "0.0.1", "tab": "events", "dag_id": "import_model", "name": "airlock.css"}


def address(pattern: str) -> str:
    """A route's pattern with something in each place."""
    return pattern.replace("{run_id:path}", "manual__1").format(**VALUES, run_id="manual__1")


def ask(running: Running, path: str, token: str | None = None, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(running.airflow.url + path, method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    "method,pattern", [(method, pattern) for pattern, methods in ROUTES.items() for method in methods.split()]
)
def test_anonymous_is_refused_on_every_route(running: Running, method: str, pattern: str) -> None:
    status, text = ask(running, address(pattern), method=method)
    assert status == 401
    assert "Sign in to Airflow" in text


def test_every_route_of_the_application_is_in_this_test() -> None:
    from airlock.web.app import URL_PREFIX, create_app

    found: dict[str, set[str]] = {}
    for route in create_app().routes:
        methods = getattr(route, "methods", set()) - {"HEAD"}
        found.setdefault(f"{URL_PREFIX}{route.path}", set()).update(methods)  # type: ignore[attr-defined]
    assert found == {pattern: set(methods.split()) for pattern, methods in ROUTES.items()}


def test_a_signed_in_user_sees_the_models(running: Running) -> None:
    token = running.api.request("GET", "/api/v2/version") and running.api._token
    status, text = ask(running, "/airlock/", token)
    assert status == 200
    assert "<h1>Models</h1>" in text


def test_the_page_is_in_the_navigation(running: Running) -> None:
    plugins = running.api.request("GET", "/api/v2/plugins")["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "airlock"]
    views = {(view["destination"], view["name"], view["href"]) for view in ours["external_views"]}
    assert views == {("nav", "Models", "/airlock/"), ("dag_run", "Model", "/airlock/runs/{DAG_ID}/{RUN_ID}")}
