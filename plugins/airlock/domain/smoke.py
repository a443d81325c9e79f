"""The smoke test's values: what is sent, what comes back, and what is recorded."""

from __future__ import annotations

import base64
import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airlock.domain.device import Device
from airlock.domain.expectations import SuiteReport
from airlock.domain.findings import Finding
from airlock.domain.image import Image, Isolation

#: One answer may take 40 s at most. Source: Specifications for compiling model inference code.
REQUEST_TIMEOUT_S = 40.0
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
#: Sent and checked before any is timed, beside the samples themselves: caches fill, threads start.
WARM_UP_REQUESTS = 2
#: So many are timed one by one and as many again several at a time. A fast service answers all of them; a slow one ends
#: either way after so many seconds, and never before it has answered the fewest.
MOST_TIMED_REQUESTS = 100
FEWEST_TIMED_REQUESTS = 5
TIMED_S = 0.5
CONCURRENCY = 4
#: Numbers of two answers to one request may differ by this share and count as the same. The author's own answers and
#: those of two devices are compared so.
TOLERANCE = 1e-3
#: With this tolerance, the greatest, what differs between devices is recorded and never fails.
RECORD_ONLY = 1.0
#: Pairs of request and answer that are kept, and their bytes together: they travel as JSON.
MAX_GOLDEN_PAIRS = 10
MAX_GOLDEN_BYTES = 512 * 1024


class Verdict(enum.StrEnum):
    """How a device's test ended."""

    PASSED = "passed"
    NO_DEVICE = "not run: no device"
    NO_BUILD = "not run: no build for the device"
    NOT_SERVED = "not served"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request to the service.

    Attributes:
        method: Upper case.
        path: Begins with `/`.
        content_type: Of the body; empty where there is none.
        body: The bytes.
        port: Where an image of the user's own is asked; None for the one place where Airlock's services listen.
        tls: Whether the service speaks HTTPS there.
    """

    method: str
    path: str
    content_type: str
    body: bytes
    port: int | None = None
    tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What came back.

    Attributes:
        status: HTTP status.
        content_type: As the service named it.
        body: The bytes.
        seconds: From sending to the last byte.
    """

    status: int
    content_type: str
    body: bytes
    seconds: float


class Silence(enum.StrEnum):
    """Why no response came."""

    NOT_LISTENING = "nothing listens yet"
    TIMED_OUT = "no whole answer in time"
    BROKEN = "the connection broke"
    TOO_LARGE = "the answer is too large"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoResponse:
    """A request that got no usable answer.

    Attributes:
        silence: Why.
        seconds: How long it was waited.
    """

    silence: Silence
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request of the test and what its answer must be like.

    Attributes:
        name: The author's file name, or `generated`.
        request: The request.
        expected: The author's expected answer, None where there is none.
    """

    name: str
    request: HttpRequest
    expected: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Times of the timed requests, in milliseconds.

    Attributes:
        p50: Median.
        p95: 95th percentile.
        p99: 99th percentile.
        requests: How many were timed.
        concurrency: How many were under way at a time.
        per_second: How many were answered in a second.
    """

    p50: float
    p95: float
    p99: float
    requests: int
    concurrency: int = 1
    per_second: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenPair:
    """A request and its checked answer, both whole: what a later test sends again and compares with.

    Attributes:
        sample: Name of the sample.
        method: As in the request.
        path: As in the request.
        port: As in the request.
        tls: As in the request.
        content_type: Of the request, a form's boundary included.
        body: The request's bytes as text, or in base64.
        is_base64: Whether the body is no text and stands in base64.
        status: Of the answer.
        answer_type: Content type of the answer.
        answer: The answer's bytes, likewise.
        answer_is_base64: Likewise.
        tolerance: Numbers of a later answer may differ by this share.
    """

    sample: str
    method: str
    path: str
    port: int | None
    tls: bool
    content_type: str
    body: str
    is_base64: bool
    status: int
    answer_type: str
    answer: str
    answer_is_base64: bool
    tolerance: float

    @classmethod
    def of(cls, sample: Sample, answer: HttpResponse, tolerance: float = TOLERANCE) -> GoldenPair:
        """The pair of a sample and the answer to it."""
        request = sample.request
        body, is_base64 = _as_text(request.body)
        said, answer_is_base64 = _as_text(answer.body)
        return cls(
            sample=sample.name,
            method=request.method,
            path=request.path,
            port=request.port,
            tls=request.tls,
            content_type=request.content_type,
            body=body,
            is_base64=is_base64,
            status=answer.status,
            answer_type=answer.content_type,
            answer=said,
            answer_is_base64=answer_is_base64,
            tolerance=tolerance,
        )

    def request(self) -> HttpRequest:
        """The request, byte for byte as it was sent."""
        return HttpRequest(
            method=self.method,
            path=self.path,
            content_type=self.content_type,
            body=_as_bytes(self.body, is_base64=self.is_base64),
            port=self.port,
            tls=self.tls,
        )

    def answer_body(self) -> bytes:
        """The answer's body, byte for byte as it came."""
        return _as_bytes(self.answer, is_base64=self.answer_is_base64)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedSpecs:
    """Minimum specifications that what was measured speaks for.

    Attributes:
        memory_mb: Megabytes (10^6 bytes), None where no memory was measured.
        gpu: NVIDIA GPUs.
        ascend: Ascend devices.
    """

    memory_mb: int | None
    gpu: int = 0
    ascend: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """What the test on one device found.

    Attributes:
        device: The device.
        verdict: How it ended; a failed test raises instead.
        isolation: What stood between the code and the host.
        image: What was tested, None where nothing ran; a device may have a build of its own.
        checked: Names of the samples whose answers were checked.
        start_s: Seconds until the engine had started the container, or the host the process.
        load_s: Seconds from there to the first successful prediction.
        ready_s: Both together.
        latency: Times of the requests that were sent one by one.
        concurrent: Times of those that were sent several at a time, None where one answer takes so long that several
            at once would have to fail.
        same_answers: Whether one request got the same answer every time.
        memory_limit_mb: Megabytes (10^6 bytes) that the service was allowed.
        peak_memory_bytes: Highest memory seen, None where it cannot be read.
        gpu_memory_bytes: GPU memory at the end of the timed requests, None where there is none or it cannot be read.
        suggested: What the figures say of the minimum specifications.
        golden: The first pairs of request and answer, as many as can be kept.
        user: For an image of the user's own, the user that it ran as; else empty.
        has_shell: For an image of the user's own, whether a command can be run in it; None where nobody has looked.
        suites: What the installation's expectations of the answers found.
        findings: What was noticed beside that; none of it fails the import.
    """

    device: Device
    verdict: Verdict
    isolation: Isolation
    image: Image | None = None
    checked: tuple[str, ...] = ()
    start_s: float | None = None
    load_s: float | None = None
    ready_s: float | None = None
    latency: Latency | None = None
    concurrent: Latency | None = None
    same_answers: bool | None = None
    memory_limit_mb: int | None = None
    peak_memory_bytes: int | None = None
    gpu_memory_bytes: int | None = None
    suggested: SuggestedSpecs | None = None
    golden: tuple[GoldenPair, ...] = ()
    user: str = ""
    has_shell: bool | None = None
    suites: tuple[SuiteReport, ...] = ()
    findings: tuple[Finding, ...] = ()


def latency_of(seconds: Sequence[float], *, elapsed_s: float, concurrency: int = 1) -> Latency:
    """Percentiles (nearest rank) of times given in seconds.

    Args:
        seconds: One for each request.
        elapsed_s: Seconds from the first request to the last answer.
        concurrency: How many were under way at a time.

    Raises:
        ValueError: No times.
    """
    if not seconds:
        raise ValueError("no times")
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 3)

    return Latency(
        p50=rank(0.50),
        p95=rank(0.95),
        p99=rank(0.99),
        requests=len(ordered),
        concurrency=concurrency,
        per_second=round(len(ordered) / elapsed_s, 1) if elapsed_s > 0 else 0.0,
    )


def golden_pairs(checked: Sequence[tuple[Sample, HttpResponse]]) -> tuple[GoldenPair, ...]:
    """The first pairs that can be kept whole; one that is too large is left out, a later one may still fit."""
    pairs: list[GoldenPair] = []
    left = MAX_GOLDEN_BYTES
    for sample, answer in checked:
        size = len(sample.request.body) + len(answer.body)
        if size <= left and len(pairs) < MAX_GOLDEN_PAIRS:
            pairs.append(GoldenPair.of(sample, answer))
            left -= size
    return tuple(pairs)


def _as_text(data: bytes) -> tuple[str, bool]:
    """Bytes as they go into JSON, and whether that is base64."""
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), True


def _as_bytes(text: str, *, is_base64: bool) -> bytes:
    return base64.b64decode(text) if is_base64 else text.encode()
