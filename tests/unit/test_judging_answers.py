"""How answers are judged, and how their times are summed up."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.domain.apis import Api, Body
from airlock.domain.judging import Judgement, first_error, judge, same
from airlock.domain.smoke import HttpResponse, latency_of


def judged(
    body: Any, schema: Any = None, *, status: int = 200, wrapped: bool = False, expected: Any = None
) -> Judgement | None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = HttpResponse(status=status, content_type="application/json", body=data, seconds=0.1)
    api = Api(
        protocol="http",
        url="/",
        method="POST",
        request=Body(content_type="application/json", schema=None),
        response=Body(content_type="application/json", schema=schema),
    )
    return judge(response, api, wrapped=wrapped, expected=expected)


def code(*args: Any, **options: Any) -> str | None:
    judgement = judged(*args, **options)
    return judgement.code if judgement else None


INNER = {"type": "array", "items": {"type": "integer"}}
OUTER = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "object", "required": ["resp_data"], "properties": {"resp_data": INNER}}},
}


def test_an_answer_that_fits_is_right() -> None:
    assert judged([1, 2], INNER) is None


def test_without_a_declared_schema_any_json_is_right() -> None:
    assert judged({"anything": None}) is None
    response = HttpResponse(status=200, content_type="", body=b"1", seconds=0.1)
    assert judge(response, None, wrapped=False) is None


@pytest.mark.parametrize("status", [400, 404, 500, 201, 302])
def test_any_other_status_than_200_is_wrong(status: int) -> None:
    judgement = judged({"error_code": "MR.0105"}, status=status)
    assert judgement is not None
    assert judgement.code == "SMK003"
    assert str(status) in judgement.message
    assert "MR.0105" in judgement.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b"[-1e999]",
        b"\xff",
        b"1" * 5000,
        b"[" * 50_000,
    ],
)
def test_what_is_not_json_is_wrong(body: bytes) -> None:
    assert code(body) == "SMK004"


def test_an_answer_that_breaks_the_schema_is_wrong_and_the_place_is_told() -> None:
    judgement = judged({"data": {"resp_data": [1, "two"]}}, OUTER)
    assert judgement is not None
    assert judgement.code == "SMK005"
    assert "/data/resp_data/1" in judgement.message


@pytest.mark.parametrize("schema", [INNER, OUTER])
def test_a_wrapped_answer_is_right_whether_the_inner_or_the_outer_form_is_declared(schema: Any) -> None:
    assert judged({"data": {"resp_data": [1]}}, schema, wrapped=True) is None


def test_only_engines_that_wrap_are_unwrapped() -> None:
    assert code({"data": {"resp_data": [1]}}, INNER, wrapped=False) == "SMK005"


@pytest.mark.parametrize("body", [{"data": {"resp_data": ["x"]}}, {"data": [1]}, {"data": {}}, 3])
def test_an_answer_that_fits_neither_form_is_wrong(body: Any) -> None:
    assert code(body, INNER, wrapped=True) == "SMK005"


@pytest.mark.parametrize(
    "expected,wrong",
    [
        ([1, 2], None),
        ([1.0005, 2], None),
        ([1.01, 2], "SMK006"),
        ([1], "SMK006"),
        ({"data": {"resp_data": [1, 2]}}, None),
        ("x", "SMK006"),
    ],
)
def test_the_authors_expected_answer_is_compared_with_either_form(expected: Any, wrong: str | None) -> None:
    assert code({"data": {"resp_data": [1, 2]}}, wrapped=True, expected=expected) == wrong


def test_an_expected_answer_does_not_replace_the_schema() -> None:
    assert code(["x"], INNER, expected=["x"]) == "SMK005"


@pytest.mark.parametrize(
    "body,schema",
    [
        ({"a": "\ud800"}, {"type": "array"}),
        ("\x1b[31m\u202e", {"type": "array"}),
        ({"\x1b\n": "x"}, {"additionalProperties": {"type": "number"}}),
        ({"\ud800": "x"}, {"additionalProperties": {"type": "number"}}),
        ("x" * 100_000, {"type": "array"}),
        (["y" * 100_000], {"items": {"maxLength": 3}}),
    ],
)
def test_what_the_service_said_is_shown_escaped_and_short(body: Any, schema: Any) -> None:
    judgement = judged(body, schema)
    assert judgement is not None
    assert judgement.message.isprintable()
    assert len(judgement.message) < 1000
    judgement.message.encode()


def test_an_error_body_is_shown_escaped_and_short() -> None:
    judgement = judged(b"\x1b[31m\xff\n" * 1000, status=500)
    assert judgement is not None
    assert judgement.message.isprintable()
    assert len(judgement.message) < 1000


def test_answers_too_deep_to_compare_are_wrong_and_no_crash() -> None:
    deep: Any = 1
    for _ in range(700):
        deep = [deep]
    assert code(deep, expected=deep) in ("SMK004", None)
    assert code(deep, {"type": "object"}) in ("SMK004", "SMK005")


# ── sameness ─────────────────────────────────────────────────────────────────────────────────────────────────────────

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_values_are_the_same_exactly_when_nothing_but_near_numbers_differs(one: Any, two: Any) -> None:
    assert same(one, two) is _near(one, two)
    assert same(one, one)


def _near(one: Any, two: Any) -> bool:
    """Whether only numbers differ, by no more than the tolerance."""
    if isinstance(one, bool) or isinstance(two, bool):
        return one is two
    if isinstance(one, int) and isinstance(two, int):
        return abs(one - two) <= 1e-3 * max(abs(one), abs(two))
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_near, one, two))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_near(one[key], two[key]) for key in one)
    return bool(one == two)


@pytest.mark.parametrize(
    "one,two,equal",
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (1000, 1001, True),
        (1000, 1002, False),
        (0, 1e-7, True),
        (0, 1e-3, False),
        ("1", 1, False),
        ([], {}, False),
        (None, None, True),
        (None, 0, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, [2.0001]], [1, [2]], True),
    ],
)
def test_numbers_are_compared_with_a_tolerance_and_everything_else_exactly(one: Any, two: Any, equal: bool) -> None:
    assert same(one, two) is equal
    assert same(two, one) is equal


# ── latency ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_percentiles_are_nearest_ranks_in_milliseconds() -> None:
    latency = latency_of([number / 1000 for number in range(100, 0, -1)], elapsed_s=5.05)
    assert (latency.p50, latency.p95, latency.p99, latency.requests) == (50.0, 95.0, 99.0, 100)
    assert (latency.per_second, latency.concurrency) == (19.8, 1)


@pytest.mark.parametrize(
    "seconds,p50,p95,p99", [([0.5], 500, 500, 500), ([0.1, 0.2], 100, 200, 200), ([3, 1, 2], 2000, 3000, 3000)]
)
def test_few_times_give_percentiles_too(seconds: list[float], p50: float, p95: float, p99: float) -> None:
    latency = latency_of(seconds, elapsed_s=1)
    assert (latency.p50, latency.p95, latency.p99) == (p50, p95, p99)


@given(st.lists(st.floats(0, 40), min_size=1, max_size=50))
def test_percentiles_are_measured_times_and_rise(seconds: list[float]) -> None:
    latency = latency_of(seconds, elapsed_s=0)
    assert latency.p50 <= latency.p95 <= latency.p99
    assert {latency.p50, latency.p95, latency.p99} <= {round(value * 1000, 3) for value in seconds}


def test_no_times_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no times"):
        latency_of([], elapsed_s=1)


def test_a_long_answer_that_is_wrong_everywhere_is_judged_soon() -> None:
    started = time.process_time()
    assert code([5000] * 2000, {"items": {"anyOf": [{"const": number} for number in range(100)]}}) == "SMK005"
    assert time.process_time() - started < 1


# ── the first look ───────────────────────────────────────────────────────────────────────────────────────────────────

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "a", "bb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)
TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"]
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True),
            "minimum": st.integers(-1, 1),
            "maxItems": st.integers(0, 2),
            "minLength": st.integers(0, 2),
            "required": st.lists(st.sampled_from("ab"), unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=2),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("ab"), inner),
            "additionalProperties": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ),
    max_leaves=6,
)


@given(VALUES, SCHEMAS)
def test_the_first_look_finds_right_what_the_library_finds_right(value: Any, schema: dict[str, Any]) -> None:
    right = jsonschema.Draft7Validator(schema).is_valid(value)
    assert (first_error(value, schema) is None) is right


@pytest.mark.parametrize("depth", [1, 60])
def test_a_large_answer_is_judged_in_a_time_that_its_length_says(depth: int) -> None:
    schema: dict[str, Any] = {"type": "number"}
    value: Any = 1
    for _ in range(depth):
        schema, value = {"type": "array", "items": schema}, [value]
    value = [value[0]] * (200_000 // depth)
    started = time.process_time()
    assert first_error(value, schema) is None
    assert first_error([*value[:3_000], ["x"]], schema) is not None
    assert time.process_time() - started < 6
