"""Requests that are generated from a declared schema: always the same, and they fit it."""

from __future__ import annotations

import json
import time
import zlib
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlock.domain.apis import FILE_MARK, Api, Body
from airlock.domain.sample_requests import MAX_SAMPLES, example, multipart_body, sample_requests, small_png
from airlock.domain.smoke import HttpRequest
from airlock.errors import SmokeFailed
from tests.unit.given import IRIS_CONFIG, good_config


def api_of(schema: Any, content_type: str = "application/json", **changes: Any) -> Api:
    values: dict[str, Any] = {
        "protocol": "http",
        "url": "/",
        "method": "POST",
        "request": Body(content_type=content_type, schema=schema),
        "response": Body(content_type="application/json", schema=None),
    }
    return Api(**{**values, **changes})


def fits(value: Any, schema: Any) -> bool:
    return jsonschema.Draft7Validator(schema).is_valid(value)


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "schema,value",
    [
        ({}, 1),
        ({"type": "number"}, 1),
        ({"type": "integer"}, 1),
        ({"type": "string"}, "text"),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": "array"}, [1]),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["text", "text"]),
        ({"type": "array", "maxItems": 0}, []),
        ({"type": "array", "items": [{"type": "string"}, {"type": "null"}]}, ["text", None]),
        ({"properties": {"a": {}, "b": {"type": "string"}}}, {"a": 1, "b": "text"}),
        ({"items": {"type": "boolean"}}, [True]),
        ({"type": "object", "required": ["x"]}, {"x": 1}),
        ({"type": "object", "required": ["x"], "additionalProperties": {"type": "string"}}, {"x": "text"}),
        ({"type": ["null", "string"]}, "text"),
        ({"type": ["integer", "null"], "minimum": 2.5, "maximum": 3.5}, 3),
        ({"const": None}, None),
        ({"default": "a", "enum": ["b", "a"]}, "a"),
        ({"enum": ["b", "a"]}, "b"),
        ({"examples": [5, 6]}, 5),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"type": "string", "format": "date"}, "2020-01-01"),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "maxLength": 2}, "te"),
        (
            {
                "allOf": [
                    {"properties": {"a": {}}, "required": ["a", "c"]},
                    {"properties": {"b": {}}, "required": ["b"]},
                ]
            },
            {"a": 1, "b": 1, "c": 1},
        ),
    ],
)
def test_each_keyword_gives_its_value(schema: Any, value: Any) -> None:
    made = example(schema)
    assert made == value
    assert type(made) is type(value)
    assert fits(made, schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "number", "default": ""},
        {"type": "array", "items": {"type": "integer", "default": None}, "examples": ["none"]},
        {"type": "string", "enum": [None, "a"]},
        {"type": "integer", "default": 99, "maximum": 5},
    ],
)
def test_values_that_the_author_named_are_taken_only_where_they_fit(schema: Any) -> None:
    assert fits(example(schema), schema)


@pytest.mark.parametrize(
    "bounds",
    [
        {"minimum": 5},
        {"maximum": -5},
        {"exclusiveMinimum": 0, "maximum": 1},
        {"exclusiveMinimum": 1, "maximum": 2},
        {"minimum": 1, "exclusiveMaximum": 2},
        {"minimum": 1, "exclusiveMinimum": 3, "maximum": 4},
        {"minimum": 9, "maximum": 14, "multipleOf": 10},
        {"minimum": 0, "maximum": 3, "multipleOf": 4},
        {"maximum": 5, "multipleOf": 10},
        {"multipleOf": 7},
        {"multipleOf": 0.5},
        {"minimum": 0.5, "maximum": 1.4},
        {"minimum": -1e308, "maximum": 1e308},
        {"minimum": 1e308, "maximum": 1.7e308},
        {"multipleOf": 5e-324},
    ],
)
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_numbers_keep_their_bounds_and_steps(kind: str, bounds: dict[str, Any]) -> None:
    schema = {"type": kind, **bounds}
    value = example(schema)
    assert fits(value, schema)
    assert isinstance(value, int) or kind == "number"
    json.dumps(value, allow_nan=False)


def test_bounds_that_contradict_each_other_still_give_a_number() -> None:
    assert isinstance(example({"type": "number", "minimum": 5, "maximum": 1}), (int, float))
    assert isinstance(example({"type": "integer", "minimum": 1.2, "maximum": 1.4}), int)


@st.composite
def number_schemas(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["integer", "number"]))
    low = draw(st.integers(-1000, 1000))
    # At least as wide as the step, so that a value exists.
    step = draw(st.none() | st.integers(1, 20))
    high = low + draw(st.integers(2, 50)) + (step or 0)
    schema: dict[str, Any] = {"type": kind}
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = high
    if step is not None:
        schema["multipleOf"] = step
    return schema


@st.composite
def string_schemas(draw: st.DrawFn) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    least = draw(st.integers(0, 20))
    if draw(st.booleans()):
        schema["minLength"] = least
    if draw(st.booleans()):
        schema["maxLength"] = least + draw(st.integers(0, 20))
    return schema


names = st.text(min_size=1, max_size=5)
simple_schemas = st.one_of(
    st.just({}),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    number_schemas(),
    string_schemas(),
    st.lists(st.integers() | names, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    (st.integers() | names).map(lambda value: {"const": value}),
    names.map(lambda value: {"type": "number", "default": value}),
)


def containers(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    @st.composite
    def objects(draw: st.DrawFn) -> dict[str, Any]:
        properties = draw(st.dictionaries(names, inner, max_size=4))
        required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
        extra = draw(st.lists(names, max_size=2, unique=True))
        schema: dict[str, Any] = {"type": "object", "properties": properties, "required": [*required, *extra]}
        if draw(st.booleans()):
            schema["additionalProperties"] = draw(inner) if draw(st.booleans()) else bool(extra)
            if extra and schema["additionalProperties"] is False:
                del schema["additionalProperties"]
        return schema

    @st.composite
    def lists(draw: st.DrawFn) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": draw(inner)}
        least = draw(st.integers(0, 5))
        if draw(st.booleans()):
            schema["minItems"] = least
        if draw(st.booleans()):
            schema["maxItems"] = least + draw(st.integers(0, 5))
        return schema

    return st.one_of(
        objects(),
        lists(),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        st.tuples(objects(), objects()).map(lambda pair: {"anyOf": list(pair)}),
        inner.map(lambda part: {"allOf": [part]}),
    )


schemas = st.recursive(simple_schemas, containers, max_leaves=10)


@given(schemas)
@settings(max_examples=250)
def test_a_generated_value_fits_the_schema_it_came_from_and_is_always_the_same(schema: dict[str, Any]) -> None:
    value = example(schema)
    assert fits(value, schema)
    assert json.dumps(value) == json.dumps(example(json.loads(json.dumps(schema))))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 100_000_000},
        {"type": "string", "minLength": 1e300},
        {"type": "array", "minItems": 1e300},
        {
            "type": "array",
            "minItems": 4000,
            "items": {"type": "array", "minItems": 4000, "items": {"type": "array", "minItems": 4000}},
        },
        {"type": "array", "minItems": 1000, "items": {"const": "x" * 100_000}},
        {"properties": {f"p{number}": {"type": "string", "minLength": 1_000_000} for number in range(100)}},
    ],
)
def test_a_schema_that_asks_for_too_much_is_refused_at_once(schema: Any) -> None:
    started = time.process_time()
    with pytest.raises(SmokeFailed) as caught:
        sample_requests(api_of(schema), {}, {})
    assert caught.value.code == "SMK009"
    assert time.process_time() - started < 1


def test_an_image_of_numbers_is_not_too_much() -> None:
    rows = {"type": "array", "minItems": 224, "maxItems": 224}
    value = example({**rows, "items": {**rows, "items": {"type": "array", "minItems": 3, "items": {"type": "number"}}}})
    assert (len(value), len(value[0]), len(value[0][0])) == (224, 224, 3)


def test_the_deepest_schema_that_can_be_read_is_generated() -> None:
    schema: dict[str, Any] = {"type": "number"}
    for _ in range(60):
        schema = {"type": "array", "items": schema}
    assert fits(example(schema), schema)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_authors_samples_come_first_in_order_of_their_names() -> None:
    (api,) = good_config(IRIS_CONFIG).apis
    samples = sample_requests(api, {"b.json": b"2", "a.json": b"1"}, {"a.json": [1]})
    assert [(sample.name, sample.request.body, sample.expected) for sample in samples] == [
        ("a.json", b"1", [1]),
        ("b.json", b"2", None),
    ]
    assert samples[0].request == HttpRequest(method="POST", path="/", content_type="application/json", body=b"1")


def test_samples_are_sent_where_no_interface_is_declared() -> None:
    (sample,) = sample_requests(None, {"a.json": b"{}"}, {})
    assert (sample.request.method, sample.request.path) == ("POST", "/")


def test_the_number_of_samples_is_bounded() -> None:
    assert len(sample_requests(None, {f"{number:03}.json": b"{}" for number in range(100)}, {})) == MAX_SAMPLES


def test_without_samples_one_request_is_generated() -> None:
    (sample,) = sample_requests(good_config(IRIS_CONFIG).apis[0], {}, {})
    assert sample.name == "generated"
    assert json.loads(sample.request.body) == {"data": {"req_data": [{"sepal": 1, "petal": 1}]}}


def test_method_and_path_are_the_declared_ones() -> None:
    (sample,) = sample_requests(api_of({"type": "object"}, url="/predict", method="PUT"), {}, {})
    assert (sample.request.method, sample.request.path) == ("PUT", "/predict")


@pytest.mark.parametrize("api", [None, api_of(None)])
def test_without_samples_and_schema_there_is_nothing_to_send(api: Api | None) -> None:
    assert sample_requests(api, {}, {}) == ()


def test_a_multipart_request_holds_a_real_image_and_plain_fields() -> None:
    schema = {
        "type": "object",
        "properties": {
            "images": {"type": "string", FILE_MARK: True},
            "threshold": {"type": "number", "minimum": 0, "maximum": 1},
            'a"\r\nX-Evil: 1': {"type": "string"},
            "options": {"type": "object", "properties": {"名": {"type": "integer"}}},
        },
    }
    (sample,) = sample_requests(api_of(schema, "multipart/form-data"), {}, {})
    kind, _, boundary = sample.request.content_type.partition("; boundary=")
    assert kind == "multipart/form-data"
    body = sample.request.body
    assert body == multipart_body(schema)
    parts = body.split(b"--" + boundary.encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    heads = [part.partition(b"\r\n\r\n")[0].decode() for part in parts[1:-1]]
    contents = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
    assert heads == [
        '\r\nContent-Disposition: form-data; name="images"; filename="sample.png"\r\nContent-Type: image/png',
        '\r\nContent-Disposition: form-data; name="threshold"',
        '\r\nContent-Disposition: form-data; name="a\\"  X-Evil: 1"',
        '\r\nContent-Disposition: form-data; name="options"',
    ]
    assert contents == [small_png(), b"0.5", b"text", '{"名": 1}'.encode()]


FORM = {"type": "object", "properties": {"images": {"type": "string", FILE_MARK: True}, "top": {"type": "string"}}}


def test_a_sample_of_a_form_is_sent_as_one_with_the_files_beside_it() -> None:
    api = api_of(FORM, "multipart/form-data")
    body = json.dumps({"fields": {"top": "3"}, "files": {"images": 'cats/a "1".jpg'}}).encode()
    (sample,) = sample_requests(api, {"one.json": body}, {"one.json": [1]}, {'cats/a "1".jpg': b"\x00JPEG\r\n"})
    assert (sample.name, sample.expected) == ("one.json", [1])
    boundary = sample.request.content_type.partition("boundary=")[2].encode()
    assert sample.request.body == (
        b'--%b\r\nContent-Disposition: form-data; name="top"\r\n\r\n3\r\n'
        b'--%b\r\nContent-Disposition: form-data; name="images"; filename="a \\"1\\".jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n\x00JPEG\r\n\r\n--%b--\r\n" % (boundary, boundary, boundary)
    )


@pytest.mark.parametrize(
    "document", [[], {"field": {}}, {"fields": []}, {"files": {"images": 1}}, {"fields": {}, "files": {}, "more": {}}]
)
def test_a_sample_that_is_no_form_is_refused_where_a_form_is_declared(document: object) -> None:
    with pytest.raises(SmokeFailed, match="no form"):
        sample_requests(api_of(FORM, "multipart/form-data"), {"a.json": json.dumps(document).encode()}, {}, {})


def test_a_file_that_a_form_names_must_be_there() -> None:
    body = b'{"files": {"images": "a.png"}}'
    with pytest.raises(SmokeFailed, match=r"a\.png"):
        sample_requests(api_of(FORM, "multipart/form-data"), {"a.json": body}, {}, {"b.png": b""})


def test_the_small_image_is_a_whole_png() -> None:
    data = small_png(8)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + content) == int.from_bytes(data[at + 8 + length : at + 12 + length], "big")
        chunks[kind] = content
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert len(zlib.decompress(chunks[b"IDAT"])) == 8 * (1 + 3 * 8)
