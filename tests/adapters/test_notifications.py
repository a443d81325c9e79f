"""Notifications to a real HTTP server: signed, tried again, never redirected, and kept."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from airlock.adapters.notifying import NotifyingRegistry, airflow_hook
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_deliveries import SqlDeliveries
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.webhook import Receiver, Webhook, receivers
from airlock.codec import encode
from airlock.domain.notification import Delivery, Notification, is_receiver, signature
from airlock.domain.record import ModelVersion
from airlock.domain.registered import Page
from airlock.domain.version import RunRef, Status
from tests.fakes.clock import FakeClock

SECRET = "of both sides"


class Listener:
    """Takes what is posted, and answers as it is told."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.taken.append((dict(self.headers), body))
                status, headers = listener.answers.pop(0) if listener.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


NOTIFICATION = Notification(
    model_name="语言", model_version="0.0.1", status=Status.FAILED, reason="[BLD002] No.", run="import_model/r", at=5.0,
    summary={},
)  # fmt: skip


def told(url: str, secret: str = SECRET) -> tuple[Delivery, FakeClock]:
    kept: list[Delivery] = []
    clock = FakeClock(1000.0)
    Webhook(lambda: [Receiver(name="ci", url=url, secret=secret)], kept.append, clock).tell(NOTIFICATION)
    (delivery,) = kept
    return delivery, clock


def test_a_notification_is_signed_over_its_time_and_its_body(listener: Listener) -> None:
    delivery, _ = told(listener.url)
    assert (delivery.delivered, delivery.attempts, delivery.answer, delivery.problem) == (True, 1, 200, "")
    ((headers, body),) = listener.taken
    assert json.loads(body)["event"] == "model.failed"
    assert json.loads(body)["model_name"] == "语言"
    assert headers["X-Airlock-Timestamp"] == "1000"
    assert headers["X-Airlock-Signature"] == signature(SECRET, "1000", body)
    assert signature(SECRET, "1001", body) != signature(SECRET, "1000", body) != signature("other", "1000", body)


def test_the_signature_is_what_another_implementation_finds(tmp_path: Any) -> None:
    import subprocess

    (tmp_path / "body").write_bytes(b"1000." + NOTIFICATION.body())
    argv = ["openssl", "dgst", "-sha256", "-hmac", SECRET, "-r", str(tmp_path / "body")]
    found = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[0]
    assert signature(SECRET, "1000", NOTIFICATION.body()) == f"sha256={found}"


def test_what_may_pass_is_tried_three_times_with_one_delivery_id(listener: Listener) -> None:
    listener.answers = [(503, {}), (429, {})]
    delivery, clock = told(listener.url)
    assert (delivery.delivered, delivery.attempts) == (True, 3)
    assert clock.now() == 1005.0
    assert len({headers["X-Airlock-Delivery"] for headers, _ in listener.taken}) == 1
    listener.answers = [(500, {})] * 3
    delivery, _ = told(listener.url)
    assert (delivery.delivered, delivery.attempts, delivery.problem) == (False, 3, "It answers with HTTP 500.")


def test_what_will_not_pass_is_tried_once(listener: Listener) -> None:
    listener.answers = [(404, {})]
    delivery, _ = told(listener.url)
    assert (delivery.delivered, delivery.attempts, delivery.answer) == (False, 1, 404)


def test_a_redirect_is_not_followed(listener: Listener) -> None:
    listener.answers = [(307, {"Location": listener.url})]
    delivery, _ = told(listener.url)
    assert (delivery.delivered, delivery.attempts, delivery.answer) == (False, 1, 307)
    assert "redirect" in delivery.problem
    assert len(listener.taken) == 1


def test_nobody_there_is_told_without_the_address() -> None:
    delivery, _ = told("http://127.0.0.1:1/secret-path")
    assert (delivery.delivered, delivery.attempts, delivery.answer) == (False, 3, None)
    assert "secret-path" not in delivery.problem


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "file:///etc/passwd", "https://user:word@host/", "http://", "x", "http://host:x/"]
)
def test_what_is_no_web_address_gets_nothing(url: str) -> None:
    assert not is_receiver(url)
    delivery, _ = told(url)
    assert (delivery.delivered, delivery.attempts) == (False, 0)


def test_without_a_secret_nothing_is_sent(listener: Listener) -> None:
    delivery, _ = told(listener.url, secret="")
    assert (delivery.delivered, delivery.attempts) == (False, 0)
    assert listener.taken == []


def test_receivers_are_connections_and_one_that_is_missing_is_in_the_history(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {"conn_type": "http", "host": listener.url, "password": SECRET}
    parts = {"conn_type": "http", "host": "ci.example.com", "port": 8443, "password": "x", "extra": {"path": "/hook"}}
    monkeypatch.setenv("AIRFLOW_CONN_WHOLE", json.dumps(whole))
    monkeypatch.setenv("AIRFLOW_CONN_PARTS", json.dumps(parts))
    found = receivers(("whole", "parts", "missing"))()
    assert [(each.name, each.url) for each in found] == [
        ("whole", listener.url),
        ("parts", "https://ci.example.com:8443/hook"),
        ("missing", ""),
    ]
    assert found[0].secret == SECRET
    kept: list[Delivery] = []
    Webhook(receivers(("missing", "whole")), kept.append, FakeClock(1.0)).tell(NOTIFICATION)
    assert [(each.receiver, each.delivered) for each in kept] == [("missing", False), ("whole", True)]


def test_every_change_of_status_is_told_once_and_kept(
    engine: Engine, registry: SqlRegistry, reader: SqlRegistryReader, a_version: ModelVersion, listener: Listener
) -> None:
    clock = FakeClock(1000.0)
    webhook = Webhook(
        lambda: [Receiver(name="ci", url=listener.url, secret=SECRET)], SqlDeliveries(engine, clock).keep, clock
    )
    telling = NotifyingRegistry(registry, [webhook.tell], clock)
    request = a_version.accepted.request
    bad = telling.reserve(request, RunRef(dag_id="d", run_id="1"))
    assert telling.fail(bad, "build", "BLD002", "No.")
    assert not telling.fail(bad, "build", "BLD002", "No.")
    good = telling.reserve(request, RunRef(dag_id="d", run_id="2"))
    version = replace(a_version, accepted=replace(a_version.accepted, reservation=good))
    telling.complete(version, encode(version))
    sweep = RunRef(dag_id="revalidate_models", run_id="3")
    telling.judge("iris", "0.0.2", sweep, [], "[SMK010] It ended.")
    telling.judge("iris", "0.0.2", sweep, [], "[SMK010] It ended.")
    telling.judge("iris", "0.0.2", sweep, [], "")
    assert [json.loads(body)["event"] for _, body in listener.taken] == [
        "model.failed", "model.normal", "model.abnormal", "model.normal",
    ]  # fmt: skip
    assert json.loads(listener.taken[1][1])["summary"]["engine"] == "Scikit_Learn"
    kept = reader.deliveries(Page(), "iris")
    assert [(each.model_version, each.status, each.delivered) for each in kept.items] == [
        ("0.0.2", Status.NORMAL, True),
        ("0.0.2", Status.ABNORMAL, True),
        ("0.0.2", Status.NORMAL, True),
        ("0.0.1", Status.FAILED, True),
    ]
    assert reader.deliveries(Page(), "iris", "0.0.1").total == 1


def test_a_hook_that_fails_changes_nothing(registry: SqlRegistry, a_version: ModelVersion) -> None:
    def broken(notification: Notification) -> None:
        raise RuntimeError("no")

    heard: list[Notification] = []
    telling = NotifyingRegistry(registry, [broken, heard.append], FakeClock(1.0))
    held = telling.reserve(a_version.accepted.request, RunRef(dag_id="d", run_id="1"))
    assert telling.fail(held, "build", "BLD002", "No.")
    assert [each.status for each in heard] == [Status.FAILED]


@pytest.fixture
def notifier(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Any]]:
    """A module with an Airflow notifier, and what it was told."""
    from airflow.sdk import BaseNotifier

    heard: list[Any] = []

    class Chat(BaseNotifier):
        template_fields = ("text",)

        def __init__(self) -> None:
            super().__init__()
            self.text = "{{ airlock.model_name }} is {{ airlock.status.value }}"

        def notify(self, context: Any) -> None:
            heard.append((self.text, context["airlock"]))

    module = types.ModuleType("company_chat")
    module.Chat = Chat  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "company_chat", module)
    return lambda: heard


def test_an_airflow_notifier_is_told_with_its_templates_filled_in(notifier: Callable[[], list[Any]]) -> None:
    airflow_hook("company_chat.Chat")(NOTIFICATION)
    assert notifier() == [("语言 is Failed", NOTIFICATION)]
