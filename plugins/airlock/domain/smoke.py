"""The smoke test: which requests are sent, how answers are judged, and what is recorded.

Requests come from the author's samples, else they are generated from the declared request schema, deterministically:
the same schema gives the same requests, so a later run can be compared with this one.
"""

from __future__ import annotations

import enum
import itertools
import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
from referencing import Registry

from airlock.domain.apis import FILE_MARK, JSON_TYPE, MULTIPART_TYPE, Api, file_fields
from airlock.domain.device import Device
from airlock.domain.findings import shown
from airlock.domain.image import Isolation
from airlock.errors import SmokeFailed

#: One answer may take 40 s at most. Source: Specifications for compiling model inference code.
REQUEST_TIMEOUT_S = 40.0
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_SAMPLES = 20
TIMED_REQUESTS = 10
MAX_GENERATED_CHARACTERS = 10 * 1024 * 1024
MAX_KEPT_CHARACTERS = 20_000
MAX_SHOWN_ANSWER_CHARACTERS = 300
MAX_LOOKED_AT_ERRORS = 20
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

    Raises:
        SmokeFailed: The request schema asks for more than is sent.
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
    request = HttpRequest(method=method, path=path, content_type=content_type, body=body)
    return (Sample(name="generated", request=request),)


def example(schema: Mapping[str, Any]) -> Any:
    """A value that fits a normalised schema, always the same for the same schema.

    It is built for schemas that describe data; one whose parts contradict each other gives a value that does not fit.

    Raises:
        SmokeFailed: The schema asks for more than 10 MiB.
    """
    return _Generator().value(schema)


class _Generator:
    """Makes values, and stops before hostile bounds fill the memory: lists of lists multiply."""

    def __init__(self) -> None:
        self.left = MAX_GENERATED_CHARACTERS

    def value(self, schema: Mapping[str, Any]) -> Any:
        for given in self._given(schema):
            self._spend(len(json.dumps(given)))
            return given
        for keyword in ("oneOf", "anyOf"):
            if schema.get(keyword):
                return self.value({**{k: v for k, v in schema.items() if k != keyword}, **schema[keyword][0]})
        if schema.get("allOf"):
            return self.value(_merged(schema))
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((name for name in kind if name != "null"), "null")
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "number"
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._list(schema)
        self._spend(8)
        if kind == "string":
            return self._text(schema)
        if kind in ("number", "integer"):
            return _number(schema, whole=kind == "integer")
        return True if kind == "boolean" else None

    @staticmethod
    def _given(schema: Mapping[str, Any]) -> Iterator[Any]:
        """What the author named himself, the values that fit only: defaults of real files are often empty."""
        if "const" in schema:
            yield schema["const"]
        named = [schema["default"]] if "default" in schema else []
        for value in (*named, *schema.get("examples", ()), *schema.get("enum", ())):
            if _first_error(value, schema) is None:
                yield value

    def _text(self, schema: Mapping[str, Any]) -> str:
        formats = {
            "date": "2020-01-01",
            "date-time": "2020-01-01T00:00:00Z",
            "email": "a@example.com",
            "uri": "http://example.com/",
        }
        text = formats.get(str(schema.get("format")), "text")
        least = int(schema.get("minLength", 0))
        self._spend(least)
        text = text.ljust(least, "x")
        return text[: int(schema["maxLength"])] if "maxLength" in schema else text

    def _list(self, schema: Mapping[str, Any]) -> list[Any]:
        items = schema.get("items", {})
        if isinstance(items, list):
            return [self.value(item) for item in items]
        count = max(1, int(schema.get("minItems", 1)))
        if "maxItems" in schema:
            count = min(count, int(schema["maxItems"]))
        if count < 1:
            return []
        before = self.left
        item = self.value(items)
        self._spend((before - self.left) * (count - 1))
        return [item] * count

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties")
        wanted = {name: others if isinstance(others, Mapping) else {} for name in schema.get("required", ())}
        value = {}
        for name, item in {**wanted, **properties}.items():
            self._spend(len(name) + 4)
            value[name] = self.value(item)
        return value

    def _spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise SmokeFailed(
                "SMK009",
                f"The request schema asks for more than {MAX_GENERATED_CHARACTERS:,} characters.",
                "Lower `minItems` and `minLength`, or bring `model/samples/*.json`.",
            )


def _merged(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its `allOf` worked in."""
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        both = {
            "properties": {**merged.get("properties", {}), **part.get("properties", {})},
            "required": [*merged.get("required", ()), *part.get("required", ())],
            "allOf": [*merged.get("allOf", ()), *part.get("allOf", ())],
        }
        merged = {**merged, **part, **{key: value for key, value in both.items() if value}}
    return merged


def _number(schema: Mapping[str, Any], *, whole: bool) -> float | int:
    """A number within the bounds, on the step; the middle where there are two bounds."""
    lows = [schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema]
    highs = [schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema]
    low, high = max(lows, default=None), min(highs, default=None)
    if low is not None and high is not None:
        wish = low / 2 + high / 2
    elif low is not None:
        wish = low + 1
    else:
        wish = 1 if high is None else high - 1
    step = schema.get("multipleOf", 1 if whole else None)
    candidates = [wish]
    try:
        if step is not None:
            near = (wish, *(bound for bound in (low, high) if bound is not None))
            steps = [turn(value / step) for value in near for turn in (math.floor, math.ceil)]
            candidates = [(count + more) * step for count in steps for more in (0, -1, 1)]
        if whole:
            candidates = [math.floor(value) for value in candidates]
    except OverflowError:
        pass
    candidates += [value for value in (low, high) if value is not None]
    kind = {"type": "integer" if whole else "number"}
    fitting = (value for value in candidates if _first_error(value, {**schema, **kind}) is None)
    number: float | int = next(fitting, candidates[0])
    return number


def multipart_body(schema: Mapping[str, Any]) -> bytes:
    """A multipart body that fits: a small PNG for each file, text for every other field.

    Raises:
        SmokeFailed: The schema asks for more than is sent.
    """
    files = file_fields(schema)
    generator = _Generator()
    parts = []
    for name, value in schema.get("properties", {}).items():
        header = f'Content-Disposition: form-data; name="{_quoted(name)}"'
        if name in files:
            parts.append((f'{header}; filename="sample.png"\r\nContent-Type: image/png', small_png()))
        else:
            plain = generator.value(value)
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
        text = shown(response.body[:1000].decode("utf-8", "replace"), MAX_SHOWN_ANSWER_CHARACTERS)
        return Judgement(code="SMK003", message=f"The service answered with status {response.status}: {text}")
    try:
        value = json.loads(response.body, parse_constant=_refuse_constant, parse_float=_finite)
        return _judge_value(value, api, wrapped=wrapped, expected=expected)
    except (ValueError, RecursionError) as error:
        return Judgement(code="SMK004", message=f"The answer is not usable JSON ({error}): {response.body[:200]!r}")


def _judge_value(value: Any, api: Api | None, *, wrapped: bool, expected: Any) -> Judgement | None:
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
    message = f"The answer breaks the declared response schema {broken[0]}; it was {_short(value)}"
    return Judgement(code="SMK005", message=message)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is larger than any that can be held")
    return number


def _short(value: Any) -> str:
    return shown(json.dumps(value, ensure_ascii=False), MAX_SHOWN_ANSWER_CHARACTERS)


def _first_error(value: Any, schema: Mapping[str, Any]) -> str | None:
    validator = jsonschema.Draft7Validator(_without_marks(schema), registry=Registry())
    # A long answer may break the schema at every item; the first ones tell enough.
    error = jsonschema.exceptions.best_match(itertools.islice(validator.iter_errors(value), MAX_LOOKED_AT_ERRORS))
    if error is None:
        return None
    path = "".join(f"/{part}" for part in error.absolute_path) or "at its top"
    return f"{shown(path, 200)}: {shown(error.message, 200)}"


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
