"""The smoke test's values: what is sent, what comes back, and what is recorded."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airlock.domain.device import Device
from airlock.domain.expectations import SuiteReport
from airlock.domain.image import Image, Isolation

#: One answer may take 40 s at most. Source: Specifications for compiling model inference code.
REQUEST_TIMEOUT_S = 40.0
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
TIMED_REQUESTS = 10
MAX_KEPT_CHARACTERS = 20_000


class Verdict(str, enum.Enum):
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


class Silence(str, enum.Enum):
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
    """

    p50: float
    p95: float
    p99: float
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """What the test on one device found.

    Attributes:
        device: The device.
        verdict: How it ended; a failed test raises instead.
        isolation: What stood between the code and the host.
        image: What was tested, None where nothing ran; a device may have a build of its own.
        checked: Names of the samples whose answers were checked.
        ready_s: Seconds from start to the first successful prediction.
        latency: Times of the timed requests.
        peak_memory_bytes: Highest memory seen, None where it cannot be read.
        golden_request: First request's body as text (base64 for multipart), shortened.
        golden_response: Its answer as text, shortened.
        user: For an image of the user's own, the user that it ran as; else empty.
        suites: What the installation's expectations of the answers found.
    """

    device: Device
    verdict: Verdict
    isolation: Isolation
    image: Image | None = None
    checked: tuple[str, ...] = ()
    ready_s: float | None = None
    latency: Latency | None = None
    peak_memory_bytes: int | None = None
    golden_request: str = ""
    golden_response: str = ""
    user: str = ""
    suites: tuple[SuiteReport, ...] = ()


def latency_of(seconds: Sequence[float]) -> Latency:
    """Percentiles (nearest rank) of times given in seconds.

    Raises:
        ValueError: No times.
    """
    if not seconds:
        raise ValueError("no times")
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 3)

    return Latency(p50=rank(0.50), p95=rank(0.95), p99=rank(0.99), requests=len(ordered))
