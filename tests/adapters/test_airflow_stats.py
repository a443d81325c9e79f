"""Measurements and named log lines, as Airflow really sends and writes them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.observability import stats

from airlock.adapters import airflow_stats
from airlock.domain.device import Device
from airlock.domain.metrics import (
    DEVICE_WAIT,
    LAYERS,
    PACKAGE_BYTES,
    STATUSES,
    STEP_TIME,
    VERDICTS,
    Metric,
)
from airlock.domain.notification import Notification
from airlock.domain.package import Package
from airlock.domain.smoke import Verdict
from airlock.domain.version import Reservation, RunRef, Status
from airlock.errors import BackendUnavailable, BuildFailed
from airlock.operators import base, telemetry
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry
from tests.otlp_listener import Collected, OtlpListener
from tests.statsd_listener import StatsdListener

RUN = RunRef(dag_id="import_model", run_id="r1")


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdListener]:
    """A receiver, and Airflow's metrics made as a task process makes them."""
    from airflow.sdk.observability.metrics import stats_utils

    with StatsdListener() as listener:
        for name, value in listener.settings().items():
            monkeypatch.setenv(name, value)
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
        yield listener
        _close_client()
        monkeypatch.undo()
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)


def _close_client() -> None:
    from airflow.sdk._shared.observability.metrics import stats as own

    client = getattr(own._backend, "statsd", None)
    if client is not None:
        client.close()


class Wired:
    """As much of an installation as the base of the steps asks for."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.registry = FakeRegistry(self.clock)
        self.measure = airflow_stats.send
        self.flush_measurements = airflow_stats.flush


class Step(base.StepOperator):
    """A step that does what a test says."""

    def __init__(self, *, does: Callable[[], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.does = does

    def run_step(self, wiring: Any, context: Any) -> Any:
        return self.does()


def run_step(monkeypatch: pytest.MonkeyPatch, does: Callable[[], Any]) -> Any:
    monkeypatch.setattr(base, "wiring_of_airflow", Wired)
    context: Any = {
        "dag_run": SimpleNamespace(dag_id=RUN.dag_id, run_id=RUN.run_id),
        "ti": SimpleNamespace(try_number=1, max_tries=2),
    }
    return Step(task_id="build", does=does).execute(context)


def fail(error: Exception) -> Callable[[], Any]:
    def raise_it() -> Any:
        raise error

    return raise_it


@pytest.mark.parametrize(
    "does,raised,outcome",
    [
        (lambda: 1, None, "done"),
        (fail(AirflowSkipException("gpu: not served")), AirflowSkipException, "skipped"),
        (fail(BuildFailed("BLD002", "no such package", "name another")), AirflowFailException, "refused"),
        (fail(BackendUnavailable("BLD010", "the engine is away", "start it")), BackendUnavailable, "broken"),
        (fail(ZeroDivisionError()), ZeroDivisionError, "broken"),
    ],
    ids=["done", "skipped", "refused", "broken", "defect"],
)
def test_a_steps_time_arrives_with_its_outcome(
    statsd: StatsdListener,
    monkeypatch: pytest.MonkeyPatch,
    does: Callable[[], Any],
    raised: type[Exception] | None,
    outcome: str,
) -> None:
    if raised is None:
        assert run_step(monkeypatch, does) == 1
    else:
        with pytest.raises(raised):
            run_step(monkeypatch, does)
    (measured,) = statsd.wait_for("airflow.airlock.step.duration")
    assert (measured.tags, measured.kind) == ({"step": "build", "outcome": outcome}, "ms")
    assert 0 <= measured.value < 60_000


def test_counters_arrive_with_their_tags(statsd: StatsdListener) -> None:
    wiring: Any = Wired()
    package = Package(digest="d", source="s3://models/iris/", file_count=2, size_bytes=1000, bytes_copied=400)
    telemetry.package_fetched(wiring, package)
    layers = [SimpleNamespace(name="base", reused=True), SimpleNamespace(name="serving", reused=False)]
    image: Any = SimpleNamespace(layers=layers)
    pushed: dict[str, Any] = {}
    context: Any = {"ti": SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))}
    telemetry.image_built(wiring, image, context)
    report: Any = SimpleNamespace(device=Device.GPU, verdict=Verdict.NO_DEVICE)
    telemetry.device_tested(wiring, report)
    assert pushed[telemetry.READY_KEY] > 0
    statsd.wait_for("airflow.airlock.device.tests")

    def arrived(metric: Metric) -> list[tuple[dict[str, str], float]]:
        return [(each.tags, each.value) for each in statsd.found(f"airflow.{metric.name}")]

    assert arrived(PACKAGE_BYTES) == [({"from": "source"}, 400), ({"from": "store"}, 600)]
    assert arrived(LAYERS) == [({"layer": "base", "made": "false"}, 1), ({"layer": "serving", "made": "true"}, 1)]
    assert arrived(VERDICTS) == [({"device": "gpu", "verdict": "not_run_no_device"}, 1)]


@pytest.mark.parametrize("try_number,ready,sent", [(1, 100.0, [30_000]), (2, 100.0, []), (1, None, [])])
def test_the_wait_for_a_device_is_that_of_the_first_try(
    statsd: StatsdListener, try_number: int, ready: float | None, sent: list[float]
) -> None:
    from datetime import UTC, datetime

    wiring: Any = Wired()
    ti = SimpleNamespace(
        try_number=try_number, start_date=datetime.fromtimestamp(130, UTC), xcom_pull=lambda task_ids, key: ready
    )
    context: Any = {"ti": ti}
    telemetry.device_waited(wiring, "cpu", "build", context)
    wiring.measure(VERDICTS, 1, {"device": "cpu", "verdict": "passed"})
    statsd.wait_for("airflow.airlock.device.tests")
    assert [each.value for each in statsd.found(f"airflow.{DEVICE_WAIT.name}")] == sent


@pytest.mark.parametrize(
    "status,reason,code",
    [
        (Status.NORMAL, "", "none"),
        (Status.FAILED, "[RUN001] The import ended without a result.", "RUN001"),
        (Status.ABNORMAL, "an old reason without a code", "none"),
    ],
)
def test_a_new_status_is_counted(statsd: StatsdListener, status: Status, reason: str, code: str) -> None:
    airflow_stats.count_status(
        Notification(
            model_name="iris", model_version="0.0.1", status=status, reason=reason, run=str(RUN), at=0.0, summary={}
        )
    )
    (measured,) = statsd.wait_for(f"airflow.{STATUSES.name}")
    assert (measured.tags, measured.value, measured.kind) == ({"status": status.value, "code": code}, 1, "c")


def test_a_receiver_that_is_away_is_a_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(stats, "timing", away)
    with caplog.at_level(logging.WARNING):
        airflow_stats.send(STEP_TIME, 1.0, {"step": "fetch", "outcome": "done"})
    assert "The measurement airlock.step.duration could not be sent." in caplog.text


#: A task's process as far as measuring goes, to its end: Airflow leaves it by `os._exit`.
TASK = """
import os, sys, time
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from airlock.adapters.wiring import Wiring
from airlock.domain.metrics import PACKAGE_BYTES
from airlock.operators import telemetry

stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
wiring = Wiring(None)
for count in 400, 600:
    wiring.measure(PACKAGE_BYTES, count, {"from": "source"})
began = time.monotonic()
telemetry.step_ended(wiring, "fetch", "done", 1.5)
print(time.monotonic() - began, flush=True)
os._exit(0)
"""


def task(settings: dict[str, str]) -> float:
    """Run it, and return how long its last measurement took."""
    ended = subprocess.run(
        [sys.executable, "-c", TASK], env={**os.environ, **settings}, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return float(ended.stdout.split()[-1])


def test_what_a_task_measures_arrives_over_opentelemetry_before_its_process_is_gone() -> None:
    with OtlpListener() as listener:
        task(listener.settings())
        assert sorted(listener.collected, key=lambda each: each.name) == [
            Collected(name=f"airflow.{PACKAGE_BYTES.name}", tags={"from": "source"}, value=1000),
            Collected(name=f"airflow.{STEP_TIME.name}", tags={"step": "fetch", "outcome": "done"}, value=1500),
        ]


def test_a_collector_that_does_not_answer_holds_no_task_up() -> None:
    with OtlpListener(answer_after_s=60) as listener:
        assert task(listener.settings()) < airflow_stats.FLUSH_S + 3
        assert listener.collected == []


def test_without_opentelemetry_no_task_waits_for_anything(statsd: StatsdListener) -> None:
    assert task({**statsd.settings(), "AIRFLOW__METRICS__OTEL_ON": "False"}) < 1
    assert [each.value for each in statsd.wait_for(f"airflow.{STEP_TIME.name}")] == [1500]


def test_every_line_after_names_model_version_and_package(capsys: pytest.CaptureFixture[str]) -> None:
    import structlog
    from structlog.contextvars import bound_contextvars

    reservation = Reservation(model_name="iris", model_version="1.2.3", run=RUN)
    with bound_contextvars(model_name="", model_version="", package_digest=""):
        telemetry.name_in_log(reservation)
        telemetry.name_in_log(None, "4f1c")
        chain = [structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer()]
        structlog.wrap_logger(structlog.PrintLogger(), processors=chain).info("said")
    line = json.loads(capsys.readouterr().out)
    assert line == {
        "event": "said",
        "model_name": "iris",
        "model_version": "1.2.3",
        "package_digest": "sha256:4f1c",
    }
