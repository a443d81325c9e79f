"""smoke on fakes: a service that keeps its promises passes, and every way to break them has its code."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from airlock.domain.device import Device
from airlock.domain.smoke import (
    FEWEST_TIMED_REQUESTS,
    MAX_GOLDEN_BYTES,
    MAX_RESPONSE_BYTES,
    MOST_TIMED_REQUESTS,
    REQUEST_TIMEOUT_S,
    WARM_UP_REQUESTS,
    HttpRequest,
    HttpResponse,
    Silence,
    Verdict,
)
from airlock.domain.version import RunRef
from airlock.errors import BackendUnavailable, BuildFailed, DeviceRequired, SmokeFailed
from airlock.ports.running_service import ServiceExit
from airlock.steps.samples import MAX_SAMPLE_BYTES
from tests.fakes.running_service import Behaviour
from tests.unit.given import IRIS_ANSWER, SERVICE, ZIPPED, changed, iris_files
from tests.unit.line import Line

OTHER_RUN = RunRef(dag_id="import_model", run_id="other")


def failed(behaviour: Behaviour, files: dict[str, bytes] | None = None, **conf: Any) -> SmokeFailed:
    line = Line(files)
    line.backend.behaviour = behaviour
    built = line.until_built(**conf)
    with pytest.raises(SmokeFailed) as caught:
        line.smoke(built)
    assert line.backend.running == [], "the service still runs"
    str(caught.value).encode()
    return caught.value


def response(body: bytes, status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, content_type="application/json", body=body, seconds=0.01)


def turning(after: int, then: bytes | HttpResponse | Silence) -> Callable[[HttpRequest], Any]:
    """Answers right until so many requests have come."""
    asked = []

    def answer(request: HttpRequest) -> Any:
        asked.append(request)
        return IRIS_ANSWER if len(asked) <= after else then

    return answer


# ── what passes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_service_that_answers_as_declared_passes_with_measured_figures() -> None:
    line = Line()
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, load_s=3, seconds=0.2, peak_memory_bytes=7)
    report = line.smoke(line.until_built())
    assert report.verdict is Verdict.PASSED
    assert report.checked == ("generated",)
    assert report.ready_s is not None
    assert 3 <= report.ready_s < 4
    assert (report.start_s, report.load_s) == (0.0, report.ready_s)
    assert report.latency is not None
    assert (report.latency.p50, report.latency.requests, report.latency.concurrency) == (200.0, 5, 1)
    assert report.latency.per_second == 5.0
    assert report.concurrent is not None
    assert (report.concurrent.p99, report.concurrent.concurrency) == (200.0, 4)
    assert report.concurrent.requests == FEWEST_TIMED_REQUESTS
    assert (report.peak_memory_bytes, report.gpu_memory_bytes) == (7, None)
    assert report.same_answers is True
    (pair,) = report.golden
    assert json.loads(pair.body) == {"data": {"req_data": [{"sepal": 1, "petal": 1}]}}
    assert pair.answer == IRIS_ANSWER.decode()
    assert report.findings == ()
    assert line.backend.running == []


def test_a_fast_service_is_asked_often_and_a_slow_one_seldom() -> None:
    line = Line()
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, seconds=0.001)
    report = line.smoke(line.until_built())
    assert report.latency is not None
    assert report.latency.requests == MOST_TIMED_REQUESTS
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, seconds=8)
    report = line.smoke(line.until_built(model_version="0.0.2", run=OTHER_RUN))
    assert report.latency is not None
    assert report.latency.requests == FEWEST_TIMED_REQUESTS
    assert report.concurrent is not None


def test_a_service_too_slow_for_several_requests_at_once_is_not_asked_so() -> None:
    line = Line()
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, seconds=10)
    report = line.smoke(line.until_built())
    assert report.verdict is Verdict.PASSED
    assert report.concurrent is None


def test_answers_that_vary_are_noticed_and_pass() -> None:
    values = itertools.cycle([b"1", b"2", b"3"])
    line = Line()
    line.backend.behaviour = Behaviour(answer=lambda request: IRIS_ANSWER.replace(b"1", next(values)))
    report = line.smoke(line.until_built())
    assert report.same_answers is False
    assert [finding.code for finding in report.findings] == ["SMK031"]


def test_noise_in_the_last_digits_is_the_same_answer() -> None:
    values = itertools.cycle([b"1.5", b"1.5000000001"])
    line = Line(iris_files(changed(apis=[]), model__samples__a_dot_json=b"{}"))
    line.backend.behaviour = Behaviour(answer=lambda request: IRIS_ANSWER.replace(b"1", next(values)))
    assert line.smoke(line.until_built()).same_answers is True


def test_a_declaration_that_is_too_small_is_a_finding_with_a_suggestion() -> None:
    line = Line()
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, peak_memory_bytes=470_000_000)
    report = line.smoke(line.until_built(min_memory_mb=512))
    assert report.memory_limit_mb == 512
    assert report.suggested is not None
    assert report.suggested.memory_mb == 640
    (finding,) = report.findings
    assert (finding.code, finding.severity.value, str(finding.place)) == ("SMK030", "warning", "request min_memory_mb")
    assert "470 of the declared 512 MB" in finding.message
    assert "640 MB" in finding.fix


def test_a_pair_too_large_to_keep_is_left_out_and_said() -> None:
    large = json.dumps("x" * MAX_GOLDEN_BYTES).encode()
    line = Line({**iris_files(), "model/samples/a.json": large, "model/samples/b.json": b"{}"})
    line.limits = type(line.limits)(max_package_bytes=10**9, max_objects=50)
    report = line.smoke(line.until_built())
    assert [pair.sample for pair in report.golden] == ["b.json"]
    assert report.findings == ()
    line = Line({**iris_files(), "model/samples/a.json": large})
    line.limits = type(line.limits)(max_package_bytes=10**9, max_objects=50)
    assert [finding.code for finding in line.smoke(line.until_built()).findings] == ["SMK032"]


def test_the_service_is_started_as_the_request_says() -> None:
    line = Line()
    line.smoke(line.until_built(min_cpu=2, min_memory_mb=512))
    (launch,) = line.backend.launches
    assert (launch.cpus, launch.memory_mb, launch.device) == (2.0, 512, Device.CPU)
    assert (launch.model_name, launch.task) == ("iris", "smoke_cpu")
    line.smoke(line.until_built())
    assert (line.backend.launches[-1].cpus, line.backend.launches[-1].memory_mb) == (None, 1024)


def test_a_service_that_loads_in_the_background_is_waited_for() -> None:
    line = Line()
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, load_s=2, loading_answers=60)
    report = line.smoke(line.until_built())
    assert report.ready_s is not None
    assert report.ready_s > 5


def test_a_first_request_that_takes_long_within_the_startup_time_is_waited_for() -> None:
    line = Line()
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, seconds=39)
    assert line.smoke(line.until_built()).verdict is Verdict.PASSED


def test_a_first_request_whose_time_went_by_while_the_model_was_loaded_is_sent_again() -> None:
    line = Line()
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, silent_s=30, seconds=15)
    assert line.smoke(line.until_built()).verdict is Verdict.PASSED


def test_the_authors_samples_are_all_sent_and_compared() -> None:
    files = {
        **iris_files(),
        "model/samples/b.json": b'{"n": 2}',
        "model/samples/a.json": b'{"n": 1}',
        "model/samples/a.response.json": b'[{"predictresult": 1}]',
        "model/samples/notes.txt": b"not sent",
        "model/samples/deeper/c.json": b"not sent",
    }
    line = Line(files)
    report = line.smoke(line.until_built())
    assert report.checked == ("a.json", "b.json")
    assert [json.loads(pair.body) for pair in report.golden] == [{"n": 1}, {"n": 2}]


def test_a_sample_is_enough_where_no_interface_is_declared() -> None:
    line = Line({**iris_files(changed(apis=[])), "model/samples/a.json": b"{}"})
    assert line.smoke(line.until_built()).verdict is Verdict.PASSED


def test_an_inner_form_that_is_declared_is_right_too() -> None:
    config = changed()
    config["apis"][0]["response"]["data"] = {"type": "array", "items": {"type": "object"}}
    line = Line(iris_files(config))
    assert line.smoke(line.until_built()).verdict is Verdict.PASSED


def test_a_device_that_the_runtime_does_not_serve_is_no_failure() -> None:
    line = Line()
    built = line.until_built()
    assert line.smoke(built, Device.GPU).verdict is Verdict.NOT_SERVED
    assert line.backend.launches == []


def test_a_device_that_the_worker_lacks_is_not_a_pass() -> None:
    line = Line()
    line.backend.on = frozenset({Device.GPU})
    assert line.smoke(line.until_built()).verdict is Verdict.NO_DEVICE
    assert "Not tested on cpu: no device." in line.events()


# ── devices that the request demands ─────────────────────────────────────────────────────────────────────────────────


def test_a_demanded_device_that_the_runtime_does_not_serve_fails_the_import() -> None:
    line = Line()
    built = line.until_built(required_devices=["gpu"])
    with pytest.raises(DeviceRequired, match="SMK022"):
        line.smoke(built, Device.GPU)


def test_a_demanded_device_that_the_worker_lacks_fails_the_import() -> None:
    line = Line()
    line.backend.on = frozenset()
    built = line.until_built(required_devices=["cpu"])
    with pytest.raises(DeviceRequired, match="SMK020"):
        line.smoke(built)


# ── start ────────────────────────────────────────────────────────────────────────────────────────────────────────────

STARTUP_LOG = (
    "Traceback (most recent call last):\n  …\n"
    'AIRLOCK-STARTUP-ERROR {"stage": "import", "type": "ImportError", "message": "No module named \'x\'", '
    '"file": "customize_service.py", "line": 3}\n'
)


def test_code_that_raises_on_import_is_told_with_file_and_line() -> None:
    error = failed(Behaviour(dies_after=0, log=STARTUP_LOG))
    assert error.code == "SMK010"
    assert "ended with status 3 before it was ready" in error.message
    assert "ImportError in stage import at model/customize_service.py:3: No module named 'x'" in error.message
    assert error.report is not None
    assert error.report.log == STARTUP_LOG.rstrip("\n")
    assert (error.report.exit_status, error.report.out_of_memory) == (3, False)
    assert error.report.cause == "It imports x, which the runtime does not have: add it to `dependencies`."


def test_a_service_that_never_listens_is_not_ready_in_time() -> None:
    line = Line()
    line.backend.behaviour = Behaviour(load_s=10**6)
    built = line.until_built(startup_timeout_s=30)
    started = line.clock.monotonic()
    with pytest.raises(SmokeFailed) as caught:
        line.smoke(built)
    assert caught.value.code == "SMK011"
    assert 30 <= line.clock.monotonic() - started < 31
    assert line.backend.running == []


def test_the_runtimes_own_startup_time_holds_where_the_request_names_none() -> None:
    line = Line()
    line.backend.behaviour = Behaviour(load_s=10**6)
    built = line.until_built()
    started = line.clock.monotonic()
    with pytest.raises(SmokeFailed):
        line.smoke(built)
    assert 60 <= line.clock.monotonic() - started < 61


def test_a_service_that_says_loading_for_ever_is_not_ready_in_time() -> None:
    assert failed(Behaviour(answer=IRIS_ANSWER, loading_answers=10**6)).code == "SMK011"


def test_a_service_may_take_longer_to_load_than_one_prediction_may() -> None:
    assert failed(Behaviour(answer=IRIS_ANSWER, silent_s=110), startup_timeout_s=100).code == "SMK011"
    line = Line()
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, silent_s=110)
    assert 110 <= line.smoke(line.until_built(startup_timeout_s=180)).ready_s < 120


def test_a_service_that_hangs_on_the_first_request_is_too_slow() -> None:
    assert failed(Behaviour(answer=IRIS_ANSWER, seconds=10**6), startup_timeout_s=100).code == "SMK002"
    assert failed(Behaviour(answer=IRIS_ANSWER, seconds=10**6), startup_timeout_s=20).code == "SMK011"


def test_a_service_that_needs_too_much_memory_is_told_apart() -> None:
    error = failed(Behaviour(dies_after=1, exit=ServiceExit(status=137, out_of_memory=True)), min_memory_mb=512)
    assert error.code == "SMK013"
    assert error.report is not None
    assert (error.report.exit_status, error.report.out_of_memory) == (137, True)
    assert error.report.cause == "The memory limit ended it."
    assert "512 MB" in error.message
    assert "min_memory_mb" in error.remedy


def test_a_crash_on_the_first_request_is_told() -> None:
    error = failed(Behaviour(dies_after=1, exit=ServiceExit(status=139, out_of_memory=False)))
    assert error.code == "SMK010"
    assert "139" in error.message


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

PREDICT_LOG = (
    'AIRLOCK-PREDICT-ERROR {"stage": "preprocess", "type": "ValueError", "message": "bad", '
    '"file": "sub/x.py", "line": 7}'
)


def test_code_that_raises_on_predict_is_told_with_file_and_line() -> None:
    body = b'{"error_code": "PY.0105", "error_msg": "failed"}'
    error = failed(Behaviour(answer=body, status=500, log=PREDICT_LOG))
    assert error.code == "SMK003"
    assert "status 500" in error.message
    assert "PY.0105" in error.message
    assert "ValueError in stage preprocess at model/sub/x.py:7: bad" in error.message
    assert error.report is not None
    assert error.report.request.splitlines()[:2] == ["POST /", "application/json"]
    assert '"sepal"' in error.report.request
    assert error.report.response.startswith("500 after 0.010 s\napplication/json")
    assert body.decode() in error.report.response
    assert error.report.exit_status is None


@pytest.mark.parametrize(
    "answer,code",
    [
        (b'{"data": {"resp_data": [{"predictresult": "rose"}]}}', "SMK005"),
        (b"[]", "SMK005"),
        (b"<html>", "SMK004"),
        (b'{"data": {"resp_data": [{"predictresult": NaN}]}}', "SMK004"),
        (b"", "SMK004"),
        (Silence.TOO_LARGE, "SMK007"),
        (b"x" * (MAX_RESPONSE_BYTES + 1), "SMK007"),
    ],
)
def test_an_answer_that_breaks_what_is_declared_has_its_code(answer: Any, code: str) -> None:
    assert failed(Behaviour(answer=answer)).code == code


def test_too_large_an_answer_is_told_however_late_it_comes() -> None:
    assert failed(Behaviour(answer=Silence.TOO_LARGE, load_s=50)).code == "SMK007"


@pytest.mark.parametrize(
    "silence,code", [(Silence.TIMED_OUT, "SMK002"), (Silence.BROKEN, "SMK012"), (Silence.NOT_LISTENING, "SMK012")]
)
def test_no_answer_after_the_first_has_its_code(silence: Silence, code: str) -> None:
    assert failed(Behaviour(answer=turning(1, silence))).code == code


def test_a_service_that_dies_after_the_first_answer_is_told() -> None:
    error = failed(Behaviour(answer=IRIS_ANSWER, dies_after=2))
    assert error.code == "SMK012"
    assert "ended with status 3 while it answered generated" in error.message


#: The first answer, the check of it, and then the timed ones: one by one, and several at a time.
ALONE = 2 + WARM_UP_REQUESTS


@pytest.mark.parametrize("after", [1, 2, 3, ALONE + 1, ALONE + FEWEST_TIMED_REQUESTS, ALONE + 60])
@pytest.mark.parametrize(
    "then,code",
    [(response(b'{"error_code": "PY.0105"}', 500), "SMK003"), (b'{"data": {"resp_data": "now wrong"}}', "SMK005")],
)
def test_every_answer_counts_the_timed_ones_too(after: int, then: Any, code: str) -> None:
    assert failed(Behaviour(answer=turning(after, then))).code == code


def test_each_sample_is_checked_and_the_one_that_fails_is_named() -> None:
    files = {**iris_files(), "model/samples/a.json": b'{"n": 1}', "model/samples/b.json": b'{"n": 2}'}
    error = failed(Behaviour(answer=lambda request: IRIS_ANSWER if b"1" in request.body else b"[]"), files)
    assert error.code == "SMK005"
    assert "Request b.json" in error.message


def test_an_answer_that_differs_from_the_authors_is_told() -> None:
    files = {
        **iris_files(),
        "model/samples/a.json": b"{}",
        "model/samples/a.response.json": b'[{"predictresult": 2}]',
    }
    assert failed(Behaviour(answer=IRIS_ANSWER), files).code == "SMK006"


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_samples_and_schema_there_is_nothing_to_send() -> None:
    error = failed(Behaviour(answer=IRIS_ANSWER), iris_files(changed(apis=[])))
    assert error.code == "SMK001"
    assert "model/samples/*.json" in error.remedy


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"[" + b"1" * 5000 + b"]"])
def test_a_sample_that_is_not_json_is_refused_by_name(data: bytes) -> None:
    line = Line({**iris_files(), "model/samples/a.json": data})
    built = line.until_built()
    with pytest.raises(SmokeFailed, match=r"model/samples/a\.json") as caught:
        line.smoke(built)
    assert caught.value.code == "SMK008"
    assert line.backend.launches == []


def test_a_sample_that_is_too_large_is_refused_by_name() -> None:
    line = Line({**iris_files(), "model/samples/a.json": b'"' + b"x" * MAX_SAMPLE_BYTES + b'"'})
    line.limits = type(line.limits)(max_package_bytes=10**9, max_objects=50)
    with pytest.raises(SmokeFailed, match="SMK008"):
        line.smoke(line.until_built())


def test_a_request_schema_that_asks_for_too_much_is_refused() -> None:
    config = changed()
    config["apis"][0]["request"]["data"] = {"type": "array", "minItems": 10**9}
    assert failed(Behaviour(), iris_files(config)).code == "SMK009"


def test_files_are_sent_as_multipart() -> None:
    config = changed(model_type="PyTorch", runtime="pytorch2.13-python3.11-cpu")
    config["apis"] = [{"request": {"data": {"type": "object", "properties": {"images": {"type": "file"}}}}}]
    line = Line(iris_files(config, model__customize_service_dot_py=SERVICE, model__net_dot_pth=ZIPPED))
    seen: list[HttpRequest] = []
    line.backend.behaviour = Behaviour(answer=lambda request: seen.append(request) or b"{}")
    report = line.smoke(line.until_built())
    assert seen[0].content_type.startswith("multipart/form-data; boundary=")
    (pair,) = report.golden
    assert pair.is_base64
    assert pair.request() == seen[0]


# ── the outside world and the service's own words ────────────────────────────────────────────────────────────────────


def test_an_engine_that_is_away_is_no_verdict() -> None:
    line = Line()
    built = line.until_built()
    line.backend.away = True
    with pytest.raises(BackendUnavailable):
        line.smoke(built)


def test_an_image_that_is_gone_is_told() -> None:
    line = Line()
    built = line.until_built()
    line.backend.tags.clear()
    with pytest.raises(BuildFailed):
        line.smoke(built)


@pytest.mark.parametrize(
    "log",
    [
        "AIRLOCK-PREDICT-ERROR {not json}",
        "AIRLOCK-PREDICT-ERROR {}",
        'AIRLOCK-PREDICT-ERROR {"stage": 1}',
        'AIRLOCK-PREDICT-ERROR {"stage": "x", "type": "y", "message": "z", "file": "f", "line": Infinity}',
        'AIRLOCK-PREDICT-ERROR {"stage": "x", "type": "y", "message": "z", "file": "f", "line": "many"}',
        'AIRLOCK-PREDICT-ERROR {"stage": "x", "type": "y", "message": "z", "file": "f", "line": ' + "9" * 5000 + "}",
        "AIRLOCK-PREDICT-ERROR " + '{"a":' * 50_000 + "1" + "}" * 50_000,
        'AIRLOCK-PREDICT-ERROR {"stage": "\\u001b[31m", "type": "\\ud800", "message": "'
        + "x" * 9000
        + '", "file": "\\n", "line": 1}',
    ],
    ids=["no json", "empty", "part", "infinite line", "no line", "long line", "deep", "control"],
)
def test_what_the_log_says_is_shown_and_not_believed(log: str) -> None:
    error = failed(Behaviour(answer=b"{}", status=500, log=log))
    assert error.code == "SMK003"
    assert error.message.isprintable()
    assert len(error.message) < 1500


def test_only_the_last_word_of_the_log_counts() -> None:
    first = PREDICT_LOG.replace("bad", "first")
    error = failed(Behaviour(answer=b"{}", status=500, log=f"{first}\n{PREDICT_LOG}\nafterwards"))
    assert "bad" in error.message
    assert "first" not in error.message


def test_one_answer_may_take_forty_seconds() -> None:
    assert REQUEST_TIMEOUT_S == 40
