"""How a batch is read: its form, its manifests, and the packages that they name."""

from __future__ import annotations

from typing import Any

import pytest

from airlock.domain.batch import MAX_PACKAGES, entries_of, folders_below, import_run_id, name_of, read_manifest
from airlock.domain.batch_request import parse_batch
from airlock.errors import BatchRejected, RequestRejected
from airlock.operators.form import IMPORT_FORM


@pytest.mark.parametrize(
    "conf,field",
    [
        ({}, "packages"),
        ({"packages": ["s3://b/a/"], "prefix": "s3://box/*/"}, "prefix"),
        ({"prefix": "s3://box/a/"}, "prefix"),
        ({"prefix": "s3://box/*/a/*/"}, "prefix"),
        ({"prefix": "s3://box/a*/"}, "prefix"),
        ({"manifest": "s3://b/folder/"}, "manifest"),
        ({"manifest": "batch.csv"}, "manifest"),
        ({"manifest": "file:///srv/batch.csv"}, "manifest"),
        ({"packages": "s3://b/a/"}, "packages"),
        ({"packages": ["s3://b/a/"], "dry_run": "yes"}, "dry_run"),
        ({"packages": ["s3://b/a/"], "defaults": {"model_name": "x"}}, "defaults/model_name"),
        ({"packages": ["s3://b/a/"], "defaults": {"colour": "x"}}, "defaults/colour"),
        ({"packages": ["s3://b/a/"], "packges": []}, "packges"),
    ],
)
def test_a_form_that_breaks_a_rule_says_which_field(conf: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse_batch(conf)
    assert field in [item.place.pointer for item in caught.value.findings]


@pytest.mark.parametrize("text", ["s3://models/all/*/", "s3://models/all/*", "/models/all/*/"])
def test_a_prefix_is_the_folder_before_the_asterisk(text: str) -> None:
    request = parse_batch({"prefix": text})
    assert str(request.prefix) == "s3://models/all/"


def test_a_csv_manifest_has_the_forms_fields_as_columns() -> None:
    text = (
        "source_location,model_name,labels,min_memory_mb,min_cpu,trust_model_code,dependencies\r\n"
        's3://m/a/,one,"x; y",512,0.5,true,"[{""installer"": ""pip"", ""packages"": []}]"\r\n'
        "\r\n"
        "s3://m/b/,,,,,,\r\n"
    )
    assert read_manifest(b"\xef\xbb\xbf" + text.encode(), "batch.csv") == [
        (
            "line 2",
            {
                "source_location": "s3://m/a/",
                "model_name": "one",
                "labels": ["x", "y"],
                "min_memory_mb": 512,
                "min_cpu": 0.5,
                "trust_model_code": True,
                "dependencies": [{"installer": "pip", "packages": []}],
            },
        ),
        (
            "line 4",
            {
                "source_location": "s3://m/b/",
                "model_name": "",
                "labels": "",
                "min_memory_mb": "",
                "min_cpu": "",
                "trust_model_code": "",
                "dependencies": "",
            },
        ),
    ]


def test_a_json_manifest_is_a_list_of_locations_and_forms() -> None:
    text = '[\n  "s3://m/a/",\n  {"source_location": "s3://m/b/", "model_name": "two"}\n]'
    assert read_manifest(text.encode(), "batch.json") == [
        ("line 2", {"source_location": "s3://m/a/"}),
        ("line 3", {"source_location": "s3://m/b/", "model_name": "two"}),
    ]


@pytest.mark.parametrize(
    "name,data,said",
    [
        ("a.txt", b"", "Its name ends neither with .csv nor with .json."),
        ("a.csv", b"", "line 1: the column source_location is missing."),
        ("a.csv", b"source_location,colour\ns3://m/a/,red\n", "line 1: colour is no field of the import form."),
        ("a.csv", b"source_location,source_location\n", "line 1: the column source_location stands twice."),
        ("a.csv", b"source_location,model_name\ns3://m/a/\n", "line 2: it has 1 cells, the first line has 2."),
        ("a.csv", b"source_location,model_docs\ns3://m/a/,[\n", "line 2, model_docs: "),
        ("a.csv", b"source_location\n\xff\xfe\n", "is not UTF-8"),
        ("a.csv", b'source_location\n"s3://m/a/\n', "line 2: "),
        ("a.json", b"{}", "It holds no list of packages."),
        ("a.json", b"[1]", "line 1: a package is a source location, or an object"),
        ("a.json", b'[{"model_name": "a", "model_name": "b"}]', "the key at /0/model_name stands twice."),
        ("a.json", b"[\n[,]", "line 2: "),
        ("a.json", b" " * 1_000_001, "at most 1,000,000 are read"),
    ],
)
def test_a_manifest_that_cannot_be_read_says_where(name: str, data: bytes, said: str) -> None:
    with pytest.raises(BatchRejected) as caught:
        read_manifest(data, name)
    assert caught.value.code == "BAT001"
    assert said in str(caught.value)


def test_every_line_with_a_fault_is_named_up_to_a_number() -> None:
    text = "source_location\n" + "a,b\n" * 30
    with pytest.raises(BatchRejected) as caught:
        read_manifest(text.encode(), "batch.csv")
    assert "line 21: " in caught.value.message
    assert "and 10 more." in caught.value.message
    assert "line 22: " not in caught.value.message


def test_every_field_of_the_form_can_stand_in_a_csv_manifest() -> None:
    cells = {"array": "a; b", "integer": "7", "number": "7.5", "boolean": "true", "object": '{"a": 1}'}
    for name, param in IMPORT_FORM.items():
        kinds = param.schema["type"]
        kind = next(each for each in ([kinds] if isinstance(kinds, str) else kinds) if each != "null")
        of_objects = kind == "array" and param.schema["items"].get("type") == "object"
        cell = '[{"a": 1}]' if of_objects else cells.get(kind, "text")
        quoted = cell.replace('"', '""')
        text = f'source_location,{name}\ns3://m/a/,"{quoted}"\n'
        if name == "source_location":
            continue
        (row,) = read_manifest(text.encode(), "batch.csv")
        wanted = {"array": [{"a": 1}] if of_objects else ["a", "b"], "integer": 7, "number": 7.5, "boolean": True}
        assert row[1][name] == wanted.get(kind, {"a": 1} if kind == "object" else "text"), name


def test_a_cell_that_is_no_number_is_left_to_the_forms_own_check() -> None:
    (row,) = read_manifest(b"source_location,min_cpu\ns3://m/a/,many\n", "batch.csv")
    assert row[1]["min_cpu"] == "many"


@pytest.mark.parametrize(
    "source,name",
    [
        ("s3://m/all/iris/", "iris"),
        ("s3://m/iris/model/", "iris"),
        ("s3://m/v1.5/", "v1.5"),
        ("s3://m/iris.tar.gz", "iris"),
        ("", ""),
    ],
)
def test_a_package_without_a_name_gets_its_folders(source: str, name: str) -> None:
    assert name_of(source) == name


def test_an_empty_field_of_a_package_gets_the_batchs_default() -> None:
    forms = [
        ("1", {"source_location": "s3://m/a/", "labels": ""}),
        ("2", {"source_location": "s3://m/b/", "labels": ["x"]}),
    ]
    entries = entries_of(forms, {"labels": ["all"]})
    assert [entry.form["labels"] for entry in entries] == [["all"], ["x"]]


def test_a_batch_has_a_package_and_not_too_many() -> None:
    with pytest.raises(BatchRejected, match="BAT003"):
        entries_of([], {})
    forms = [(str(number), {"source_location": f"s3://m/{number}/"}) for number in range(MAX_PACKAGES + 1)]
    assert len(entries_of(forms[:-1], {})) == MAX_PACKAGES
    with pytest.raises(BatchRejected, match="BAT002"):
        entries_of(forms, {})


def test_only_folders_directly_below_the_prefix_are_packages() -> None:
    keys = ["all/b/model/x", "all/a/model/config.json", "all/readme.txt", "all/a/other", "all//x"]
    assert folders_below("all/", keys) == ("a", "b")


def test_a_run_is_named_by_the_batch_and_the_packages_form() -> None:
    form = {"model_name": "a", "source_location": "s3://m/a/"}
    assert import_run_id("run", form) == import_run_id("run", dict(reversed(form.items())))
    assert len({import_run_id(run, {**form, "model_name": name}) for run in "xy" for name in "ab"}) == 4
    assert len(import_run_id("r" * 250, form)) < 250
