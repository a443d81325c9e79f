"""config.json: each rule by its code and place."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlock.domain.config import ModelConfig
from airlock.domain.dependencies import Dependency, Restraint
from airlock.domain.engines import ENGINES
from airlock.domain.findings import MAX_TOLD
from airlock.domain.health import Health
from tests.unit.given import IRIS_CONFIG, changed, good_config, read_config


def broken(value: Any) -> list[tuple[str, str]]:
    """Codes and pointers of the errors; the configuration is refused."""
    config, findings = read_config(value)
    assert config is None
    return [(item.code, item.place.pointer) for item in findings if item.is_error]


def noticed(value: Any) -> list[tuple[str, str]]:
    """Codes and pointers of everything noticed; the configuration is accepted."""
    config, findings = read_config(value)
    assert config is not None, [item.line() for item in findings]
    return [(item.code, item.place.pointer) for item in findings]


def with_api(**changes: Any) -> dict[str, Any]:
    """The iris configuration with fields of its API replaced; None removes one."""
    api = {**IRIS_CONFIG["apis"][0], **changes}
    return changed(apis=[{key: item for key, item in api.items() if item is not None}])


def with_request(schema: Any) -> dict[str, Any]:
    return with_api(request={"Content-type": "application/json", "data": schema})


IMAGE_CONFIG: dict[str, Any] = {
    "model_type": "Image",
    "model_algorithm": "image_classification",
    "swr_location": "registry/org/image:1",
    "health": {"url": "/health", "protocol": "http", "initial_delay_seconds": "5", "timeout_seconds": 2},
    "apis": [{"url": "/a"}, {"url": "/b", "method": "get"}],
}


def test_a_configuration_that_keeps_every_rule_is_read_without_a_word() -> None:
    config, findings = read_config(IRIS_CONFIG)
    assert findings == ()
    assert isinstance(config, ModelConfig)
    assert config.runtime == "sklearn1.9-python3.11"
    assert config.metrics == {"f1": 0.9, "accuracy": 0.95}
    assert [(api.protocol, api.url, api.method) for api in config.apis] == [("http", "/", "POST")]
    assert config.dependencies == ()


# ── CFG001 to CFG004: the text ───────────────────────────────────────────────────────────────────────────────────────


def test_broken_json_is_told_with_line_and_column() -> None:
    config, findings = read_config('{\n  "model_type": "XGBoost"\n  "runtime": 1}')
    assert config is None
    assert [item.code for item in findings] == ["CFG001"]
    assert str(findings[0].place) == "model/config.json:3:3"


@pytest.mark.parametrize("data", [b"", b"\xff\xfe{}", b'{"a": NaN}', b"# yaml: yes"])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    assert [code for code, _ in broken(data)] == ["CFG001"]


def test_a_text_that_is_too_large_or_too_deep_has_its_own_code() -> None:
    assert [code for code, _ in broken(b" " * 1_000_001)] == ["CFG004"]
    assert [code for code, _ in broken(b"[" * 100)] == ["CFG004"]


def test_comments_and_trailing_commas_are_warnings() -> None:
    text = json.dumps(IRIS_CONFIG)[:-1] + ", } // end"
    assert [code for code, _ in noticed(text)] == ["CFG002", "CFG002"]


def test_a_key_with_two_values_is_refused_and_with_one_value_twice_is_not() -> None:
    rest = json.dumps(changed(model_algorithm=None))[1:]
    assert broken('{"model_algorithm": "a", "model_algorithm": "b", ' + rest) == [("CFG003", "/model_algorithm")]
    assert [code for code, _ in noticed('{"model_algorithm": "a", "model_algorithm": "a", ' + rest)] == ["CFG002"]


@pytest.mark.parametrize("value", ["[]", '"x"', "1", "null"])
def test_the_file_holds_one_object(value: str) -> None:
    assert broken(value) == [("CFG006", "")]


# ── CFG005 to CFG010: the fields ─────────────────────────────────────────────────────────────────────────────────────


def test_each_missing_mandatory_field_is_named() -> None:
    assert sorted(broken({})) == [("CFG005", "/model_algorithm"), ("CFG005", "/model_type")]


@pytest.mark.parametrize(
    "changes,pointer",
    [
        ({"model_type": 1}, "/model_type"),
        ({"model_algorithm": ["x"]}, "/model_algorithm"),
        ({"runtime": {}}, "/runtime"),
        ({"metrics": [1]}, "/metrics"),
        ({"apis": {"url": "/"}}, "/apis"),
        ({"apis": ["/"]}, "/apis/0"),
        ({"dependencies": {"installer": "pip"}}, "/dependencies"),
        ({"dependencies": ["numpy"]}, "/dependencies/0"),
    ],
)
def test_a_field_of_another_type_is_refused_at_its_place(changes: dict[str, Any], pointer: str) -> None:
    assert broken(changed(**changes)) == [("CFG006", pointer)]


@pytest.mark.parametrize("changes", [{"request": []}, {"response": "json"}])
def test_a_body_of_another_type_is_refused(changes: dict[str, Any]) -> None:
    assert [code for code, _ in broken(with_api(**changes))] == ["CFG006"]


def test_every_engine_that_is_known_has_its_name_and_others_are_refused_with_the_likeliest() -> None:
    config, findings = read_config(changed(model_type="Scikit-Learn"))
    assert config is None
    assert [(item.code, item.place.pointer, item.value) for item in findings] == [
        ("CFG007", "/model_type", "Scikit-Learn")
    ]
    assert "Did you mean 'Scikit_Learn'?" in findings[0].fix
    assert all(engine in findings[0].fix for engine in ENGINES)


@pytest.mark.parametrize("name", ["python3.7", "Python3.6", "sklearn1.9", "x" * 10_000])
def test_a_runtime_that_the_engine_does_not_have_is_refused_with_those_it_has(name: str) -> None:
    config, findings = read_config(changed(runtime=name))
    assert config is None
    assert [(item.code, item.place.pointer) for item in findings] == [("CFG008", "/runtime")]
    assert "sklearn1.9-python3.11" in findings[0].fix
    assert "python2.7" not in findings[0].fix


def test_a_runtime_of_another_engine_is_not_this_engines() -> None:
    assert broken(changed(runtime="xgboost3.2-python3.11-cpu")) == [("CFG008", "/runtime")]


@pytest.mark.parametrize("name", ["a", "image_classification", "a" * 36, "A-1.b c", "a'"[:1]])
def test_usual_algorithms_are_taken(name: str) -> None:
    assert good_config(changed(model_algorithm=name)).model_algorithm == name


@pytest.mark.parametrize(
    "name", ["", "1a", "_a", "a" * 37, *(f"a{mark}" for mark in "&!'\"<>=()\\"), "a识", "a\x00", "识"]
)
def test_other_algorithms_are_refused(name: str) -> None:
    assert {code for code, _ in broken(changed(model_algorithm=name))} == {"CFG009"}


@pytest.mark.parametrize(
    "character",
    ["\u3400", "\u4e00", "\u9fff", "\u3005", "\u3007", "\u2e80", "\u2f00", "\u3021", "\uf900", "\ufad9", "\U00020000",
     "\U0002a6df", "\U0002fa1d", "\U000323af"],
    ids=ascii,
)  # fmt: skip
def test_no_chinese_character_of_any_block_stands_in_an_algorithm(character: str) -> None:
    assert broken(changed(model_algorithm=f"a{character}")) == [("CFG009", "/model_algorithm")]


@pytest.mark.parametrize("name", ["détection", "a_детекция", "aあ", "a한", "a\u3001"])
def test_letters_of_other_scripts_may_stand_in_an_algorithm(name: str) -> None:
    assert good_config(changed(model_algorithm=name)).model_algorithm == name


@pytest.mark.parametrize("name,value", [("swr_location", "registry/image:1"), ("health", {"url": "/health"})])
def test_fields_of_image_do_not_go_with_an_engine(name: str, value: Any) -> None:
    assert broken(changed(**{name: value})) == [("CFG010", f"/{name}")]


def test_an_image_configuration_is_read() -> None:
    config = good_config(IMAGE_CONFIG)
    assert config.health == Health(url="/health", protocol="http", initial_delay_s=5.0, timeout_s=2.0)
    assert [(api.url, api.method) for api in config.apis] == [("/a", "POST"), ("/b", "GET")]


@pytest.mark.parametrize("name,value", [("runtime", "python3.6"), ("dependencies", [{"packages": []}])])
def test_fields_of_an_engine_do_not_go_with_image(name: str, value: Any) -> None:
    assert broken({**IMAGE_CONFIG, name: value}) == [("CFG010", f"/{name}")]


def test_image_needs_its_location_and_health() -> None:
    without = {key: item for key, item in IMAGE_CONFIG.items() if key not in ("swr_location", "health")}
    assert sorted(broken(without)) == [("CFG005", "/health"), ("CFG005", "/swr_location")]


@pytest.mark.parametrize("value", ["soon", -1, 3601, "nan"])
def test_seconds_of_health_are_seconds(value: Any) -> None:
    health = {**IMAGE_CONFIG["health"], "timeout_seconds": value}
    assert broken({**IMAGE_CONFIG, "health": health}) == [("CFG006", "/health/timeout_seconds")]


def test_health_needs_its_url() -> None:
    assert broken({**IMAGE_CONFIG, "health": {"protocol": "http"}}) == [("CFG005", "/health/url")]


# ── CFG011, CFG013, CFG014 ───────────────────────────────────────────────────────────────────────────────────────────


def test_unknown_fields_are_read_over_with_a_warning_wherever_they_stand() -> None:
    value = changed(author="me", runtimes="x")
    value["apis"][0]["note"] = 1
    value["apis"][0]["request"]["comment"] = 1
    config, findings = read_config(value)
    assert config is not None
    assert {(item.code, item.place.pointer) for item in findings} == {
        ("CFG011", "/author"),
        ("CFG011", "/runtimes"),
        ("CFG011", "/apis/0/note"),
        ("CFG011", "/apis/0/request/comment"),
    }
    assert "Did you mean 'runtime'?" in next(item.fix for item in findings if item.place.pointer == "/runtimes")


def test_metrics_are_finite_numbers_of_known_names() -> None:
    value = changed(metrics={"f1": 0.5, "recall": "0.25", "precision": "high", "accuracy": True, "auc": 0.9})
    config, findings = read_config(value)
    assert config is not None
    assert config.metrics == {"f1": 0.5, "recall": 0.25}
    assert sorted((item.code, item.place.pointer) for item in findings) == [
        ("CFG012", "/metrics/recall"),
        ("CFG013", "/metrics/accuracy"),
        ("CFG013", "/metrics/auc"),
        ("CFG013", "/metrics/precision"),
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "", None, [], {}, "1e999"])
def test_a_metric_that_is_no_number_is_kept_out(value: Any) -> None:
    assert good_config(changed(metrics={"f1": value})).metrics == {}


def test_metrics_keep_their_17_decimal_places() -> None:
    assert good_config(changed(metrics={"f1": 0.12345678901234568})).metrics["f1"] == 0.12345678901234568


def test_without_a_runtime_the_default_is_used_and_told() -> None:
    config, findings = read_config(changed(runtime=None))
    assert config is not None
    assert config.runtime is None
    assert [item.code for item in findings] == ["CFG014"]
    assert "sklearn1.9-python3.11" in findings[0].message


# ── API ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_engine_serves_one_api_at_the_root() -> None:
    assert broken(changed(apis=IRIS_CONFIG["apis"] * 2)) == [("API001", "/apis")]
    assert broken(with_api(url="/predict")) == [("API001", "/apis/0/url")]


@pytest.mark.parametrize(
    "changes", [{"protocol": "ftp"}, {"protocol": 1}, {"url": "predict"}, {"url": 1}, {"method": "FETCH"}]
)
def test_an_interface_that_cannot_be_used_is_refused(changes: dict[str, Any]) -> None:
    (name,) = changes
    assert broken(with_api(**changes)) == [("API001", f"/apis/0/{name}")]


@pytest.mark.parametrize(
    "changes,fix",
    [({"method": "FETCH"}, "Write a value that is allowed there."), ({"url": "/predict"}, "Write the URL `/`.")],
)
def test_the_remedy_of_an_interface_is_that_of_its_field(changes: dict[str, Any], fix: str) -> None:
    (found,) = (item for item in read_config(with_api(**changes))[1] if item.is_error)
    assert found.fix == fix


@pytest.mark.parametrize("method", ["post", "Post", "GET", " put "])
def test_methods_are_read_in_any_letter_case(method: str) -> None:
    assert good_config(with_api(method=method)).apis[0].method == method.strip().upper()


def test_protocol_url_method_and_content_type_have_defaults() -> None:
    api = good_config(changed(apis=[{"request": {"data": {}}, "response": {"data": {}}}])).apis[0]
    assert (api.protocol, api.url, api.method) == ("http", "/", "POST")
    assert (api.request.content_type, api.response.content_type) == ("application/json", "application/json")


@pytest.mark.parametrize("model_type", ["Scikit_Learn", "XGBoost"])
def test_machine_learning_engines_take_json_only(model_type: str) -> None:
    api = {"request": {"Content-type": "multipart/form-data", "data": {}}}
    value = changed(model_type=model_type, runtime=None, apis=[api])
    assert broken(value) == [("API002", "/apis/0/request/Content-type")]


def test_machine_learning_engines_take_no_files() -> None:
    schema = {"type": "object", "properties": {"images": {"type": "file"}}}
    assert broken(with_request(schema)) == [("API002", "/apis/0/request/data")]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", 1])
def test_other_content_types_are_refused(content_type: Any) -> None:
    assert broken(with_api(request={"Content-type": content_type})) == [("API002", "/apis/0/request/Content-type")]


@pytest.mark.parametrize(
    "schema,pointer",
    [
        ({"type": "image"}, "/type"),
        ({"type": 3}, "/type"),
        ({"properties": ["a"]}, "/properties"),
        ({"properties": {"a": "string"}}, "/properties/a"),
        ({"items": 3}, "/items"),
        ({"required": "a"}, "/required"),
        ({"required": [1]}, "/required"),
        ({"enum": []}, "/enum"),
        ({"enum": "a"}, "/enum"),
        ({"anyOf": {}}, "/anyOf"),
        ({"oneOf": []}, "/oneOf"),
        ({"allOf": [3]}, "/allOf/0"),
        ({"minimum": "low"}, "/minimum"),
        ({"maximum": True}, "/maximum"),
        ({"minLength": -1}, "/minLength"),
        ({"maxItems": 1.5}, "/maxItems"),
        ({"multipleOf": 0}, "/multipleOf"),
        ({"not": 3}, "/not"),
        ({"additionalProperties": "no"}, "/additionalProperties"),
        ({"properties": {"a": {"properties": {"b/c": {"type": "x"}}}}}, "/properties/a/properties/b~1c/type"),
    ],
)
def test_a_schema_that_is_none_is_refused_at_its_place(schema: Any, pointer: str) -> None:
    assert broken(with_request(schema)) == [("API003", f"/apis/0/request/data{pointer}")]


@pytest.mark.parametrize("apis", [None, [], ""])
def test_no_interface_is_a_warning(apis: Any) -> None:
    config, findings = read_config({**IRIS_CONFIG, "apis": apis})
    assert config is not None
    assert [item.code for item in findings] == ["API004"]


@pytest.mark.parametrize(
    "keyword",
    [
        {"$ref": "http://169.254.169.254/"},
        {"pattern": "(a+)+$"},
        {"patternProperties": {"(a+)+$": {}}},
        {"uniqueItems": True},
        {"$id": "x"},
    ],
)
def test_references_and_patterns_are_not_applied_and_that_is_told(keyword: dict[str, Any]) -> None:
    value = with_request({"type": "string", **keyword})
    (name,) = keyword
    assert noticed(value) == [("API005", f"/apis/0/request/data/{name}")]
    assert good_config(value).apis[0].request.schema == {"type": "string"}


# ── dependencies ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_dependencies_are_read_with_their_places() -> None:
    packages = [{"package_name": "numpy", "package_version": "1.26.4", "restraint": "EXACT"}]
    assert good_config(changed(dependencies=[{"installer": "pip", "packages": packages}])).dependencies == (
        Dependency(name="numpy", version="1.26.4", restraint=Restraint.EXACT),
    )
    packages.append({"package_name": "-e .", "package_version": "", "restraint": ""})
    config, findings = read_config(
        json.dumps(changed(dependencies=[{"installer": "pip", "packages": packages}]), indent=1)
    )
    assert config is None
    assert [(item.code, item.place.pointer) for item in findings] == [("DEP001", "/dependencies/0/packages/1")]
    assert findings[0].place.line > 1


# ── all at once ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_broken_rule_is_found_at_once_and_errors_come_first() -> None:
    value = changed(
        model_algorithm="1 & 2",
        runtime="python9",
        author="me",
        health={"url": "/"},
        dependencies=[{"packages": [{"package_name": "a b"}]}],
    )
    value["apis"][0]["url"] = "/predict"
    value["apis"][0]["request"]["Content-type"] = "text/csv"
    value["apis"][0]["response"]["data"]["type"] = "thing"
    config, findings = read_config(value)
    assert config is None
    found = [item.code for item in findings if item.is_error]
    assert set(found) == {"CFG009", "CFG008", "CFG010", "DEP001", "API001", "API002", "API003"}
    assert [item.code for item in findings if not item.is_error] == ["CFG011"]
    assert findings[-1].code == "CFG011"


def test_form_errors_do_not_hide_an_unknown_engine() -> None:
    assert {code for code, _ in broken({"model_type": "Sklearn"})} == {"CFG005", "CFG007"}


def test_a_file_name_given_by_the_caller_is_where_findings_point() -> None:
    from airlock.domain.config import parse_config
    from tests.unit.given import CATALOGUE, config_schema

    _, findings = parse_config(b"{", config_schema(), CATALOGUE, "request config_override")
    assert findings[0].place.file == "request config_override"


def test_hostile_keys_and_names_are_shown_escaped() -> None:
    value = changed(**{"x\x1b[31m\u202e": 1})
    value["apis"][0]["request"]["data"] = {"type": "object", "properties": {"\x1b\nfile": {"type": "file"}}}
    value["model_type"] = "PyTorch"
    value["runtime"] = "pytorch2.13-python3.11-cpu"
    _, findings = read_config(value)
    assert {"CFG011", "CFG012"} <= {item.code for item in findings}
    assert all(item.line().isprintable() for item in findings)


@pytest.mark.parametrize(
    "value",
    [
        {"model_type": "XGBoost", "model_algorithm": "a", "apis": [{f"procotol{n}": "http" for n in range(50)}] * 200},
        {**{f"key{number}": 1 for number in range(5_000)}, "model_type": "XGBoost", "model_algorithm": "a"},
        changed(apis=[{"request": {"data": {"properties": {f"p{number}": {"item": {}} for number in range(5_000)}}}}]),
    ],
    ids=["misspelt APIs", "unknown keys", "misspelt schemas"],
)
def test_hostile_configurations_cost_in_proportion_to_their_length(value: Any) -> None:
    started = time.process_time()
    _, findings = read_config(value)
    assert sum(item.count for item in findings) >= 5_000
    assert len(findings) < 3 * MAX_TOLD
    assert time.process_time() - started < 4


#: Well-formed ways to break one rule as often as a megabyte allows; each opens the text of a whole configuration.
REPEATED = {
    "comments": ("CFG002", lambda text: text + "/**/" * 249_000, 249_000),
    "repeated keys": ("CFG002", lambda text: text[:-1] + ',"k":1' * 30_000 + "}", 29_999),
    "two values": ("CFG003", lambda text: text[:-1] + "".join(f',"k":{n}' for n in range(30_000)) + "}", 29_999),
    "unknown keys": ("CFG011", lambda text: text[:-1] + "".join(f',"k{n}":1' for n in range(8_000)) + "}", 8_000),
    "no objects": ("CFG006", lambda text: text[:-1] + ',"dependencies":[' + "1," * 199 + "1]}", 200),
}


@pytest.mark.parametrize("code,broken,count", REPEATED.values(), ids=REPEATED)
def test_a_rule_broken_many_thousand_times_is_told_fifty_times_and_counted(
    code: str, broken: Callable[[str], str], count: int
) -> None:
    data = broken(json.dumps(changed())).encode()
    tracemalloc.start()
    _, findings = read_config(data)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    alike = [item for item in findings if item.code == code]
    assert [item.more for item in alike] == [0] * MAX_TOLD + [count - MAX_TOLD]
    assert alike[-1].message == f"And {count - MAX_TOLD:,} more like it."
    places = [(item.place.line, item.place.column) for item in alike]
    assert places == sorted(set(places))
    assert sum(len(item.line()) for item in findings) < 50_000
    assert peak_bytes < 100_000_000


@pytest.mark.parametrize("name,most", [("apis", 200), ("dependencies", 200)])
def test_a_list_that_nobody_needs_is_told_once_and_its_items_are_not_looked_at(name: str, most: int) -> None:
    for items in ([1] * 300_000, [{}] * (most + 1)):
        started = time.process_time()
        _, findings = read_config(changed(**{name: items}))
        (told,) = (item for item in findings if item.is_error)
        assert (told.code, told.place.pointer) == ("CFG004", f"/{name}")
        assert told.message == f"`{name}` has {len(items):,} items, at most {most} are taken."
        assert time.process_time() - started < 4
    # Under another name, too, and as many as are taken are looked at.
    _, findings = read_config({**changed(**{name: None}), name.capitalize(): [1] * (most + 1)})
    assert "CFG004" in {item.code for item in findings}
    _, findings = read_config(changed(**{name: [1] * most}))
    assert sum(item.count for item in findings if item.code == "CFG006") == most


def test_packages_that_nobody_needs_are_told_once() -> None:
    wrong = {"package_name": 1}
    started = time.process_time()
    _, findings = read_config(changed(dependencies=[{"installer": "pip", "packages": [wrong] * 20_000}] * 2))
    (told,) = (item for item in findings if item.is_error)
    assert (told.code, told.message) == ("DEP001", "20,000 packages or more are listed, at most 200 are taken.")
    assert time.process_time() - started < 4


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "/", "http", "file", "list", "number", "application/json", "pip", "EXACT", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "protocol", "url", "request", "response", "data", "Content-type", "type", "items", "item", "properties",
            "required", "minimum", "enum", "examples", "default", "const", "anyOf", "installer", "packages",
            "package_name", "f1", "timeout_seconds",
        ]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["runtime", "swr_location", "metrics", "apis", "dependencies", "health", "x"]), json_values
    ),
    st.sampled_from(["Scikit_Learn", "PyTorch", "Image", "x"]),
)
@settings(max_examples=150)
def test_any_configuration_is_read_or_refused_and_nothing_else(rest: dict[str, Any], model_type: str) -> None:
    config, findings = read_config({"model_type": model_type, "model_algorithm": "a", **rest})
    assert (config is None) == any(item.is_error for item in findings)
