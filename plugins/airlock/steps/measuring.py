"""What a test measures once the answers are right: times, one by one and several at once, and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airlock.domain.device import Device
from airlock.domain.expectations import SuiteReport
from airlock.domain.findings import Finding, Place, Severity
from airlock.domain.image import Image, Isolation
from airlock.domain.judging import same_body
from airlock.domain.measured_specs import specs_findings, suggested_specs
from airlock.domain.request import MinimumSpecs
from airlock.domain.smoke import (
    CONCURRENCY,
    FEWEST_TIMED_REQUESTS,
    MAX_RESPONSE_BYTES,
    MOST_TIMED_REQUESTS,
    REQUEST_TIMEOUT_S,
    TIMED_S,
    WARM_UP_REQUESTS,
    HttpResponse,
    Latency,
    Sample,
    SmokeReport,
    Verdict,
    golden_pairs,
    latency_of,
)
from airlock.ports.running_service import AtOnce
from airlock.steps.conversation import Conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Answers to the first sample, sent again and again.

    Attributes:
        answers: All of them, each checked: a service that answers fast because it no longer answers right has no
            latency.
        latency: Sent one by one.
        concurrent: Sent several at a time, None where that was not done.
        same_answers: Whether all of them say the same.
        peak_memory_bytes: Highest memory up to their end.
        gpu_memory_bytes: GPU memory at their end.
    """

    answers: tuple[HttpResponse, ...]
    latency: Latency
    concurrent: Latency | None
    same_answers: bool
    peak_memory_bytes: int | None
    gpu_memory_bytes: int | None


def time_requests(talk: Conversation, sample: Sample) -> Timed:
    """Send a sample many times, first one by one and then several at a time.

    Args:
        talk: The conversation with the service, which has answered already.
        sample: What is sent.

    Raises:
        SmokeFailed: One answer is not right.
    """
    for _ in range(WARM_UP_REQUESTS):
        talk.check(sample)
    clock = talk.clock
    started = clock.monotonic()
    alone: list[HttpResponse] = []
    while len(alone) < MOST_TIMED_REQUESTS and (
        len(alone) < FEWEST_TIMED_REQUESTS or clock.monotonic() < started + TIMED_S
    ):
        alone.append(talk.check(sample))
    latency = latency_of([answer.seconds for answer in alone], elapsed_s=clock.monotonic() - started)
    together: list[HttpResponse] = []
    concurrent = None
    # Where a service answers one after the other, the last of several waits for all of them.
    if CONCURRENCY * max(answer.seconds for answer in alone) < REQUEST_TIMEOUT_S:
        plan = AtOnce(
            concurrency=CONCURRENCY, most=len(alone), fewest=min(len(alone), FEWEST_TIMED_REQUESTS), seconds=TIMED_S
        )
        started = clock.monotonic()
        answers = talk.service.send_at_once(sample.request, plan, REQUEST_TIMEOUT_S, MAX_RESPONSE_BYTES)
        elapsed_s = clock.monotonic() - started
        together = [talk.checked(sample, answer) for answer in answers]
        concurrent = latency_of([answer.seconds for answer in together], elapsed_s=elapsed_s, concurrency=CONCURRENCY)
    bodies = {answer.body for answer in (*alone, *together)}
    return Timed(
        answers=(*alone, *together),
        latency=latency,
        concurrent=concurrent,
        same_answers=all(same_body(alone[0].body, body) for body in bodies),
        peak_memory_bytes=talk.service.peak_memory_bytes(),
        gpu_memory_bytes=talk.service.gpu_memory_bytes(),
    )


def passed_report(
    device: Device,
    image: Image,
    checked: Sequence[tuple[Sample, HttpResponse]],
    timed: Timed,
    suites: tuple[SuiteReport, ...],
    *,
    isolation: Isolation,
    start_s: float,
    ready_s: float,
    memory_mb: int,
    specs: MinimumSpecs,
    devices: tuple[Device, ...],
    user: str = "",
) -> SmokeReport:
    """The report of a test that passed.

    Args:
        device: The device.
        image: What was tested.
        checked: What was sent and checked, with what came back.
        timed: What was measured.
        suites: What the installation's expectations found.
        isolation: What stood between the code and the host.
        start_s: Seconds until the container or process was started.
        ready_s: Seconds from the beginning to the first successful prediction.
        memory_mb: The service's memory limit.
        specs: What the request declares.
        devices: What the runtime serves.
        user: The user that an image of the user's own ran as.
    """
    golden = golden_pairs(checked)
    return SmokeReport(
        device=device,
        verdict=Verdict.PASSED,
        isolation=isolation,
        image=image,
        checked=tuple(sample.name for sample, _ in checked),
        start_s=round(start_s, 3),
        load_s=round(ready_s - start_s, 3),
        ready_s=round(ready_s, 3),
        latency=timed.latency,
        concurrent=timed.concurrent,
        same_answers=timed.same_answers,
        memory_limit_mb=memory_mb,
        peak_memory_bytes=timed.peak_memory_bytes,
        gpu_memory_bytes=timed.gpu_memory_bytes,
        suggested=suggested_specs(device, timed.peak_memory_bytes),
        golden=golden,
        user=user,
        suites=suites,
        findings=(
            *specs_findings(device, specs, timed.peak_memory_bytes, devices),
            *_noticed(device, timed, has_golden=bool(golden)),
        ),
    )


def _noticed(device: Device, timed: Timed, *, has_golden: bool) -> list[Finding]:
    noticed = []
    if not timed.same_answers:
        # No fault by itself: models that draw by chance are models too. What is lost is said.
        noticed.append(
            _told(
                "SMK031",
                f"On {device.value} one request got another answer each time.",
                "Fix the seed where the model draws by chance; until then its devices and its later tests are not "
                "compared by their answers.",
            )
        )
    if not has_golden:
        noticed.append(
            _told(
                "SMK032",
                "No request is kept with its answer: all of them together are too large.",
                "Bring a small sample in `model/samples/`, so that a later test has something to compare with.",
            )
        )
    return noticed


def _told(code: str, message: str, fix: str) -> Finding:
    return Finding(code=code, severity=Severity.INFO, message=message, place=Place(), value="", fix=fix)


def told_event(report: SmokeReport) -> str:
    """A passed report as one sentence of the version's history."""
    timed = report.latency.requests + (report.concurrent.requests if report.concurrent else 0) if report.latency else 0
    median = f", median {report.latency.p50:.1f} ms" if report.latency else ""
    return (
        f"Answered {len(report.checked)} checked and {timed} timed requests on {report.device.value}, "
        f"ready after {report.ready_s:.1f} s{median}."
    )
