"""The parameter configuration: every value of a request and an answer, with its place, type and limits."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from airlock.domain.parameters import MAX_PARAMETERS, MAX_VALUES, Parameter, body_parameters, parameters_of
from tests.unit.given import IRIS_CONFIG, changed, good_config
from tests.unit.line import Line


def normal(raw: Any) -> Any:
    """A body's schema as a deep-learning engine's configuration gives it."""
    config = good_config(
        changed(
            model_type="PyTorch",
            runtime="pytorch2.13-python3.11-cpu",
            apis=[{"request": {"Content-type": "multipart/form-data", "data": raw}}],
        )
    )
    return config.apis[0].request.schema


def told(raw: Any) -> list[tuple[str, str, bool, dict[str, Any], str]]:
    return [
        (each.path, each.type, each.required, each.limits, each.description) for each in body_parameters(normal(raw))
    ]


def test_the_iris_example_takes_and_gives_what_it_declares() -> None:
    (api,) = parameters_of(good_config(IRIS_CONFIG).apis)
    assert (api.method, api.url) == ("POST", "/")
    assert [(each.path, each.type, each.required) for each in api.inputs] == [
        ("data.req_data[].sepal", "number", False),
        ("data.req_data[].petal", "number", False),
    ]
    # Required means: whenever what it stands in is there.
    assert [(each.path, each.type, each.required) for each in api.outputs] == [
        ("data.resp_data[].predictresult", "integer", True)
    ]


def test_types_and_limits_and_the_authors_words_are_told() -> None:
    raw = {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"type": "file", "description": "A photo."},
            "threshold": {"type": "float", "minimum": 0, "maximum": 1, "title": "Least score"},
            "mode": {"enum": ["fast", "exact"]},
            "kind": {"const": 3},
            "name": {"type": "str", "minLength": 1, "maxLength": 20, "format": "email"},
            "maybe": {"type": ["int", "null"]},
            "anything": {},
        },
    }
    assert told(raw) == [
        ("image", "file", True, {}, "A photo."),
        ("threshold", "number", False, {"minimum": 0, "maximum": 1}, "Least score"),
        ("mode", "any", False, {"enum": ["fast", "exact"]}, ""),
        ("kind", "any", False, {"enum": [3]}, ""),
        ("name", "string", False, {"minLength": 1, "maxLength": 20, "format": "email"}, ""),
        ("maybe", "integer or null", False, {}, ""),
        ("anything", "any", False, {}, ""),
    ]


@pytest.mark.parametrize(
    "raw,places",
    [
        ({"type": "array", "items": {"type": "number"}}, [("[]", "number", False)]),
        ({"type": "string"}, [("", "string", True)]),
        ({"type": "object"}, [("", "object", True)]),
        ({}, []),
        (
            {"type": "array", "minItems": 2, "items": [{"type": "number"}, {"type": "string"}, {}]},
            [("", "array", True), ("[0]", "number", True), ("[1]", "string", True), ("[2]", "any", False)],
        ),
        (
            {"properties": {"a.b": {"type": "array", "items": {"properties": {"c[]": {"type": "number"}}}}}},
            [('["a.b"][]["c[]"]', "number", False)],
        ),
        ({"additionalProperties": {"type": "number"}}, [("*", "number", False)]),
        ({"properties": {"a": {"additionalProperties": {"type": "number"}}}}, [("a.*", "number", False)]),
        (
            {"properties": {"a": {"type": "array", "items": {}, "description": "Rows."}}},
            [("a", "array", False), ("a[]", "any", False)],
        ),
    ],
    ids=["list", "text", "object", "nothing", "places", "odd names", "any name", "any name inside", "told list"],
)
def test_every_form_of_a_body_has_its_places(raw: Any, places: list[tuple[str, str, bool]]) -> None:
    assert [(path, kind, required) for path, kind, required, _, _ in told(raw)] == places


def test_alternatives_are_one_parameter_and_their_own_parts_are_never_sure() -> None:
    raw = {
        "required": ["score"],
        "properties": {"score": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}},
        "oneOf": [
            {"required": ["a"], "properties": {"a": {"type": "number", "minimum": 0}}},
            {"required": ["b"], "properties": {"a": {"type": "string", "minimum": 1}, "b": {"type": "number"}}},
        ],
        "allOf": [{"required": ["c"], "properties": {"c": {"type": "boolean"}}}],
    }
    assert told(raw) == [
        ("score", "number or string", True, {"minimum": 0}, ""),
        ("a", "number or string", False, {}, ""),
        ("b", "number", False, {}, ""),
        ("c", "boolean", True, {}, ""),
    ]


def test_the_flag_of_a_property_means_the_list_beside_it() -> None:
    raw = {
        "type": "object",
        "properties": {"a": {"type": "number", "required": True}, "b": {"type": "number", "required": False}},
        "required": ["c"],
    }
    assert normal(raw)["required"] == ["c", "a"]
    assert [(path, required) for path, _, required, _, _ in told(raw)] == [("a", True), ("b", False)]


def test_no_interface_has_more_parameters_or_values_than_are_read() -> None:
    many = {"properties": {f"p{number}": {"enum": list(range(MAX_VALUES + 9))} for number in range(MAX_PARAMETERS + 9)}}
    found = body_parameters(many)
    assert len(found) == MAX_PARAMETERS
    assert found[0] == Parameter(
        path="p0", type="any", required=False, limits={"enum": list(range(MAX_VALUES))}, description=""
    )


@pytest.mark.parametrize(
    "raw",
    [
        {"type": ["float", "number", "double"]},
        {"title": 3, "description": ["x"], "format": {}, "type": "file"},
        {"properties": {"a": {"required": True}}, "required": ["a", "a"]},
        {"item": [{"type": "list", "items": [{"roperties": {"b": {"type": "float", "minLength": 2.0}}}]}]},
    ],
)
def test_what_is_kept_is_a_proper_schema_of_draft_7(raw: Any) -> None:
    jsonschema.Draft7Validator.check_schema(normal(raw))


def test_the_record_of_a_version_keeps_them() -> None:
    line = Line()
    line.import_model()
    (api,) = line.row().details["parameters"]
    assert (api["method"], api["url"]) == ("POST", "/")
    assert [each["path"] for each in api["inputs"]] == ["data.req_data[].sepal", "data.req_data[].petal"]
    assert json.loads(json.dumps(api))["outputs"] == [
        {
            "path": "data.resp_data[].predictresult",
            "type": "integer",
            "required": True,
            "limits": {},
            "description": "",
        }
    ]
