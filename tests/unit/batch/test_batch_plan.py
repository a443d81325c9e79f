"""What is to become of each package of a batch."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airlock.domain.batch import Outcome, Plan
from airlock.domain.registered import Page, VersionFilter
from airlock.domain.version import RunRef
from airlock.errors import BatchRejected, SourceRefused, StorageUnavailable
from airlock.steps.plan_batch import one_too_many
from airlock.steps.report_batch import report_batch
from tests.unit.batch.batch_line import BAD, BatchLine, bucket, imported, planned, plans
from tests.unit.given import iris_files


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
