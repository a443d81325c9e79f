"""The loose dialect of real configurations: one clear meaning is accepted, normalised and told.

Source: the counts read off 69 real configurations.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from airlock.domain.apis import FILE_MARK, file_fields
from tests.unit.given import IRIS_CONFIG, changed, codes, good_config, read_config


def pytorch(request: Any = None, response: Any = None, **api: Any) -> dict[str, Any]:
    """A configuration of a deep-learning engine with this API."""
    bodies = {name: body for name, body in (("request", request), ("response", response)) if body is not None}
    return changed(model_type="PyTorch", runtime="pytorch2.13-python3.11-cpu", apis=[{**bodies, **api}])


def warned(value: Any) -> list[tuple[str, str, str]]:
    config, findings = read_config(value)
    assert config is not None, [item.line() for item in findings]
    return [(item.code, item.place.pointer, item.message) for item in findings]


# ── the interface ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("spelling", ["procotol", "protocal"])
def test_procotol_is_protocol(spelling: str) -> None:
    value = pytorch(**{spelling: "https"})
    assert warned(value) == [("CFG012", f"/apis/0/{spelling}", "`protocol` is meant.")]
    assert good_config(value).apis[0].protocol == "https"


@pytest.mark.parametrize(
    "written,meant",
    [
        ("applicaton/json", "application/json"),
        ("aplication/json", "application/json"),
        ("text/json", "application/json"),
        ("multipart/json", "multipart/form-data"),
        ("multipart/form_data", "multipart/form-data"),
        ("form-data", "multipart/form-data"),
    ],
)
def test_misspelt_content_types_are_read_as_what_is_meant(written: str, meant: str) -> None:
    value = pytorch(request={"Content-type": written, "data": {"type": "object"}})
    assert warned(value) == [("CFG012", "/apis/0/request/Content-type", f"`{meant}` is meant.")]
    assert good_config(value).apis[0].request.content_type == meant


@pytest.mark.parametrize("written", ["Application/JSON", " application/json ", "application/json; charset=utf-8"])
def test_case_space_and_parameters_of_a_content_type_say_nothing(written: str) -> None:
    assert warned(pytorch(request={"Content-type": written})) == []


@pytest.mark.parametrize("key", ["Content-Type", "content-type", "Content_type", "ContentType", "contenttype"])
def test_the_key_content_type_is_read_in_any_spelling_and_findings_point_at_it(key: str) -> None:
    value = pytorch(request={key: "applicaton/json"})
    assert [(code, pointer) for code, pointer, _ in warned(value)] == [("CFG012", f"/apis/0/request/{key}")]


def test_a_response_declared_multipart_is_json() -> None:
    value = pytorch(response={"Content-type": "multipart/form-data", "data": {"type": "object"}})
    assert [(code, pointer) for code, pointer, _ in warned(value)] == [("CFG012", "/apis/0/response/Content-type")]
    assert good_config(value).apis[0].response.content_type == "application/json"


def test_machine_learning_engines_may_declare_their_answers_multipart_too() -> None:
    value = json.loads(json.dumps(IRIS_CONFIG))
    value["apis"][0]["response"]["Content-type"] = "multipart/form-data"
    assert codes(read_config(value)[1]) == ["CFG012"]


def test_a_file_under_application_json_means_multipart() -> None:
    schema = {"type": "object", "properties": {"images": {"type": "file"}, "threshold": {"type": "number"}}}
    value = pytorch(request={"Content-type": "application/json", "data": schema})
    assert [(code, pointer) for code, pointer, _ in warned(value)] == [("CFG012", "/apis/0/request/Content-type")]
    request = good_config(value).apis[0].request
    assert request.content_type == "multipart/form-data"
    assert file_fields(request.schema) == ("images",)


def test_a_file_under_multipart_needs_no_word() -> None:
    schema = {"type": "object", "properties": {"images": {"type": "file"}}}
    value = pytorch(request={"Content-type": "multipart/form-data", "data": schema})
    assert warned(value) == []
    normal = good_config(value).apis[0].request.schema
    assert normal == {"type": "object", "properties": {"images": {FILE_MARK: True, "type": "string"}}}


def test_a_response_nested_in_the_request_stands_beside_it() -> None:
    response = {"Content_type": "applicaton/json", "data": {"type": "list", "items": {"type": "thing"}}}
    value = pytorch(request={"Content-type": "application/json", "data": {"type": "object"}, "response": response})
    config, findings = read_config(value)
    assert config is None
    # Findings inside point at where the text has it.
    assert sorted((item.code, item.place.pointer, item.place.line) for item in findings) == [
        ("API003", "/apis/0/request/response/data/items/type", 1),
        ("CFG012", "/apis/0/request/response", 1),
        ("CFG012", "/apis/0/request/response/Content_type", 1),
        ("CFG012", "/apis/0/request/response/data/type", 1),
    ]
    assert all(item.place.column > 200 for item in findings)
    response["data"] = {"type": "object"}
    api = good_config(value).apis[0]
    assert api.response.schema == {"type": "object"}
    assert api.request.schema == {"type": "object"}


def test_a_response_in_both_places_is_not_moved() -> None:
    value = pytorch(
        request={"data": {"type": "object"}, "response": {"data": {"type": "array"}}},
        response={"data": {"type": "string"}},
    )
    assert good_config(value).apis[0].response.schema == {"type": "string"}
    assert [code for code, _, _ in warned(value)] == ["CFG011"]


@pytest.mark.parametrize(
    "changes,pointer,meant",
    [
        ({"model_type": None, "modle_type": "Scikit_Learn"}, "/modle_type", "model_type"),
        ({"metrics": None, "metric": {"f1": 0.9}}, "/metric", "metrics"),
        ({"Runtime": "sklearn1.9-python3.11", "runtime": None}, "/Runtime", "runtime"),
    ],
)
def test_a_misspelt_field_is_read_where_the_right_one_is_missing(changes: Any, pointer: str, meant: str) -> None:
    assert warned(changed(**changes)) == [("CFG012", pointer, f"`{meant}` is meant.")]


def test_findings_below_a_misspelt_field_point_at_where_the_text_has_it() -> None:
    value = pytorch(reqest={"data": {"type": "float"}}, methods="get")
    assert sorted(warned(value)) == [
        ("CFG012", "/apis/0/methods", "`method` is meant."),
        ("CFG012", "/apis/0/reqest", "`request` is meant."),
        ("CFG012", "/apis/0/reqest/data/type", "`number` is meant."),
    ]
    dependencies = [{"package": [{"package_name": "six", "restrain": ""}, {"name": "numpy"}]}]
    assert sorted(warned(changed(dependency=dependencies))) == [
        ("CFG012", "/dependency", "`dependencies` is meant."),
        ("CFG012", "/dependency/0/package", "`packages` is meant."),
        ("CFG012", "/dependency/0/package/1/name", "`package_name` is meant."),
    ]


def test_a_misspelt_field_of_another_kind_is_read_over() -> None:
    value = pytorch(request={"data": {}}, methods=["GET"])
    assert warned(value) == [("CFG011", "/apis/0/methods", "The field is not known and is read over.")]


# ── schemas ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def schema_of(raw: Any) -> Any:
    return good_config(pytorch(request={"data": raw})).apis[0].request.schema


def told(raw: Any) -> list[tuple[str, str]]:
    return [
        (code, pointer.removeprefix("/apis/0/request/data"))
        for code, pointer, _ in warned(pytorch(request={"data": raw}))
    ]


@pytest.mark.parametrize(
    "raw,normal,at",
    [
        ({"items": [{"type": "number"}]}, {"items": {"type": "number"}}, "/items"),
        ({"item": {"type": "number"}}, {"items": {"type": "number"}}, "/item"),
        ({"roperties": {"a": {"type": "number"}}}, {"properties": {"a": {"type": "number"}}}, "/roperties"),
        ({"type": "list"}, {"type": "array"}, "/type"),
        ({"type": "float"}, {"type": "number"}, "/type"),
        ({"type": "double"}, {"type": "number"}, "/type"),
        ({"type": "int"}, {"type": "integer"}, "/type"),
        ({"type": "json"}, {"type": "object"}, "/type"),
        ({"type": "dict"}, {"type": "object"}, "/type"),
        ({"type": "str"}, {"type": "string"}, "/type"),
        ({"type": "bool"}, {"type": "boolean"}, "/type"),
        ({"type": "String"}, {"type": "string"}, "/type"),
        ({"type": ["float", "null"]}, {"type": ["number", "null"]}, "/type"),
        ({"type": "string", "required": True}, {"type": "string"}, "/required"),
        ({"propertes": {"q": {}}}, {"properties": {"q": {}}}, "/propertes"),
        ({"requird": ["q"]}, {"required": ["q"]}, "/requird"),
        ({"Required": ["q"]}, {"required": ["q"]}, "/Required"),
        ({"min_length": 2}, {"minLength": 2}, "/min_length"),
        ({"minmum": 0}, {"minimum": 0}, "/minmum"),
        ({"Type": "number"}, {"type": "number"}, "/Type"),
        ({"minimum": 0, "exclusiveMinimum": True}, {"exclusiveMinimum": 0}, "/exclusiveMinimum"),
        ({"exclusiveMaximum": True, "maximum": 9.5}, {"exclusiveMaximum": 9.5}, "/exclusiveMaximum"),
        ({"minimum": 0, "exclusiveMinimum": False}, {"minimum": 0}, "/exclusiveMinimum"),
        ({"exclusiveMinimum": True}, {}, "/exclusiveMinimum"),
        ({"minLength": "1"}, {"minLength": 1}, "/minLength"),
        ({"maximum": " -2.5e1 "}, {"maximum": -25.0}, "/maximum"),
        ({"multipleOf": "0.5"}, {"multipleOf": 0.5}, "/multipleOf"),
        ({"any_of": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}, "/any_of"),
    ],
)
def test_loose_schemas_are_normalised_and_told(raw: Any, normal: Any, at: str) -> None:
    assert schema_of(raw) == normal
    assert told(raw) == [("CFG012", at)]


@pytest.mark.parametrize(
    "raw,normal",
    [
        ({}, {}),
        ({"properties": {"a": {}}}, {"properties": {"a": {}}}),
        ({"type": ""}, {}),
        ({"minimum": "", "required": [], "items": []}, {}),
        ({"required": ["a", "a", "b"]}, {"required": ["a", "b"]}),
        ({"items": [{"type": "number"}, {"type": "string"}]}, {"items": [{"type": "number"}, {"type": "string"}]}),
        (True, {}),
        (False, {"not": {}}),
        ({"examples": {"a": 1}}, {}),
        ({"examples": []}, {}),
        ({"examples": ["a"]}, {"examples": ["a"]}),
        ({"x-airlock-file": True, "type": "string"}, {"type": "string"}),
    ],
)
def test_what_says_nothing_is_left_out_without_a_word(raw: Any, normal: Any) -> None:
    assert schema_of(raw) == normal
    assert told(raw) == []


def test_the_flag_of_a_bound_in_text_moves_the_number() -> None:
    raw = {"minimum": "0", "exclusiveMinimum": True, "maximum": 1}
    assert schema_of(raw) == {"exclusiveMinimum": 0, "maximum": 1}
    assert sorted(told(raw)) == [("CFG012", "/exclusiveMinimum"), ("CFG012", "/minimum")]


@pytest.mark.parametrize(
    "raw",
    [
        {"minLength": "one"},
        {"minLength": "1.5"},
        {"minLength": "-1"},
        {"maximum": "nan"},
        {"maximum": "1e999"},
        {"maximum": "1_000"},
        {"maximum": "٣"},
        {"maximum": "9" * 65},
        {"minimum": True},
        {"multipleOf": "0"},
        {"exclusiveMinimum": "true"},
    ],
)
def test_what_is_no_number_in_any_reading_is_refused(raw: Any) -> None:
    config, findings = read_config(pytorch(request={"data": raw}))
    assert config is None
    assert codes(findings) == ["API003"]


@pytest.mark.parametrize(
    "raw,normal,at,fix",
    [
        # As close to one keyword as to another.
        ({"length": 5}, {}, "/length", "Did you mean 'maxLength' or 'minLength'?"),
        # Not of the kind that the keyword takes.
        ({"requird": "q"}, {}, "/requird", "Did you mean 'required'?"),
        ({"minmum": "low"}, {}, "/minmum", "Did you mean 'minimum'?"),
        ({"dtype": "float32"}, {}, "/dtype", "Did you mean 'type'?"),
        # The right spelling stands beside it.
        ({"propertes": {"a": {}}, "properties": {"b": {}}}, {"properties": {"b": {}}}, "/propertes", None),
    ],
)
def test_a_keyword_without_one_clear_meaning_is_read_over_and_told(
    raw: Any, normal: Any, at: str, fix: str | None
) -> None:
    config, findings = read_config(pytorch(request={"data": raw}))
    assert config is not None
    assert config.apis[0].request.schema == normal
    assert [(item.code, item.place.pointer.removeprefix("/apis/0/request/data")) for item in findings] == [
        ("CFG011", at)
    ]
    assert findings[0].fix == (fix or "Did you mean 'properties'?")


@pytest.mark.parametrize("key", ["note", "example", "x-format", "$types", "nullable", "multiple", "unit"])
def test_words_of_other_dialects_are_left_out_without_a_word(key: str) -> None:
    assert schema_of({key: 1}) == {}
    assert told({key: 1}) == []


def test_nested_looseness_is_told_at_every_place() -> None:
    raw = {"type": "json", "properties": {"a": {"type": "list", "item": [{"roperties": {"b": {"type": "float"}}}]}}}
    assert schema_of(raw) == {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"properties": {"b": {"type": "number"}}}}},
    }
    assert {pointer for _, pointer in told(raw)} == {
        "/type",
        "/properties/a/type",
        "/properties/a/item",
        "/properties/a/item/0/roperties",
        "/properties/a/item/0/roperties/b/type",
    }


# ── the whole file ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_empty_strings_mean_absent() -> None:
    value = changed(runtime="", swr_location="", metrics="", dependencies="", health=None)
    value["apis"][0]["method"] = ""
    value["apis"][0]["response"] = ""
    config, findings = read_config(value)
    assert config is not None
    assert codes(findings) == ["CFG014"]
    assert config.apis[0].method == "POST"
    assert config.apis[0].response.schema is None


@pytest.mark.parametrize("space", [" ", "\t", "\n"])
def test_a_runtime_of_mere_space_is_absent(space: str) -> None:
    assert codes(read_config(changed(runtime=space))[1]) == ["CFG014"]


def test_space_around_names_says_nothing() -> None:
    config = good_config(changed(model_type=" Scikit_Learn ", runtime="sklearn1.9-python3.11\n"))
    assert (config.model_type, config.runtime) == ("Scikit_Learn", "sklearn1.9-python3.11")


def test_crlf_and_tabs_say_nothing() -> None:
    text = json.dumps(IRIS_CONFIG, indent="\t").replace("\n", "\r\n")
    assert read_config(text) == read_config(IRIS_CONFIG)


def test_a_byte_order_mark_says_nothing() -> None:
    assert read_config(b"\xef\xbb\xbf" + json.dumps(IRIS_CONFIG).encode()) == read_config(IRIS_CONFIG)


def test_metrics_given_as_text_are_numbers() -> None:
    config, findings = read_config(changed(metrics={"f1": "0.9", "accuracy": " 0.95 "}))
    assert config is not None
    assert config.metrics == {"f1": 0.9, "accuracy": 0.95}
    assert codes(findings) == ["CFG012", "CFG012"]


def test_a_wheel_inside_the_package_is_a_dependency() -> None:
    packages = [{"package_name": "/home/mind/model/x-1.0-py3-none-any.whl", "package_version": "", "restraint": ""}]
    (dependency,) = good_config(changed(dependencies=[{"installer": "pip", "packages": packages}])).dependencies
    assert dependency.bundled


def test_a_file_with_everything_at_once_is_read() -> None:
    text = """
    // exported by hand
    {
      "model_type": "PyTorch ",
      "model_algorithm": "image_classification",
      "runtime": "",
      "metrics": {"f1": "0.9", "recall": "", },
      "apis": [{
        "procotol": "http", "url": "", "method": "post",
        "request": {
          "Content-type": "applicaton/json",
          "data": {"type": "json", "roperties": {"images": {"type": "file"}, "size": {}}},
          "response": {"Content-type": "multipart/form-data",
                       "data": {"type": "list", "item": [{"type": "float"}]}}
        },
      }],
      "dependencies": [{"installer": "",
                        "packages": [{"package_name": "numpy", "package_version": "", "restraint": ""}]}],
    }
    """
    config, findings = read_config(text)
    assert config is not None, [item.line() for item in findings]
    assert config.apis[0].response.schema == {"type": "array", "items": {"type": "number"}}
    assert file_fields(config.apis[0].request.schema) == ("images",)
    assert {item.code for item in findings} == {"CFG002", "CFG012", "CFG013", "CFG014"}
    assert all(item.place.line > 1 for item in findings if item.code != "CFG014")
