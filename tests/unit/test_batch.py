"""Many packages at once, on fakes: how a batch is read, what is to become of each package, and what became of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import open_engine
from airlock.codec import decode, encode
from airlock.domain.batch import (
    MAX_PACKAGES,
    BatchPlan,
    BatchRow,
    Outcome,
    Plan,
    entries_of,
    folders_below,
    import_run_id,
    name_of,
    read_manifest,
)
from airlock.domain.batch_request import parse_batch
from airlock.domain.registered import Page, VersionFilter
from airlock.domain.version import RunRef
from airlock.errors import BatchRejected, RequestRejected, SourceRefused, StorageUnavailable
from airlock.operators.batch import table
from airlock.operators.form import IMPORT_FORM
from airlock.steps.plan_batch import one_too_many, plan_batch
from airlock.steps.report_batch import report_batch
from tests.unit.given import config_schema, iris_files
from tests.unit.line import Line

BATCH_RUN = "manual__batch"
BAD = {"model/config.json": b"{}", "model/iris.m": b"x"}


class BatchLine(Line):
    """An installation with a real registry, whose versions can be looked at."""

    registry: SqlRegistry  # type: ignore[assignment]

    def __init__(self, database: Path) -> None:
        super().__init__()
        engine = open_engine(f"sqlite:///{database}")
        self.registry = SqlRegistry(engine, self.clock)
        self.reader = SqlRegistryReader(engine, self.clock)


@pytest.fixture
def line(empty_registry: Path, tmp_path: Path) -> Iterator[BatchLine]:
    made = BatchLine(Path(shutil.copy(empty_registry, tmp_path)))
    yield made
    made.registry.engine.dispose()


def bucket(line: BatchLine, **packages: Mapping[str, bytes]) -> None:
    """Put packages below `s3://models/all/`."""
    content = line.storage.buckets["models"]
    for name, files in packages.items():
        content.update({f"all/{name}/{path}": data for path, data in files.items()})


def planned(line: BatchLine, *, batch_run_id: str = BATCH_RUN, **conf: Any) -> BatchPlan:
    plan = plan_batch(
        parse_batch(conf),
        batch_run_id=batch_run_id,
        storage_of=lambda scheme, connection: line.storage,
        store=line.store,
        reader=line.reader,
        catalogue=line.catalogue,
        schema=config_schema(),
        limits=line.limits,
        log=line.build_log.append,
    )
    assert decode(BatchPlan, encode(plan)) == plan
    return plan


def plans(plan: BatchPlan) -> dict[str, str]:
    return {item.model_name: item.plan.value for item in plan.items}


def imported(line: BatchLine, plan: BatchPlan, name: str) -> None:
    """Do what the run of a package does."""
    item = next(item for item in plan.items if item.model_name == name)
    line.import_model(RunRef(dag_id="import_model", run_id=item.run_id), **item.form)


# ── the form ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── manifests ────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── the plan ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_prefix_is_planned_folder_by_folder_and_nothing_is_changed(line: BatchLine) -> None:
    bucket(line, good=iris_files(), bad=BAD, empty={"readme.txt": b"x"})
    plan = planned(line, prefix="s3://models/all/*/")
    assert plans(plan) == {"bad": "invalid", "empty": "invalid", "good": "new"}
    reasons = {item.model_name: item.reason for item in plan.items}
    assert "CFG" in reasons["bad"]
    assert "PKG001" in reasons["empty"]
    assert reasons["good"] == ""
    assert {item.model_name: bool(item.run_id) for item in plan.items} == {"bad": False, "empty": False, "good": True}
    assert line.reader.versions(VersionFilter(), Page()).total == 0
    assert line.store.packages == {}
    assert len(line.build_log) == 3


def test_a_second_batch_imports_only_what_is_missing_or_has_changed(line: BatchLine) -> None:
    bucket(line, kept=iris_files(), changed=iris_files(), missing=iris_files())
    first = planned(line, prefix="s3://models/all/*/")
    assert set(plans(first).values()) == {"new"}
    imported(line, first, "kept")
    imported(line, first, "changed")
    bucket(line, changed=iris_files(**{"model/labels.txt": b"new"}))
    second = planned(line, prefix="s3://models/all/*/")
    assert plans(second) == {"changed": "new version", "kept": "identical", "missing": "new"}
    assert (
        next(item.reason for item in second.items if item.plan is Plan.IDENTICAL)
        == "Version 0.0.1 holds the same bytes."
    )


def test_a_failed_version_is_no_reason_to_skip_a_package(line: BatchLine) -> None:
    bucket(line, iris=iris_files())
    first = planned(line, prefix="s3://models/all/*/")
    (item,) = first.items
    accepted = line.accept(RunRef(dag_id="import_model", run_id=item.run_id), **item.form)
    line.fetch(accepted)
    line.registry.fail(accepted.reservation, "build", "BLD001", "No.")
    assert plans(planned(line, prefix="s3://models/all/*/")) == {"iris": "new version"}


def manifest(line: BatchLine, *rows: str) -> None:
    text = "\n".join(["source_location,model_name,model_version", *rows])
    line.storage.buckets["models"]["batch.csv"] = text.encode()


def test_a_failed_row_with_a_version_is_done_again_by_the_run_that_holds_it(line: BatchLine) -> None:
    bucket(line, a=iris_files())
    manifest(line, "s3://models/all/a/,a,1.0.0")
    (first,) = planned(line, manifest="s3://models/batch.csv").items
    accepted = line.accept(RunRef(dag_id="import_model", run_id=first.run_id), **first.form)
    line.registry.fail(accepted.reservation, "build", "BLD010", "The engine is away.")
    (again,) = planned(line, manifest="s3://models/batch.csv", batch_run_id="another").items
    assert (again.plan, again.run_id) == (Plan.NEW_VERSION, first.run_id)

    manifest(line, "s3://models/all/b/,a,1.0.0")
    bucket(line, b=iris_files())
    (other,) = planned(line, manifest="s3://models/batch.csv").items
    assert other.plan is Plan.INVALID
    assert other.reason == (
        "a 1.0.0 exists already, Failed. Give another number, or clear the run that holds it: "
        f"import_model/{first.run_id}."
    )


def test_a_package_that_another_run_imports_is_left_to_it(line: BatchLine) -> None:
    bucket(line, a=iris_files())
    (first,) = planned(line, prefix="s3://models/all/*/").items
    line.accept(RunRef(dag_id="import_model", run_id=first.run_id), **first.form)
    plan = planned(line, prefix="s3://models/all/*/", batch_run_id="another")
    (other,) = plan.items
    assert other.plan is Plan.UNDER_WAY
    assert other.reason == f"Version 0.0.1 is being imported from there by import_model/{first.run_id}."
    (row,) = report_batch(plan, registry=line.registry, reader=line.reader)
    assert (row.outcome, row.reason) == (Outcome.SKIPPED, other.reason)
    (own,) = planned(line, prefix="s3://models/all/*/").items
    assert own == replace(first, plan=Plan.NEW_VERSION), "the batch that started it goes on with it"


def test_rows_that_give_one_version_twice_are_named(line: BatchLine) -> None:
    bucket(line, a=iris_files(), b=iris_files())
    manifest(line, "s3://models/all/a/,a,1.0.0", "s3://models/all/b/,a,1.0.0", "s3://models/all/b/,a,2.0.0")
    first, second, third = planned(line, manifest="s3://models/batch.csv").items
    assert first.reason == second.reason == "The batch gives a 1.0.0 2 times: line 2, line 3."
    assert third.plan is Plan.NEW


def test_a_name_that_is_no_text_is_that_rows_fault_alone(line: BatchLine) -> None:
    bucket(line, a=iris_files())
    line.storage.buckets["models"]["batch.json"] = (
        b'["s3://models/all/a/", {"source_location": "s3://models/all/b/", "model_name": ["x"]}]'
    )
    good, bad = planned(line, manifest="s3://models/batch.json").items
    assert good.plan is Plan.NEW
    assert bad.plan is Plan.INVALID
    assert "model_name" in bad.reason


def test_what_arrives_beyond_the_limit_is_named() -> None:
    item = one_too_many("s3://box/in/iris/")
    assert (item.model_name, item.plan) == ("iris", Plan.INVALID)
    assert item.reason == "More than 1,000 packages arrived at once: write its marker again."


def test_a_version_that_is_asked_for_is_identical_taken_or_free(line: BatchLine) -> None:
    bucket(line, iris=iris_files())
    form = {"source_location": "s3://models/all/iris/", "model_name": "iris"}
    imported(line, planned(line, packages=["s3://models/all/iris/"]), "iris")

    def ask(version: str) -> str:
        line.storage.buckets["models"]["m.json"] = json.dumps([{**form, "model_version": version}]).encode()
        return plans(planned(line, manifest="s3://models/m.json"))["iris"]

    assert ask("0.0.1") == "identical"
    assert ask("2.0.0") == "new version"
    bucket(line, iris=iris_files(**{"model/labels.txt": b"new"}))
    assert ask("0.0.1") == "invalid"


def test_a_rebuild_is_no_import(line: BatchLine) -> None:
    bucket(line, iris=iris_files())
    form = {"source_location": "s3://models/all/iris/", "model_version": "0.0.1", "rebuild": True}
    line.storage.buckets["models"]["m.json"] = json.dumps([form]).encode()
    assert plans(planned(line, manifest="s3://models/m.json")) == {"iris": "invalid"}


def test_a_changed_configuration_makes_a_version_of_the_same_bytes(line: BatchLine) -> None:
    bucket(line, iris=iris_files())
    imported(line, planned(line, packages=["s3://models/all/iris/"]), "iris")
    plan = planned(line, packages=["s3://models/all/iris/"], defaults={"dependencies": []})
    assert plans(plan) == {"iris": "new version"}


def test_a_package_that_stands_twice_is_named(line: BatchLine) -> None:
    bucket(line, iris=iris_files(), other=iris_files())
    plan = planned(line, packages=["s3://models/all/iris/", "s3://models/all/iris/", "s3://models/all/other/"])
    assert [item.plan for item in plan.items] == [Plan.INVALID, Plan.INVALID, Plan.NEW]
    assert "2 times" in plan.items[0].reason


def test_two_packages_of_one_model_need_versions(line: BatchLine) -> None:
    bucket(line, iris=iris_files(), other=iris_files())
    rows = [
        {"source_location": f"s3://models/all/{name}/", "model_name": "iris", "model_version": version}
        for name, version in (("iris", None), ("other", "1.0.0"))
    ]
    line.storage.buckets["models"]["m.json"] = json.dumps(rows).encode()
    plan = planned(line, manifest="s3://models/m.json")
    assert [item.plan for item in plan.items] == [Plan.INVALID, Plan.NEW]
    assert "give each its `model_version`" in plan.items[0].reason


def test_one_packages_broken_form_or_bucket_refuses_that_package_alone(line: BatchLine) -> None:
    bucket(line, good=iris_files())
    line.storage.buckets["secret"] = {}
    line.storage.forbidden.add("secret")
    plan = planned(line, packages=["s3://models/all/good/", "s3://secret/x/", "nowhere", "s3://models/all/no name/"])
    assert [item.plan for item in plan.items] == [Plan.NEW, Plan.INVALID, Plan.INVALID, Plan.INVALID]
    reasons = [item.reason for item in plan.items]
    assert "SRC002" in reasons[1]
    assert "REQ008" in reasons[2]
    assert "REQ004" in reasons[3]


def test_a_storage_that_is_away_is_tried_again_and_not_told_of_the_packages(line: BatchLine) -> None:
    bucket(line, good=iris_files())
    line.storage.away = True
    with pytest.raises(StorageUnavailable):
        planned(line, packages=["s3://models/all/good/"])


def test_a_manifest_that_is_not_there_is_named(line: BatchLine) -> None:
    with pytest.raises(BatchRejected, match="BAT004"):
        planned(line, manifest="s3://models/none.csv")
    line.storage.forbidden.add("models")
    with pytest.raises(SourceRefused):
        planned(line, manifest="s3://models/none.csv")


# ── the report ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_package_has_a_row_with_what_became_of_it(line: BatchLine) -> None:
    bucket(line, bad=BAD, broke=iris_files(), done=iris_files(), goes_on=iris_files(), lost=iris_files())
    plan = planned(line, prefix="s3://models/all/*/")
    imported(line, plan, "done")
    for name in ("broke", "goes_on"):
        item = next(item for item in plan.items if item.model_name == name)
        accepted = line.accept(RunRef(dag_id="import_model", run_id=item.run_id), **item.form)
        if name == "broke":
            line.registry.fail(accepted.reservation, "build", "BLD001", "No such wheel.")
    rows = {row.model_name: row for row in report_batch(plan, registry=line.registry, reader=line.reader)}
    assert {name: row.outcome.value for name, row in rows.items()} == {
        "bad": "invalid",
        "broke": "failed",
        "done": "imported",
        "goes_on": "unfinished",
        "lost": "failed",
    }
    assert rows["done"].model_version == "0.0.1"
    assert rows["broke"].reason == "[BLD001] No such wheel."
    assert "before it held a version" in rows["lost"].reason
    again = {
        row.model_name: row.outcome
        for row in report_batch(planned(line, prefix="s3://models/all/*/"), registry=line.registry, reader=line.reader)
    }
    assert again["done"] is Outcome.SKIPPED


def test_a_dry_run_reports_what_is_planned(line: BatchLine) -> None:
    bucket(line, bad=BAD, good=iris_files())
    rows = report_batch(
        planned(line, prefix="s3://models/all/*/", dry_run=True), registry=line.registry, reader=line.reader
    )
    assert [(row.model_name, row.outcome.value, row.run_id) for row in rows] == [
        ("bad", "invalid", ""),
        ("good", "planned", ""),
    ]


def test_the_table_is_aligned_and_holds_one_line_a_package(line: BatchLine) -> None:
    row = BatchRow(
        model_name="iris", model_version="", source="s3://m/", plan=Plan.INVALID, outcome=Outcome.INVALID,
        reason="one\ntwo", run_id="",
    )  # fmt: skip
    headline, line = table([row])
    assert line == "iris   –        invalid  invalid  one two"
    assert headline.index("outcome") == line.index("invalid", line.index("invalid") + 1)
