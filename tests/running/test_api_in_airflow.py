"""The REST API inside a running Airflow: its sign-in, its permissions, and runs that it really starts."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.conftest import Bucket
from tests.dag.conftest import a_config
from tests.running.conftest import DAG_ID, Running

API = "/airlock/api/v1"


def ask(running: Running, method: str, path: str, body: Any = None, *, anonymous: bool = False) -> tuple[int, Any]:
    request = urllib.request.Request(running.airflow.url + API + path, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if not anonymous:
        running.api.request("GET", "/api/v2/version")
        request.add_header("Authorization", f"Bearer {running.api._token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    "method,path",
    [
        ("GET", "/models"),
        ("GET", "/openapi.json"),
        ("POST", "/imports"),
        ("DELETE", "/models/iris/versions/0.0.1"),
        ("PUT", "/models/iris/aliases/champion"),
    ],
)
def test_nobody_who_is_not_signed_in_gets_an_answer(running: Running, method: str, path: str) -> None:
    status, told = ask(running, method, path, {} if method != "GET" else None, anonymous=True)
    assert (status, told["code"]) == (401, "WEB002")


def test_an_import_is_started_as_the_caller_and_its_failure_is_shown(running: Running, bucket: Bucket) -> None:
    bucket.put("api/model/config.json", json.dumps(a_config(model_type="Nothing")).encode())
    form = {"model_name": "by-api", "source_location": f"s3://{bucket.name}/api/", "labels": ["api"]}
    status, started = ask(running, "POST", "/imports", form)
    assert status == 202, started
    running.wait(started["run_id"], 180)
    run = running.api.run_of(DAG_ID, started["run_id"])
    assert (run["state"], run["triggering_user_name"]) == ("failed", "admin")
    status, version = ask(running, "GET", "/models/by-api/versions/0.0.1")
    assert (status, version["model_status"], version["owner"], version["labels"]) == (200, "Failed", "admin", ["api"])
    assert "CFG007" in version["reason"]
    status, told = ask(running, "POST", "/checks", {"source_location": form["source_location"]})
    assert (status, told["passed"], told["findings"][0]["code"]) == (200, False, "CFG007")
    assert ask(running, "DELETE", "/models/by-api/versions/0.0.1")[0] == 204
    status, events = ask(running, "GET", "/models/by-api/versions/0.0.1/events")
    assert (events["events"][-1]["event_info"], events["events"][-1]["actor"]) == ("Deleted by admin.", "admin")


def test_what_airflow_does_not_start_is_a_problem(running: Running) -> None:
    # The form's own rules are kept; what the DAG's parameters say beyond them is Airflow's to refuse.
    form = {"model_name": "x", "source_location": "/bucket/x/", "install_type": []}
    status, told = ask(running, "POST", "/imports", form)
    assert (status, told["code"]) == (422, "RUN003"), told
    assert "install_type" in told["detail"]
    assert "schema" not in told["detail"]
