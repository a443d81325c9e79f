"""The smoke test: which requests are sent, how answers are judged, and what is recorded.

Requests come from the author's samples, else they are generated from the declared request schema, deterministically: the
same schema gives the same requests, so a later run can be compared with this one.
"""

from __future__ import annotations

import enum
import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
from referencing import Registry

from airlock.domain.apis import FILE_MARK, JSON_TYPE, MULTIPART_TYPE, Api, file_fields
from airlock.domain.device import Device
from airlock.domain.image import Isolation

#: One answer may take 40 s at most. Source: Specifications for compiling model inference code.
REQUEST_TIMEOUT_S = 40.0
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_SAMPLES = 20
TIMED_REQUESTS = 10
MAX_GENERATED_ITEMS = 1000
MAX_KEPT_CHARACTERS = 20_000
_MULTIPART_BOUNDARY = "airlock-5d2c1b0a9f8e7d6c"


class Verdict(str, enum.Enum):
    """How a device's test ended."""

    PASSED = "passed"
    NO_DEVICE = "not run: no device"
    NOT_SERVED = "not served"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request to the service.

    Attributes:
        method: Upper case.
        path: Begins with `/`.
        content_type: Of the body.
        body: The bytes.
    """

    method: str
    path: str
    content_type: str
    body: bytes


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
        checked: Names of the samples whose answers were checked.
        ready_s: Seconds from start to the first successful prediction.
        latency: Times of the timed requests.
        peak_memory_bytes: Highest memory seen, None where it cannot be read.
        golden_request: First request's body as text (base64 for multipart), shortened.
        golden_response: Its answer as text, shortened.
    """

    device: Device
    verdict: Verdict
    isolation: Isolation
    checked: tuple[str, ...] = ()
    ready_s: float | None = None
    latency: Latency | None = None
    peak_memory_bytes: int | None = None
    golden_request: str = ""
    golden_response: str = ""


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


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def sample_requests(api: Api | None, samples: Mapping[str, bytes], expected: Mapping[str, Any]) -> tuple[Sample, ...]:
    """The test's requests.

    Args:
        api: The declared interface, None where there is none.
        samples: Name → request body, as the author brought them: JSON bodies as they are.
        expected: Name → the author's expected answer.

    Returns:
        The author's samples, else one generated request; empty where neither can be had.
    """
    method = api.method if api else "POST"
    path = api.url if api else "/"
    multipart = api is not None and api.request.content_type == MULTIPART_TYPE
    if samples and not multipart:
        return tuple(
            Sample(
                name=name,
                request=HttpRequest(method=method, path=path, content_type=JSON_TYPE, body=body),
                expected=expected.get(name),
            )
            for name, body in sorted(samples.items())[:MAX_SAMPLES]
        )
    if api is None or api.request.schema is None:
        return ()
    if multipart:
        body = multipart_body(api.request.schema)
        content_type = f"{MULTIPART_TYPE}; boundary={_MULTIPART_BOUNDARY}"
    else:
        body = json.dumps(example(api.request.schema), ensure_ascii=False).encode()
        content_type = JSON_TYPE
    return (Sample(name="generated", request=HttpRequest(method=method, path=path, content_type=content_type, body=body)),)


def example(schema: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that fits a normalised schema, always the same for the same schema.

    It is built for schemas that describe data; one whose parts contradict each other gives a value that does not fit.
    """
    if depth > 32:
        return None
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("enum", "examples"):
        if schema.get(keyword):
            return schema[keyword][0]
    for keyword in ("oneOf", "anyOf"):
        if schema.get(keyword):
            return example({**{k: v for k, v in schema.items() if k != keyword}, **schema[keyword][0]}, depth + 1)
    if schema.get("allOf"):
        merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
        for part in schema["allOf"]:
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            merged = {**merged, **part, **({"properties": properties} if properties else {})}
        return example(merged, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "number"
    return _EXAMPLES[kind](schema, depth)


def _number(schema: Mapping[str, Any], depth: int) -> float | int:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    whole = schema.get("type") == "integer"
    if low is not None and high is not None:
        value = (low + high) / 2
    elif low is not None:
        value = low + 1
    elif high is not None:
        value = high - 1
    else:
        value = 1
    step = schema.get("multipleOf")
    if step:
        value = math.ceil(value / step) * step
    return math.floor(value) if whole else value


def _text(schema: Mapping[str, Any], depth: int) -> str:
    formats = {"date": "2020-01-01", "date-time": "2020-01-01T00:00:00Z", "email": "a@example.com", "uri": "http://example.com/"}
    text = formats.get(str(schema.get("format")), "text")
    text = text.ljust(min(int(schema.get("minLength", 0)), MAX_KEPT_CHARACTERS), "x")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _list(schema: Mapping[str, Any], depth: int) -> list[Any]:
    items = schema.get("items", {})
    if isinstance(items, list):
        return [example(item, depth + 1) for item in items]
    count = min(max(1, int(schema.get("minItems", 1))), MAX_GENERATED_ITEMS)
    if "maxItems" in schema:
        count = min(count, int(schema["maxItems"]))
    return [example(items, depth + 1) for _ in range(count)]


def _object(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    value = {name: example(item, depth + 1) for name, item in schema.get("properties", {}).items()}
    for name in schema.get("required", ()):
        value.setdefault(name, 1)
    return value


_EXAMPLES: dict[str, Any] = {
    "number": _number,
    "integer": _number,
    "string": _text,
    "boolean": lambda schema, depth: True,
    "null": lambda schema, depth: None,
    "array": _list,
    "object": _object,
}


def multipart_body(schema: Mapping[str, Any]) -> bytes:
    """A multipart body that fits: a small PNG for each file, text for every other field."""
    files = file_fields(schema)
    parts = []
    for name, value in schema.get("properties", {}).items():
        header = f'Content-Disposition: form-data; name="{_quoted(name)}"'
        if name in files:
            parts.append((f'{header}; filename="sample.png"\r\nContent-Type: image/png', small_png()))
        else:
            plain = example(value)
            text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
            parts.append((header, text.encode()))
    boundary = f"--{_MULTIPART_BOUNDARY}".encode()
    body = b"".join(boundary + b"\r\n" + header.encode() + b"\r\n\r\n" + content + b"\r\n" for header, content in parts)
    return body + boundary + b"--\r\n"


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")


def small_png(side: int = 32) -> bytes:
    """A real PNG of `side` × `side` pixels with a colour gradient."""
    rows = b"".join(
        b"\x00" + b"".join(bytes((x * 255 // side, y * 255 // side, 128)) for x in range(side)) for y in range(side)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is wrong with an answer.

    Attributes:
        code: `SMK003` for the status, `SMK004` for the form, `SMK005` for the schema, `SMK006` for the expected answer.
        message: What was expected and what came.
    """

    code: str
    message: str


def judge(response: HttpResponse, api: Api | None, *, wrapped: bool, expected: Any = None) -> Judgement | None:
    """Check an answer.

    Args:
        response: What came back.
        api: The declared interface.
        wrapped: Whether the engine wraps answers as `{"data": {"resp_data": …}}`. Some packages declare the inner, some
            the outer form; an answer that fits either is right.
        expected: The author's expected answer; numbers are compared with a relative tolerance of 1e-3.

    Returns:
        What is wrong, or None.
    """
    if response.status != 200:
        text = response.body[:300].decode("utf-8", "replace")
        return Judgement(code="SMK003", message=f"The service answered with status {response.status}: {text}")
    try:
        value = json.loads(response.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return Judgement(code="SMK004", message=f"The answer is not JSON ({error}): {response.body[:200]!r}")
    forms = [value]
    if wrapped and isinstance(value, dict) and isinstance(value.get("data"), dict) and "resp_data" in value["data"]:
        forms.append(value["data"]["resp_data"])
    if expected is not None and not any(same(form, expected) for form in forms):
        return Judgement(code="SMK006", message=f"The answer differs from the author's sample: {_short(value)}")
    schema = api.response.schema if api else None
    if schema is None:
        return None
    broken = [_first_error(form, schema) for form in forms]
    if None in broken:
        return None
    return Judgement(code="SMK005", message=f"The answer breaks the declared response schema {broken[0]}; it was {_short(value)}")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "…"


def _first_error(value: Any, schema: Mapping[str, Any]) -> str | None:
    validator = jsonschema.Draft7Validator(_without_marks(schema), registry=Registry())
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is None:
        return None
    path = "".join(f"/{part}" for part in error.absolute_path) or "at its top"
    return f"{path}: {error.message[:200]}"


def _without_marks(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {key: _without_marks(value) for key, value in schema.items() if key != FILE_MARK}
    return [_without_marks(item) for item in schema] if isinstance(schema, list) else schema


def same(value: Any, other: Any, relative: float = 1e-3) -> bool:
    """Whether two JSON values agree, numbers within a relative tolerance (and 1e-6 absolutely)."""
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    if isinstance(value, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(value, other, rel_tol=relative, abs_tol=1e-6)
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(same(value[key], other[key], relative) for key in value)
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(same(one, two, relative) for one, two in zip(value, other, strict=True))
    return bool(value == other)
