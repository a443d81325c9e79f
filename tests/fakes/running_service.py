"""A service under test that behaves as a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse, Silence
from airlock.ports.running_service import AtOnce, ServiceExit
from tests.fakes.clock import FakeClock


@dataclass(kw_only=True)
class Behaviour:
    """How a fake service behaves.

    Attributes:
        answer: The body that every request gets, or a function of the request. A `Silence` means no answer.
        status: The status of every answer.
        load_s: Seconds until it listens.
        silent_s: Seconds until it answers anything, though it listens.
        loading_answers: How many requests get 503 before the first prediction.
        seconds: Seconds that one answer takes.
        dies_after: Number of requests after which the process ends; None means never.
        exit: How it ends then.
        log: What it logged.
        peak_memory_bytes: Its highest memory.
        gpu_memory_bytes: What it holds of a GPU's memory.
        has_shell: Whether a command can be run in it.
    """

    answer: bytes | Silence | Callable[[HttpRequest], bytes | HttpResponse | Silence] = b"{}"
    status: int = 200
    load_s: float = 0.0
    silent_s: float = 0.0
    loading_answers: int = 0
    seconds: float = 0.01
    dies_after: int | None = None
    exit: ServiceExit = field(default_factory=lambda: ServiceExit(status=3, out_of_memory=False))
    log: str = ""
    peak_memory_bytes: int | None = 50_000_000
    gpu_memory_bytes: int | None = None
    has_shell: bool = True


class FakeService:
    """A running service that behaves as told."""

    def __init__(self, behaviour: Behaviour, clock: FakeClock) -> None:
        self.behaviour = behaviour
        self.clock = clock
        self.started = clock.monotonic()
        self.requests: list[HttpRequest] = []

    def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse | NoResponse:
        if self.exit() is not None or self.clock.monotonic() - self.started < self.behaviour.load_s:
            return NoResponse(silence=Silence.NOT_LISTENING, seconds=0.0)
        silent = self.started + self.behaviour.silent_s - self.clock.monotonic()
        if silent > timeout_s:
            self.clock.sleep(timeout_s)
            return NoResponse(silence=Silence.TIMED_OUT, seconds=timeout_s)
        waited = max(0.0, silent)
        self.clock.sleep(waited)
        if (request.method, request.path) == ("GET", "/health"):
            return self._response(200, b'{"status": "OK"}')
        self.requests.append(request)
        if self.exit() is not None:
            return NoResponse(silence=Silence.BROKEN, seconds=0.0)
        if self.behaviour.seconds > timeout_s - waited:
            self.clock.sleep(timeout_s - waited)
            return NoResponse(silence=Silence.TIMED_OUT, seconds=timeout_s)
        self.clock.sleep(self.behaviour.seconds)
        if len(self.requests) <= self.behaviour.loading_answers:
            return self._response(503, b'{"error_code": "MR.0103", "error_msg": "loading"}')
        answer = self.behaviour.answer
        made = answer(request) if callable(answer) else answer
        if isinstance(made, Silence):
            return NoResponse(silence=made, seconds=self.behaviour.seconds)
        response = made if isinstance(made, HttpResponse) else self._response(self.behaviour.status, made)
        if len(response.body) > max_bytes:
            return NoResponse(silence=Silence.TOO_LARGE, seconds=self.behaviour.seconds)
        return response

    def send_at_once(
        self, request: HttpRequest, plan: AtOnce, timeout_s: float, max_bytes: int
    ) -> Sequence[HttpResponse | NoResponse]:
        until = self.clock.monotonic() + plan.seconds
        answers: list[HttpResponse | NoResponse] = []
        while len(answers) < plan.most and (len(answers) < plan.fewest or self.clock.monotonic() < until):
            answers.append(self.send(request, timeout_s, max_bytes))
            if isinstance(answers[-1], NoResponse):
                break
        return answers

    def _response(self, status: int, body: bytes) -> HttpResponse:
        return HttpResponse(status=status, content_type="application/json", body=body, seconds=self.behaviour.seconds)

    def exit(self) -> ServiceExit | None:
        after = self.behaviour.dies_after
        return self.behaviour.exit if after is not None and len(self.requests) >= after else None

    def log_tail(self, lines: int = 100) -> str:
        return "\n".join(self.behaviour.log.splitlines()[-lines:])

    def gpu_memory_bytes(self) -> int | None:
        return self.behaviour.gpu_memory_bytes

    def peak_memory_bytes(self) -> int | None:
        return self.behaviour.peak_memory_bytes

    def command_passed(self) -> bool:
        return self.exit() is None and self.clock.monotonic() - self.started >= self.behaviour.load_s

    def has_shell(self) -> bool:
        return self.behaviour.has_shell
