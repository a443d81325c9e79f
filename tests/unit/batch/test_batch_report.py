"""What became of each package of a batch."""

from __future__ import annotations

from airlock.domain.batch import BatchRow, Outcome, Plan
from airlock.domain.version import RunRef
from airlock.operators.batch import table
from airlock.steps.report_batch import report_batch
from tests.unit.batch.batch_line import BAD, BatchLine, bucket, imported, planned
from tests.unit.given import iris_files


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
