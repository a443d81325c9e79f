"""The smoke test's requests: the author's samples, else requests generated from the declared schema.

Generation is deterministic: the same schema gives the same requests, so a later run can be compared with this one.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from airlock.domain.apis import JSON_TYPE, MULTIPART_TYPE, Api, file_fields
from airlock.domain.form_samples import BOUNDARY, encode_parts, form_body, quoted, read_form
from airlock.domain.judging import first_error
from airlock.domain.smoke import HttpRequest, Sample
from airlock.errors import SmokeFailed

MAX_SAMPLES = 20
MAX_GENERATED_CHARACTERS = 10 * 1024 * 1024
_FORM_TYPE = f"{MULTIPART_TYPE}; boundary={BOUNDARY}"


def sample_requests(
    api: Api | None,
    samples: Mapping[str, bytes],
    expected: Mapping[str, Any],
    uploads: Mapping[str, bytes] | None = None,
) -> tuple[Sample, ...]:
    """The test's requests.

    Args:
        api: The declared interface, None where there is none.
        samples: Name → request body, as the author brought them: JSON bodies as they are, forms as `form_samples` says.
        expected: Name → the author's expected answer.
        uploads: File name → content, for the files that forms name; None leaves samples of forms out.

    Returns:
        The author's samples, else one generated request; empty where neither can be had.

    Raises:
        SmokeFailed: The request schema asks for more than is sent, or a sample is no form where one is declared.
    """
    method = api.method if api else "POST"
    path = api.url if api else "/"
    multipart = api is not None and api.request.content_type == MULTIPART_TYPE
    if samples and not (multipart and uploads is None):
        chosen = dict(sorted(samples.items())[:MAX_SAMPLES])
        if multipart:
            chosen = {name: form_body(name, read_form(name, body), uploads or {}) for name, body in chosen.items()}
        kind = _FORM_TYPE if multipart else JSON_TYPE
        return tuple(
            Sample(
                name=name,
                request=HttpRequest(method=method, path=path, content_type=kind, body=body),
                expected=expected.get(name),
            )
            for name, body in chosen.items()
        )
    if api is None or api.request.schema is None:
        return ()
    if multipart:
        body = multipart_body(api.request.schema)
        content_type = _FORM_TYPE
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
            if first_error(value, schema) is None:
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
    fitting = (value for value in candidates if first_error(value, {**schema, **kind}) is None)
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
        header = f'name="{quoted(name)}"'
        if name in files:
            parts.append((f'{header}; filename="sample.png"\r\nContent-Type: image/png', small_png()))
        else:
            plain = generator.value(value)
            text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
            parts.append((header, text.encode()))
    return encode_parts(parts)


def small_png(side: int = 32) -> bytes:
    """A real PNG of `side` × `side` pixels with a colour gradient."""
    rows = b"".join(
        b"\x00" + b"".join(bytes((x * 255 // side, y * 255 // side, 128)) for x in range(side)) for y in range(side)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
