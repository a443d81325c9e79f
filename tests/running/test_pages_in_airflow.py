from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from tests.running.conftest import Running

ROUTES = {
    "/airlock/": "/airlock/",
    "/airlock/models/{model_name}/{model_version}": "/airlock/models/x/0.0.1",
    "/airlock/models/{model_name}/{model_version}/{tab}": "/airlock/models/x/0.0.1/events",
    "/airlock/reports/{dag_id}/{run_id}": "/airlock/reports/import_model/manual__1",
    "/airlock/reports/{dag_id}/{run_id}/report.json": "/airlock/reports/import_model/manual__1/report.json",
    "/airlock/assets/airlock.css": "/airlock/assets/airlock.css",
    # Its own routes are walked in tests/web/test_api.py.
    "/airlock/api/v1": "/airlock/api/v1/models",
}


def ask(running: Running, path: str, token: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(running.airflow.url + path)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("path", ROUTES.values())
def test_anonymous_is_refused_on_every_route(running: Running, path: str) -> None:
    assert ask(running, path)[0] == 401


def test_every_route_of_the_application_is_in_this_test() -> None:
    from airlock.web.app import URL_PREFIX, create_app

    patterns = {f"{URL_PREFIX}{route.path}" for route in create_app().routes}  # type: ignore[attr-defined]
    assert patterns == set(ROUTES)


def test_a_signed_in_user_sees_the_models(running: Running) -> None:
    token = running.api.request("GET", "/api/v2/version") and running.api._token
    status, text = ask(running, "/airlock/", token)
    assert status == 200
    assert "<h1>Models</h1>" in text


def test_the_page_is_in_the_navigation(running: Running) -> None:
    plugins = running.api.request("GET", "/api/v2/plugins")["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "airlock"]
    assert [(view["name"], view["href"]) for view in ours["external_views"]] == [("Models", "/airlock/")]
