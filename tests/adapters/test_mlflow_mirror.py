"""The mirror in a real MLflow server: seen by its own REST API, down and up again, and behind a login."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from airlock.adapters.clock import SystemClock
from airlock.adapters.http_connection import HttpConnection
from airlock.adapters.mirroring import Mirroring, MirroringEditor, MirroringRegistry
from airlock.adapters.mlflow_mirror import MlflowMirror
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_edits import SqlRegistryEditor
from airlock.adapters.registry_mirror_states import SqlMirrorStates
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.domain.request import Changes
from airlock.domain.version import Stage
from airlock.errors import MirrorRefused, MirrorUnavailable
from scripts.mlflow_server import MlflowServer
from tests.conftest import mlflow_versions

VERSION = "0.0.1"


@pytest.mark.mlflow
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["iris", "语言-1"])
def test_mlflow_shows_what_is_registered_and_what_becomes_of_it(
    mlflow: MlflowServer, engine: Engine, reader: SqlRegistryReader, a_version: Any, imported: Any, name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # As an installation has it: the address is an Airflow Connection.
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW", f'{{"conn_type": "http", "host": "{mlflow.url}"}}')
    states = SqlMirrorStates(engine, SystemClock())
    mirroring = Mirroring(MlflowMirror("mlflow"), states, reader)
    editor = MirroringEditor(SqlRegistryEditor(engine, SystemClock()), mirroring, reader)
    for _ in range(2):
        imported(name, description="Flowers", labels=("a", "b"))
    versions = mlflow_versions(mlflow, name)
    assert sorted(versions) == [VERSION, "0.0.2"]
    first = versions[VERSION]
    row = reader.find(name, VERSION)
    assert row is not None
    assert (first["version"], first["description"], first["source"]) == ("1", "Flowers", row.source)
    assert (first["tags"]["airlock.package"], first["tags"]["airlock.status"]) == (row.package_digest, "Normal")

    editor.set_alias(name, "champion", VERSION, "ada")
    assert mlflow_versions(mlflow, name)[VERSION]["aliases"] == ["champion"]
    editor.set_alias(name, "champion", "0.0.2", "ada")
    editor.set_alias(name, "old", VERSION, "ada")
    editor.remove_alias(name, "old", "ada")
    editor.set_stage(name, VERSION, Stage.ARCHIVED, "ada")
    editor.edit(name, VERSION, Changes(description="", labels=()), "ada")
    versions = mlflow_versions(mlflow, name)
    assert [(versions[each]["aliases"]) for each in (VERSION, "0.0.2")] == [[], ["champion"]]
    assert (versions[VERSION]["tags"]["airlock.stage"], versions[VERSION].get("description", "")) == ("Archived", "")

    # A second try after the server had made the version, but before we could note it, makes no second one.
    states.gone(name, "0.0.2")
    mirroring.changed((name, "0.0.2"))
    assert sorted(mlflow_versions(mlflow, name)) == [VERSION, "0.0.2"]

    mlflow.stop()
    editor.delete(name, VERSION, "ada")
    imported(name)
    assert "[MIR002] MLflow behind the Connection mlflow does not answer" in reader.events(name, "0.0.3")[-1].text
    mlflow.start()
    editor.set_stage(name, "0.0.2", Stage.STAGING, "ada")
    assert sorted(mlflow_versions(mlflow, name)) == ["0.0.2", "0.0.3"]
    assert reader.events(name, "0.0.3")[-1].text.startswith("Mirrored as version ")


@pytest.fixture
def registry(engine: Engine, reader: SqlRegistryReader) -> Any:
    mirroring = Mirroring(MlflowMirror("mlflow"), SqlMirrorStates(engine, SystemClock()), reader)
    return MirroringRegistry(SqlRegistry(engine, SystemClock()), mirroring)


# ── without MLflow ───────────────────────────────────────────────────────────────────────────────────────────────────


class Answering:
    """A server that gives one answer, and remembers how it was asked."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        self.asked: list[dict[str, str]] = []
        answering = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_DELETE(self) -> None:
                answering.asked.append(dict(self.headers))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def drop(url: str, login: str = "", password: str = "") -> None:
    MlflowMirror("m", lambda name: HttpConnection(url=url, login=login, password=password)).drop("iris", "1")


@pytest.mark.parametrize(
    "login,password,sent",
    [("ada", "secret", "Basic YWRhOnNlY3JldA=="), ("", "token", "Bearer token"), ("", "", None)],
)
def test_a_connections_login_or_token_goes_along(login: str, password: str, sent: str | None) -> None:
    with Answering(200, b"{}") as server:
        drop(f"{server.url}/below/", login, password)
    (headers,) = server.asked
    assert headers.get("Authorization") == sent


@pytest.mark.parametrize(
    "status,body,error,says",
    [
        (404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}', None, ""),
        (404, b"<html>", MirrorRefused, "MIR003.*HTTP 404"),
        (401, b"", MirrorRefused, "MIR003.*HTTP 401"),
        (400, b'{"error_code": "X", "message": "no\\u001b[0m"}', MirrorRefused, "HTTP 400 X"),
        (200, b"[]", MirrorRefused, "MIR003"),
        (503, b"", MirrorUnavailable, "MIR003.*HTTP 503"),
        (429, b"", MirrorUnavailable, "HTTP 429"),
        (302, b"", MirrorRefused, "HTTP 302"),
    ],
)
def test_what_a_server_refuses_is_told_with_its_answer(
    status: int, body: bytes, error: type[Exception] | None, says: str
) -> None:
    with Answering(status, body, Location="http://127.0.0.1:1/") as server:
        if error is None:
            drop(server.url)
        else:
            with pytest.raises(error, match=says) as caught:
                drop(server.url)
            assert "\x1b" not in str(caught.value)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_or_not_named_is_told(tmp_path: Path) -> None:
    with pytest.raises(MirrorUnavailable, match="MIR002"):
        drop("http://127.0.0.1:1")
    look_ups: list[Callable[[str], HttpConnection | None]] = [
        lambda name: None,
        lambda name: HttpConnection(url=f"file://{tmp_path}", login="", password=""),
    ]
    for look_up in look_ups:
        with pytest.raises(MirrorRefused, match="MIR001"):
            MlflowMirror("m", look_up).drop("iris", "1")
