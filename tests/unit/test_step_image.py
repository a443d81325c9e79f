"""The straight line of a package of `model_type` Image, on fakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from airlock.domain.device import Device
from airlock.domain.image import UserImage
from airlock.domain.smoke import WARM_UP_REQUESTS, HttpRequest, HttpResponse, Silence, Verdict
from airlock.domain.user_image import NOBODY
from airlock.errors import AirlockError, BackendUnavailable, DeviceRequired, ImageRefused, SmokeFailed
from airlock.ports.running_service import ServiceExit
from tests.fakes.running_service import Behaviour
from tests.unit.line import Line

SUM = {"type": "object", "required": ["sum"], "properties": {"sum": {"type": "number"}}}
NUMBERS = {
    "type": "object",
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "number"}, "minItems": 3}},
}


def body(schema: Any) -> dict[str, Any]:
    return {"Content-type": "application/json", "data": schema}


CONFIG: dict[str, Any] = {
    "model_type": "Image",
    "model_algorithm": "predict_analysis",
    "swr_location": "swr.example.com/org/sums:1.0",
    "health": {"url": "/healthz", "initial_delay_seconds": 3, "timeout_seconds": 2, "period_seconds": 2},
    "apis": [
        {"url": "/v1/sum", "request": body(NUMBERS), "response": body(SUM)},
        {"url": "/v1/about", "method": "get", "port": 9000},
    ],
}
OWN = UserImage(user="1000", ports=(8080,), architecture="x86_64")


def answers(request: HttpRequest) -> bytes | HttpResponse | Silence:
    if request.path == "/v1/about":
        return HttpResponse(status=204, content_type="text/plain", body=b"", seconds=0.01)
    return b'{"sum": 3}'


def a_line(
    own: UserImage = OWN,
    answer: bytes | Silence | Callable[[HttpRequest], Any] = answers,
    files: Mapping[str, bytes] | None = None,
    behaviour: Mapping[str, Any] | None = None,
    **config: Any,
) -> Line:
    whole = {key: value for key, value in {**CONFIG, **config}.items() if value is not None}
    line = Line({"model/config.json": json.dumps(whole).encode(), **(files or {})})
    line.backend.user_images["swr.example.com/org/sums:1.0"] = own
    line.backend.behaviour = Behaviour(answer=answer, **(behaviour or {}))
    return line


def smoked(line: Line, **conf: Any) -> Any:
    return line.smoke(line.until_built(**conf))


def failed(line: Line, **conf: Any) -> AirlockError:
    with pytest.raises(AirlockError) as caught:
        smoked(line, **conf)
    assert line.backend.running == [], "the service still runs"
    return caught.value


# ── the whole line ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_goes_from_the_bucket_to_normal() -> None:
    line = a_line()
    version = line.import_model(install_type=["batch", "real-time"])
    summary = version.summary()
    assert (summary["engine"], summary["runtime"], summary["engine_version"]) == ("Image", "", "")
    assert summary["image"].startswith("swr.example.com/org/sums@sha256:")
    assert summary["image"].endswith(summary["image_digest"])
    assert summary["install_type"] == ["batch", "real-time"]
    assert summary["devices"] == {"cpu": "passed", "gpu": "not served", "ascend": "not served"}
    assert version.image.own == OWN
    assert version.detection.evidence[1].says == "names the image swr.example.com/org/sums:1.0"
    assert [text for text in line.events() if "mage" in text and "imported" not in text] == [
        "The package keeps the rules of Image.",
        "Image swr.example.com/org/sums:1.0 found, for cpu.",
        "Image task started: swr.example.com/org/sums:1.0.",
        f"Image pulled in 2.0 s: {version.image.digest}, 200,000,000 bytes, x86_64, user 1000, exposes 8080.",
    ]


def test_a_package_may_bring_files_that_only_the_image_reads() -> None:
    # The image's own code loads them: a pickle in it runs nothing that the image could not run anyway.
    pickle = b"cos\nsystem\n(S'true'\ntR."
    version = a_line(
        files={"model/weights.m": pickle, "model/customize_service.py": b"this is not Python"}
    ).import_model()
    assert version.package.file_count == 3


def test_every_api_is_asked_at_its_own_path_port_and_method() -> None:
    requests: list[HttpRequest] = []

    def listening(request: HttpRequest) -> Any:
        requests.append(request)
        return answers(request)

    report = smoked(a_line(answer=listening))
    assert report.checked == ("POST /v1/sum generated", "GET /v1/about generated")
    assert [(r.method, r.path, r.port, r.tls) for r in requests[:3]] == [
        ("GET", "/healthz", 8080, False),
        ("POST", "/v1/sum", 8080, False),
        ("GET", "/v1/about", 9000, False),
    ]
    assert report.latency is not None
    assert report.concurrent is not None
    assert len(requests) == 3 + WARM_UP_REQUESTS + report.latency.requests + report.concurrent.requests
    assert json.loads(report.golden[0].body) == {"numbers": [1, 1, 1]}


def test_samples_go_to_the_api_whose_path_their_folder_has() -> None:
    sent: dict[str, list[Any]] = {}

    def listening(request: HttpRequest) -> Any:
        if request.body:
            sent.setdefault(request.path, []).append(json.loads(request.body))
        return b'{"sum": 3}'

    files = {
        "model/samples/one.json": b'{"numbers": [1, 2]}',
        "model/samples/one.response.json": b'{"sum": 3}',
        "model/samples/v1/mean/two.json": b'{"numbers": [3]}',
    }
    apis = [
        {"url": "/v1/about", "method": "get"},
        {"url": "/v1/sum", "request": body(NUMBERS), "response": body(SUM)},
        {"url": "/v1/mean", "method": "put"},
    ]
    report = smoked(a_line(answer=listening, files=files, apis=apis))
    assert report.checked == (
        "GET /v1/about generated", "POST /v1/sum one.json", "PUT /v1/mean v1/mean/two.json",
    )  # fmt: skip
    assert sent == {"/v1/sum": [{"numbers": [1, 2]}], "/v1/mean": [{"numbers": [3]}]}


def test_a_sample_in_a_folder_of_no_api_is_told() -> None:
    error = failed(a_line(files={"model/samples/v2/one.json": b"{}"}))
    assert error.code == "SMK008"
    assert "declared: /v1/sum, /v1/about" in str(error)


def test_an_api_that_takes_a_body_and_declares_none_has_nothing_to_be_asked() -> None:
    error = failed(a_line(apis=[{"url": "/v1/sum"}]))
    assert error.code == "SMK001"
    assert "POST /v1/sum" in str(error)


def test_fields_of_a_get_stand_in_the_query() -> None:
    paths: list[str] = []

    def listening(request: HttpRequest) -> Any:
        paths.append(request.path)
        return b"{}"

    schema = {"type": "object", "properties": {"name": {"type": "string"}, "top": {"type": "integer"}}}
    smoked(a_line(answer=listening, apis=[{"url": "/find", "method": "get", "request": body(schema)}]))
    assert paths[:2] == ["/healthz", "/find?name=text&top=1"]


def test_an_image_without_declared_apis_is_sent_the_samples_at_the_root() -> None:
    line = a_line(answer=b'{"sum": 3}', apis=None, files={"model/samples/one.json": b"{}"})
    assert smoked(line).checked == ("one.json",)


def test_https_is_spoken_where_it_is_declared() -> None:
    requests: list[HttpRequest] = []

    def listening(request: HttpRequest) -> Any:
        requests.append(request)
        return b'{"sum": 3}'

    apis = [{**CONFIG["apis"][0], "protocol": "https"}]
    smoked(a_line(answer=listening, apis=apis, health={"url": "/healthz", "protocol": "https"}))
    assert {request.tls for request in requests} == {True}


# ── health ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_question_comes_after_the_delay() -> None:
    line = a_line()
    asked_at: list[float] = []

    def listening(request: HttpRequest) -> Any:
        asked_at.append(line.clock.monotonic())
        return answers(request)

    line.backend.behaviour = Behaviour(answer=listening)
    started = line.clock.monotonic()
    smoked(line)
    assert 3 <= asked_at[0] - started < 3.5


def test_a_service_that_is_never_healthy_fails_with_its_last_answer() -> None:
    def ill(request: HttpRequest) -> Any:
        return HttpResponse(status=503, content_type="text/plain", body=b"warming up", seconds=0.01)

    line = a_line(answer=ill)
    error = failed(line, startup_timeout_s=20)
    assert error.code == "SMK014"
    assert "GET /healthz was not answered with 200 within 20 s; last with 503: warming up." in str(error)
    assert 20 <= line.clock.monotonic() < 23


def test_the_blocks_own_threshold_limits_the_wait() -> None:
    health = {**CONFIG["health"], "failure_threshold": 4}
    line = a_line(answer=lambda request: Silence.BROKEN, health=health)
    error = failed(line)
    assert error.code == "SMK014"
    assert "within 11 s; last: the connection broke" in str(error)


def test_a_last_question_that_is_cut_short_does_not_hide_the_answer_before_it() -> None:
    def slow_at_the_end(request: HttpRequest) -> Any:
        # Nothing listens until the very end, and then not for long enough to answer.
        return Silence.NOT_LISTENING if line.clock.monotonic() < 9.9 else Silence.TIMED_OUT

    line = a_line(answer=slow_at_the_end)
    error = failed(line, startup_timeout_s=10)
    assert error.code == "SMK015"


def test_a_service_that_does_not_listen_is_told_with_the_port() -> None:
    error = failed(a_line(answer=lambda request: Silence.NOT_LISTENING), startup_timeout_s=10)
    assert error.code == "SMK015"
    assert "Nothing listened on port 8080 within 10 s." in str(error)


def test_a_port_that_only_one_api_has_is_told_by_its_request() -> None:
    def listening(request: HttpRequest) -> Any:
        return Silence.NOT_LISTENING if request.port == 9000 else answers(request)

    error = failed(a_line(answer=listening))
    assert error.code == "SMK015"
    assert "Request GET /v1/about generated: nothing listens on port 9000." in str(error)


def test_a_delay_longer_than_the_time_is_told() -> None:
    error = failed(a_line(health={"url": "/healthz", "initial_delay_seconds": 60}), startup_timeout_s=10)
    assert error.code == "SMK014"
    assert "the delay is 60 s" in str(error)


def test_health_may_be_a_command_that_the_engine_runs() -> None:
    health = {"check_method": "EXEC", "command": "test -f /tmp/ready"}
    assert smoked(a_line(health=health, behaviour={"load_s": 2.0})).ready_s >= 2
    error = failed(a_line(health=health, behaviour={"load_s": 99.0}), startup_timeout_s=10)
    assert error.code == "SMK014"
    assert "The health command test -f /tmp/ready did not end with status 0 within 10 s." in str(error)


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answer,code",
    [
        (b'{"total": 3}', "SMK005"),
        (b"three", "SMK004"),
        (HttpResponse(status=404, content_type="", body=b"no such path", seconds=0.01), "SMK003"),
        (HttpResponse(status=302, content_type="", body=b"", seconds=0.01), "SMK003"),
        (Silence.TIMED_OUT, "SMK002"),
        (Silence.TOO_LARGE, "SMK007"),
    ],
)
def test_an_answer_that_is_not_as_declared_fails(answer: Any, code: str) -> None:
    error = failed(a_line(answer=lambda request: b"" if request.path == "/healthz" else answer))
    assert error.code == code
    assert "/v1/sum" in str(error)
    assert error.remedy


def test_what_is_not_declared_is_not_asked_for_but_json_is_json() -> None:
    def text(kind: str) -> Callable[[HttpRequest], Any]:
        about = HttpResponse(status=200, content_type=kind, body=b"version 1", seconds=0.01)
        return lambda request: about if request.path == "/v1/about" else b'{"sum": 3}'

    assert smoked(a_line(answer=text("text/plain"))).verdict is Verdict.PASSED
    assert failed(a_line(answer=text("application/json"))).code == "SMK004"


def test_any_status_of_success_will_do() -> None:
    created = HttpResponse(status=201, content_type="application/json", body=b'{"sum": 3}', seconds=0.01)
    assert smoked(a_line(answer=lambda r: b"" if r.path == "/healthz" else created)).verdict is Verdict.PASSED


# ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────

ENDED = Behaviour(dies_after=0, exit=ServiceExit(status=1, out_of_memory=False), log="Permission denied")


def test_the_images_own_user_is_kept() -> None:
    line = a_line()
    assert smoked(line).user == "1000"
    assert [launch.user for launch in line.backend.image_launches] == ["1000"]


@pytest.mark.parametrize("user", ["", "0", "root", "0:0", "root:root", "00"])
def test_an_image_that_would_run_as_root_runs_as_nobody(user: str) -> None:
    line = a_line(UserImage(user=user, ports=(8080,)))
    assert smoked(line).user == NOBODY


@pytest.mark.parametrize("has_shell", [True, False])
def test_the_report_says_whether_the_image_has_a_shell(has_shell: bool) -> None:
    line = a_line()
    line.backend.as_user["1000"] = replace(line.backend.behaviour, has_shell=has_shell)
    assert smoked(line).has_shell is has_shell


def test_an_image_that_ends_as_nobody_is_started_as_root_and_the_history_says_so() -> None:
    line = a_line(UserImage(ports=(8080,)))
    line.backend.as_user[NOBODY] = ENDED
    assert smoked(line).user == "0:0"
    assert [launch.user for launch in line.backend.image_launches] == [NOBODY, "0:0"]
    assert any(text.startswith(f"As user {NOBODY}: The service ended with status 1") for text in line.events())


def test_an_image_that_ends_as_either_fails_with_its_log() -> None:
    line = a_line(UserImage(ports=(8080,)))
    line.backend.as_user = {NOBODY: ENDED, "0:0": ENDED}
    error = failed(line)
    assert isinstance(error, SmokeFailed)
    assert (error.code, error.report and error.report.log) == ("SMK010", "Permission denied")
    assert "/tmp, /var/tmp, /run" in error.remedy


def test_an_image_that_runs_out_of_memory_is_not_tried_as_root() -> None:
    line = a_line(UserImage(ports=(8080,)))
    line.backend.as_user[NOBODY] = Behaviour(dies_after=0, exit=ServiceExit(status=137, out_of_memory=True))
    assert failed(line).code == "SMK013"
    assert len(line.backend.image_launches) == 1


# ── devices, ports, having it ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "conf,devices",
    [
        ({}, ["cpu"]),
        ({"min_gpu": 1}, ["gpu"]),
        ({"min_ascend": 2}, ["ascend"]),
        ({"required_devices": ["cpu"], "min_gpu": 1}, ["cpu", "gpu"]),
        ({"required_devices": ["gpu"]}, ["gpu"]),
    ],
)
def test_the_form_says_which_devices_an_image_is_for(conf: dict[str, Any], devices: list[str]) -> None:
    detection = a_line().until_built(**conf)[3]
    assert [device.value for device in detection.devices] == devices


def test_an_image_for_a_gpu_is_not_registered_untested() -> None:
    line = a_line()
    built = line.until_built(min_gpu=1)
    reports = [line.smoke(built, device) for device in Device]
    assert [report.verdict for report in reports] == [Verdict.NOT_SERVED, Verdict.NO_DEVICE, Verdict.NOT_SERVED]
    with pytest.raises(DeviceRequired):
        line.register(built, *reports)


def test_an_image_for_a_gpu_is_tested_on_one() -> None:
    line = a_line()
    line.backend.on = frozenset({Device.CPU, Device.GPU})
    built = line.until_built(min_gpu=1)
    assert line.smoke(built, Device.GPU).verdict is Verdict.PASSED
    assert line.backend.image_launches[0].device is Device.GPU


@pytest.mark.parametrize("ports,asked_at", [((), 8080), ((5000,), 5000), ((80, 8080), 8080)])
def test_without_a_port_the_exposed_one_is_asked_and_else_8080(ports: tuple[int, ...], asked_at: int) -> None:
    line = a_line(UserImage(user="1000", ports=ports), apis=[CONFIG["apis"][0]])
    smoked(line)
    assert line.backend.image_launches[0].ports == (asked_at,)


def test_several_exposed_ports_and_no_word_of_which_are_refused() -> None:
    error = failed(a_line(UserImage(user="1000", ports=(80, 443)), apis=[CONFIG["apis"][0]]))
    assert isinstance(error, ImageRefused)
    assert error.code == "IMG008"
    assert "80, 443" in str(error)


def test_an_image_that_is_not_there_ends_the_build() -> None:
    line = a_line()
    line.backend.user_images.clear()
    with pytest.raises(ImageRefused, match="IMG001"):
        line.until_built()


def test_an_engine_that_is_away_may_answer_later() -> None:
    line = a_line()
    line.backend.away = True
    with pytest.raises(BackendUnavailable):
        line.until_built()
