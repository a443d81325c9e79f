"""A test's conversation with a service: requests, answers, and the reasons for a failure."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from airlock.domain.apis import Api
from airlock.domain.failure import failure_report
from airlock.domain.findings import shown
from airlock.domain.judging import judge, judge_undeclared
from airlock.domain.smoke import (
    MAX_RESPONSE_BYTES,
    REQUEST_TIMEOUT_S,
    HttpRequest,
    HttpResponse,
    NoResponse,
    Sample,
    Silence,
)
from airlock.domain.user_image import WRITABLE_FOLDERS
from airlock.errors import BackendUnavailable, SmokeFailed
from airlock.ports.clock import Clock
from airlock.ports.running_service import RunningService, ServiceExit

POLL_S = 0.2
#: At first more often: a small model is there within a second or two.
EARLY_S, EARLY_POLL_S = 3.0, 0.05
HEALTH_TIMEOUT_S = 5.0
#: The serving code sets it while threads that the package's constructor started are still at work.
LOADING_STATUS = 503
#: Failures of which the serving code's own line in the log says more, and how often it is looked for.
_TOLD_BY_THE_SERVICE = ("SMK003", "SMK010", "SMK012")
LOG_LOOKS = 5
_MARKED_ERROR = re.compile(r"^AIRLOCK-(STARTUP|PREDICT)-ERROR (\{.*\})\s*$", re.MULTILINE)
WRONG_PORT_REMEDY = (
    "Let the image listen on that port on all addresses, or name the right `port` beside the API in config.json."
)
_REMEDIES = {
    "SMK003": "Correct the inference code at that place.",
    "SMK004": "Return values that JSON can hold; NaN and Infinity are none.",
    "SMK005": "Correct `apis[0].response.data` in config.json, or what _postprocess returns.",
    "SMK006": "Correct the sample's expected answer, or the model.",
    "SMK010": "Correct the inference code.",
}
_IMAGE_REMEDIES = {
    "SMK003": "See the service's log.",
    "SMK005": "Correct the API's `response.data` in config.json, or what the service answers.",
    "SMK010": f"See the service's log. It has no network and no capabilities, and may write to "
    f"{', '.join(WRITABLE_FOLDERS)} and its own volumes only.",
}


@dataclass(slots=True, kw_only=True)
class Conversation:
    """A test's requests to one API, and what is made of the answers; every failure says what the service itself logged.

    Attributes:
        service: The service.
        api: The declared interface, None where there is none.
        wrapped: Whether the engine wraps answers as `{"data": {"resp_data": …}}`.
        clock: Time.
        memory_mb: The service's memory limit in megabytes, for a message.
        own: Whether the service is an image of the user's own, of which nothing is asked but what it declares.
        right: Sample → the last body that was found right: the same bytes again need no second look.
        last: The last request and what came of it, for the report of a failure.
    """

    service: RunningService
    api: Api | None
    wrapped: bool
    clock: Clock
    memory_mb: int
    own: bool = False
    right: dict[str, bytes] = field(default_factory=dict)
    last: tuple[HttpRequest, HttpResponse | NoResponse] | None = None

    def until_ready(self, sample: Sample, deadline: float) -> None:
        """Send until the first successful prediction: packages load in the background, an open port is not enough."""
        loaded = self.own
        started = self.clock.monotonic()
        while True:
            self.alive("SMK010", "before it was ready")
            left = deadline - self.clock.monotonic()
            if left <= 0:
                raise self.failed(
                    "SMK011",
                    "The service was not ready in time.",
                    "Load faster, or ask for a higher `startup_timeout_s`.",
                )
            answer = self.send(sample.request, min(REQUEST_TIMEOUT_S, left))
            if isinstance(answer, HttpResponse):
                if answer.status == 200:
                    return
                if answer.status != LOADING_STATUS:
                    self._judge(sample, answer)
            elif answer.silence is Silence.TOO_LARGE or (
                answer.silence is Silence.TIMED_OUT and left > REQUEST_TIMEOUT_S and loaded
            ):
                raise self._silent(sample, answer)
            elif answer.silence is Silence.TIMED_OUT:
                # It may have waited for the model for most of its time. The next one does not, once the model is there.
                loaded = self._is_loaded()
            early = self.clock.monotonic() - started < EARLY_S
            self.clock.sleep(EARLY_POLL_S if early else POLL_S)

    def send(self, request: HttpRequest, timeout_s: float) -> HttpResponse | NoResponse:
        """Send a request and remember it with what came of it."""
        answer = self.service.send(request, timeout_s, MAX_RESPONSE_BYTES)
        self.last = (request, answer)
        return answer

    def _is_loaded(self) -> bool:
        """Whether a request that is sent now waits for no model.

        Airlock's own server takes connections from its start and answers none before the service is constructed.
        """
        health = HttpRequest(method="GET", path="/health", content_type="", body=b"")
        return isinstance(self.service.send(health, HEALTH_TIMEOUT_S, MAX_RESPONSE_BYTES), HttpResponse)

    def check(self, sample: Sample) -> HttpResponse:
        """Send once and check the answer; anything but an answer is a failure."""
        return self.checked(sample, self.send(sample.request, REQUEST_TIMEOUT_S))

    def checked(self, sample: Sample, answer: HttpResponse | NoResponse) -> HttpResponse:
        """Check what came back."""
        if isinstance(answer, NoResponse):
            raise self._silent(sample, answer)
        self._judge(sample, answer)
        return answer

    def _judge(self, sample: Sample, answer: HttpResponse) -> None:
        if answer.status == 200 and self.right.get(sample.name) == answer.body:
            return
        if self.own:
            wrong = judge_undeclared(answer, self.api, sample.expected)
        else:
            wrong = judge(answer, self.api, wrapped=self.wrapped, expected=sample.expected)
        if wrong is None:
            self.right[sample.name] = answer.body
            return
        self.last = (sample.request, answer)
        remedies = _REMEDIES | (_IMAGE_REMEDIES if self.own else {})
        raise self.failed(wrong.code, f"Request {sample.name}: {wrong.message}.", remedies[wrong.code])

    def _silent(self, sample: Sample, answer: NoResponse) -> SmokeFailed:
        self.last = (sample.request, answer)
        self.alive("SMK012", f"while it answered {sample.name}")
        if self.own and answer.silence is Silence.NOT_LISTENING:
            raise self.failed(
                "SMK015",
                f"Request {sample.name}: nothing listens on port {sample.request.port}.",
                WRONG_PORT_REMEDY,
            )
        cases: Mapping[Silence, tuple[str, str]] = {
            Silence.TIMED_OUT: ("SMK002", f"One prediction may take {REQUEST_TIMEOUT_S:.0f} s at most."),
            Silence.TOO_LARGE: ("SMK007", f"One answer may have {MAX_RESPONSE_BYTES:,} bytes at most."),
        }
        code, remedy = cases.get(answer.silence, ("SMK012", "See the service's log."))
        message = f"Request {sample.name} got {answer.silence.value} after {answer.seconds:.1f} s."
        return self.failed(code, message, remedy)

    def alive(self, code: str, when: str) -> None:
        """Fail where the service has ended."""
        end = self.service.exit()
        if end is None:
            return
        if end.out_of_memory:
            raise self.failed(
                "SMK013",
                f"The service used more than its {self.memory_mb:,} MB of memory and was ended {when}.",
                "Ask for a higher `min_memory_mb`, or load less.",
                end,
            )
        remedy = _REMEDIES["SMK010"] if not self.own else _IMAGE_REMEDIES["SMK010"]
        raise self.failed(code, f"The service ended with status {end.status} {when}.", remedy, end)

    def failed(self, code: str, message: str, remedy: str, end: ServiceExit | None = None) -> SmokeFailed:
        """The failure with its report: the last exchange, and what the service said of it.

        Args:
            code: The case.
            message: What happened.
            remedy: What to change.
            end: How the service ended, where that is known already.
        """
        log = self.service.log_tail()
        if code in _TOLD_BY_THE_SERVICE and not self.own:
            # The service writes before it answers or ends; what it wrote comes by another way and may be later.
            for _ in range(LOG_LOOKS):
                if _MARKED_ERROR.search(log):
                    break
                self.clock.sleep(POLL_S)
                log = self.service.log_tail()
        if end is None:
            # The failure is the news; an engine that is gone by now cannot say how the service is.
            with contextlib.suppress(BackendUnavailable):
                end = self.service.exit()
        told = _cause(log)
        report = failure_report(
            self.last,
            log,
            exit_status=end.status if end else None,
            out_of_memory=end is not None and end.out_of_memory,
            told=told,
        )
        return SmokeFailed(code, f"{message} {told}".rstrip(), remedy, report)


def _cause(log: str) -> str:
    """What the serving code said of the last failure. The log is the package's own word: shown, not believed."""
    marks = _MARKED_ERROR.findall(log)
    if not marks:
        return ""
    try:
        facts = json.loads(marks[-1][1])
        stage, kind, message = (shown(str(facts[key])) for key in ("stage", "type", "message"))
        place = f" at model/{shown(str(facts['file']))}:{int(facts['line'])}" if facts.get("file") else ""
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return ""
    return f"{kind} in stage {stage}{place}: {message}"
