"""The import form."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlock.domain.dependencies import Dependency, Restraint
from airlock.domain.device import Device
from airlock.domain.findings import MAX_TOLD
from airlock.domain.request import Document, ImportRequest, MinimumSpecs
from airlock.domain.request_form import FIELDS, SPEC_LIMITS, given_fields, parse_request
from airlock.domain.source import SourceLocation
from airlock.errors import RequestRejected
from tests.unit.given import CONF


def rejected(**changes: Any) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        parse_request({**CONF, **changes})
    return caught.value


def broken(**changes: Any) -> list[tuple[str, str]]:
    return [(item.code, item.place.pointer) for item in rejected(**changes).findings]


def test_name_and_source_are_enough() -> None:
    assert parse_request(CONF) == ImportRequest(
        model_name="iris",
        model_version=None,
        labels=(),
        description="",
        source=SourceLocation(bucket="models", prefix="iris/"),
        source_connection="airlock_s3",
        config_override=None,
        install_type=("real-time",),
        minimum_specs=MinimumSpecs(),
        documents=(),
        dependencies=None,
        required_devices=(),
        startup_timeout_s=None,
        device_tolerance=0.001,
        trust_model_code=False,
        bake_model=False,
    )


def test_a_form_that_is_filled_in_whole_is_taken() -> None:
    request = parse_request({
        "model_name": " 鸢尾_iris-1 ",
        "model_version": "1.2.3",
        "labels": ["a", "b", "a"],
        "description": "Three flowers.",
        "source_location": "obs://models/iris",
        "source_connection": "my_s3",
        "config_override": {"model_type": "XGBoost"},
        "install_type": ["batch", "edge"],
        "min_cpu": 0.5,
        "min_memory_mb": 512,
        "min_gpu": 1,
        "min_ascend": 0,
        "model_docs": [{"doc_name": "Guide", "doc_url": "https://example.com/guide?x=1"}],
        "dependencies": [{"packages": [{"package_name": "numpy", "package_version": "1", "restraint": "ATLEAST"}]}],
        "required_devices": ["cpu", "gpu"],
        "startup_timeout_s": 90,
        "device_tolerance": 0.01,
        "trust_model_code": True,
        "bake_model": True,
        "approval": True,
    })
    assert request.approval
    assert request.model_name == "鸢尾_iris-1"
    assert request.model_version == "1.2.3"
    assert request.labels == ("a", "b")
    assert json.loads(request.config_override or "") == {"model_type": "XGBoost"}
    assert request.install_type == ("batch", "edge")
    assert request.minimum_specs == MinimumSpecs(cpu=0.5, memory_mb=512, gpu=1, ascend=0)
    assert request.documents == (Document(name="Guide", url="https://example.com/guide?x=1"),)
    assert request.dependencies == (Dependency(name="numpy", version="1", restraint=Restraint.ATLEAST),)
    assert request.required_devices == (Device.CPU, Device.GPU)
    assert request.startup_timeout_s == 90.0
    assert request.device_tolerance == 0.01
    assert request.trust_model_code is True
    assert request.bake_model is True


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_field_is_a_field_not_given(empty: Any) -> None:
    form: dict[str, Any] = dict.fromkeys(FIELDS, empty)
    assert parse_request({**form, **CONF}) == parse_request(CONF)


# ── REQ001, REQ002, REQ003 ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_field_is_refused_with_the_field_that_is_meant() -> None:
    error = rejected(modle_name="x")
    assert [(item.code, item.place.pointer) for item in error.findings] == [("REQ001", "modle_name")]
    assert "Did you mean 'model_name'?" in str(error)


def test_an_unknown_field_that_resembles_none_is_refused_with_all_fields() -> None:
    assert "Known fields: model_name, model_version," in str(rejected(zzzz=1))


@pytest.mark.parametrize(
    "name,code",
    [
        ("labels", "REQ006"), ("install_type", "REQ009"), ("model_docs", "REQ011"), ("required_devices", "REQ012"),
        ("dependencies", "DEP001"),
    ],
)  # fmt: skip
def test_a_list_that_nobody_needs_is_told_once_and_its_items_are_not_looked_at(name: str, code: str) -> None:
    for items in ([1] * 500_000, ["x"] * 201):
        started = time.process_time()
        (told,) = rejected(**{name: items}).findings
        assert (told.code, told.place.pointer) == (code, name)
        assert f"{len(items):,} " in told.message
        assert "at most 200" in told.message
        assert time.process_time() - started < 1
    assert name not in {place for found, place in broken(**{name: [1] * 200}) if found not in ("REQ006", "REQ011")}


def test_unknown_fields_by_the_thousand_are_counted() -> None:
    started = time.process_time()
    found = rejected(**{f"modle_name{number}": 1 for number in range(60_000)}).findings
    assert [item.code for item in found] == ["REQ001"] * (MAX_TOLD + 1)
    assert sum(item.count for item in found) == 60_000
    assert time.process_time() - started < 2


@pytest.mark.parametrize("field", ["model_name", "source_location"])
@pytest.mark.parametrize("value", [None, ""])
def test_mandatory_fields_are_missed_by_name(field: str, value: Any) -> None:
    assert broken(**{field: value}) == [("REQ002", field)]


def test_an_empty_form_misses_both_mandatory_fields() -> None:
    with pytest.raises(RequestRejected) as caught:
        parse_request({})
    assert [(item.code, item.place.pointer) for item in caught.value.findings] == [
        ("REQ002", "model_name"),
        ("REQ002", "source_location"),
    ]


@pytest.mark.parametrize(
    "field,value",
    [
        ("model_name", 1),
        ("model_version", 1.0),
        ("labels", "a,b"),
        ("labels", {"a": 1}),
        ("description", ["x"]),
        ("source_location", {"bucket": "x"}),
        ("source_connection", 3),
        ("source_connection", "postgres://user:secret@host"),
        ("config_override", "{}"),
        ("config_override", [1]),
        ("install_type", "batch"),
        ("min_cpu", "2"),
        ("min_cpu", True),
        ("min_cpu", float("nan")),
        ("min_cpu", float("inf")),
        ("min_memory_mb", [512]),
        ("model_docs", {"doc_name": "a"}),
        ("dependencies", "numpy"),
        ("dependencies", {"installer": "pip"}),
        ("required_devices", "cpu"),
        ("startup_timeout_s", "60"),
        ("device_tolerance", "0.1"),
        ("trust_model_code", "yes"),
        ("trust_model_code", 1),
        ("bake_model", "no"),
        ("approval", "yes"),
    ],
)
def test_a_value_of_another_type_is_refused(field: str, value: Any) -> None:
    assert broken(**{field: value}) == [("REQ003", field)]


# ── REQ004 to REQ012 ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["a", "1", "-", "_", "a" * 64, "模型", "A-b_9", "㐀"])
def test_names_of_letters_digits_chinese_hyphens_and_underscores_are_taken(name: str) -> None:
    assert parse_request({**CONF, "model_name": name}).model_name == name


@pytest.mark.parametrize(
    "name",
    [
        "   ",
        "a" * 65,
        "a b",
        "a.b",
        "a/b",
        "../a",
        "a\nb",
        "é",
        "a\u202eb",
        "{{ x }}",
        "$(id)",
        "<b>",
        "name;",
        "\ud800",
        "ａ",
        "١",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    assert broken(model_name=name) == [("REQ004", "model_name")]


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.100", "01.0.0", "1.0.0-rc1", "latest", "  "])
def test_other_versions_are_refused(version: str) -> None:
    assert broken(model_version=version) == [("REQ005", "model_version")]


def test_five_labels_are_taken_and_six_are_not() -> None:
    assert len(parse_request({**CONF, "labels": list("abcde")}).labels) == 5
    assert broken(labels=list("abcdef")) == [("REQ006", "labels")]


@pytest.mark.parametrize("label", ["", "  ", "a" * 33, "a\nb", "a\u202eb", 1, None, {}, "\ud800"])
def test_an_unusable_label_is_named_by_its_number(label: Any) -> None:
    assert broken(labels=["ok", label]) == [("REQ006", "labels/1")]


@pytest.mark.parametrize(
    "label,says",
    [
        ("a" * 65, "The label has 65 characters, from 1 to 32 are allowed."),
        ("a\u202eb", "The label holds a character that cannot be seen."),
        (1, "Text is expected."),
    ],
)
def test_what_is_wrong_with_a_label_is_said_and_what_one_is_made_of(label: Any, says: str) -> None:
    (found,) = rejected(labels=[label]).findings
    assert found.message == says
    assert found.fix == "Give at most five labels, each of 1 to 32 visible characters."


def test_a_name_that_breaks_its_form_is_told_the_form() -> None:
    (found,) = rejected(model_name="a b").findings
    assert "1 to 64 letters, digits, Chinese characters, hyphens and underscores" in found.fix


@pytest.mark.parametrize("form", [{"labels": None, "min_cpu": "", "model_name": " iris "}, {"model_name": "iris"}])
def test_what_is_not_given_is_left_out_of_the_form(form: dict[str, Any]) -> None:
    assert given_fields(form) == {"model_name": "iris"}
    assert parse_request({**CONF, **form}) == parse_request({**CONF, **given_fields(form)})


def test_a_label_may_hold_template_text_for_it_is_only_text() -> None:
    assert parse_request({**CONF, "labels": ["{{ conn.x }}", "RUN rm -rf /"]}).labels == (
        "{{ conn.x }}",
        "RUN rm -rf /",
    )


@pytest.mark.parametrize(
    "text", ["a" * 101, *(f"a{character}b" for character in "!<>=&'\""), "a\x00b", "a\u202eb", "\ud800"]
)
def test_a_description_with_banned_characters_or_too_many_is_refused(text: str) -> None:
    assert broken(description=text) == [("REQ007", "description")]


def test_a_description_of_100_characters_and_two_lines_is_taken() -> None:
    text = "a" * 50 + "\n" + "b" * 49
    assert parse_request({**CONF, "description": text}).description == text


@pytest.mark.parametrize(
    "text", ["models/iris", "https://models/iris", "s3://models/../x", "s3://", "file://host/etc", "s3://m\u202ed/x"]
)
def test_a_location_that_is_none_is_refused(text: str) -> None:
    assert broken(source_location=text) == [("REQ008", "source_location")]


def test_unknown_deployment_types_are_named_by_number() -> None:
    assert broken(install_type=["batch", "realtime", {}, None]) == [
        ("REQ009", "install_type/1"),
        ("REQ009", "install_type/2"),
        ("REQ009", "install_type/3"),
    ]


@pytest.mark.parametrize("field,limits", SPEC_LIMITS.items())
def test_specifications_are_taken_at_their_limits_and_refused_beyond(field: str, limits: tuple[float, float]) -> None:
    for value in limits:
        parse_request({**CONF, field: value})
    for value in (limits[0] - 0.05, limits[1] + 1, -1, 10**400):
        assert broken(**{field: value}) == [("REQ010", field)]


@pytest.mark.parametrize("field", ["min_memory_mb", "min_gpu", "min_ascend"])
def test_whole_numbers_are_whole(field: str) -> None:
    assert broken(**{field: 64.5 if field == "min_memory_mb" else 1.5}) == [("REQ010", field)]


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_the_tolerance_between_devices_has_limits(share: float) -> None:
    assert broken(device_tolerance=share) == [("REQ010", "device_tolerance")]


@pytest.mark.parametrize("seconds", [0, 0.5, 3601, -1])
def test_the_startup_timeout_has_limits(seconds: float) -> None:
    assert broken(startup_timeout_s=seconds) == [("REQ010", "startup_timeout_s")]


DOC = {"doc_name": "Guide", "doc_url": "https://example.com/"}


def test_three_documents_are_taken_and_four_are_not() -> None:
    assert len(parse_request({**CONF, "model_docs": [DOC] * 3}).documents) == 3
    assert broken(model_docs=[DOC] * 4) == [("REQ011", "model_docs")]


@pytest.mark.parametrize("item", ["Guide", None, {}, {"doc_name": "Guide"}, {**DOC, "extra": 1}])
def test_what_is_no_document_is_refused(item: Any) -> None:
    assert broken(model_docs=[item]) == [("REQ011", "model_docs/0")]


@pytest.mark.parametrize("name", ["", "1st", " Guide", "G" * 49, "G<b>", "G\nx", "G\u202ex", "G\ud800", 3])
def test_a_document_name_starts_with_a_letter_and_is_plain(name: Any) -> None:
    assert broken(model_docs=[{**DOC, "doc_name": name}]) == [("REQ011", "model_docs/0/doc_name")]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//example.com",
        "http://",
        "http:///x",
        "http://user:secret@example.com/",
        "http://user@example.com/",
        "http://exa mple.com/",
        "http://example.com/\n",
        "http://example.com/\u202e",
        "http://[::1",
        "https://example.com/" + "a" * 1024,
        "data:text/html,<b>",
        "http://localhost/",
        "http://LOCALHOST.:8080/",
        "http://a.localhost/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1%25eth0]/",
        "http://10.1.2.3/",
        "http://metadata.google.internal/",
        "http://①②⑦.0.0.1/",
        7,
    ],
)
def test_a_document_address_is_http_or_https_and_without_password(url: Any) -> None:
    assert broken(model_docs=[{**DOC, "doc_url": url}]) == [("REQ011", "model_docs/0/doc_url")]


def test_unknown_devices_are_named_by_number() -> None:
    assert broken(required_devices=["cpu", "tpu"]) == [("REQ012", "required_devices/1")]


def test_dependencies_of_the_form_are_checked_as_those_of_the_configuration() -> None:
    assert broken(dependencies=[{"packages": [{"package_name": "-e ."}]}]) == [("DEP001", "dependencies/0/packages/0")]


def test_a_misspelt_key_of_a_dependency_is_read_and_an_unknown_one_is_refused() -> None:
    request = parse_request({**CONF, "dependencies": [{"package": [{"name": "numpy"}]}]})
    assert request.dependencies == (Dependency(name="numpy"),)
    packages = [{"package_name": "numpy", "extras": "all"}]
    assert broken(dependencies=[{"packages": packages}]) == [("REQ001", "dependencies/0/packages/0/extras")]


def test_an_empty_list_of_dependencies_replaces_those_of_the_configuration() -> None:
    assert parse_request({**CONF, "dependencies": []}).dependencies == ()


# ── all at once ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_broken_rule_is_found_at_once_with_its_field() -> None:
    with pytest.raises(RequestRejected) as caught:
        parse_request({
            "model_name": "a b",
            "model_version": "one",
            "labels": list("abcdef"),
            "description": "<b>",
            "source_location": "nowhere",
            "install_type": ["cloud"],
            "min_cpu": 0,
            "min_gpu": "two",
            "model_docs": [{}],
            "required_devices": ["tpu"],
            "dependencies": [{"installer": "conda", "packages": []}],
            "unknown": 1,
        })
    error = caught.value
    assert sorted(item.code for item in error.findings) == [
        "DEP003", "REQ001", "REQ003", "REQ004", "REQ005", "REQ006", "REQ007", "REQ008", "REQ009", "REQ010", "REQ011",
        "REQ012",
    ]  # fmt: skip
    text = str(error)
    assert text.startswith(f"[{error.code}] 12 rules are broken in the import request:")
    for field in ("model_name", "model_version", "labels", "min_gpu", "dependencies/0/installer", "unknown"):
        assert field in text


def test_what_was_found_is_shown_without_control_characters() -> None:
    error = rejected(**{"model_name": "a\x1b[31m\n", "evil\n\x1b[31mkey\u202e": 1})
    assert all(line.isprintable() for line in str(error).splitlines())
    assert len(str(error).splitlines()) == 1 + len(error.findings)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), json_values, max_size=8))
@settings(max_examples=200)
def test_any_conf_is_taken_or_rejected_and_nothing_else(conf: dict[str, Any]) -> None:
    try:
        request = parse_request(conf)
    except RequestRejected as error:
        # The text goes to logs and to the database.
        str(error).encode()
        return
    assert 1 <= len(request.model_name) <= 64
    assert len(request.labels) <= 5
