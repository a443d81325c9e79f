"""The summary of a sweep: the registry as a table, judged and kept."""

from __future__ import annotations

from airlock.domain.revalidation import Outcome
from airlock.domain.version import RunRef
from tests.unit.sweeps.sweep_line import SweepLine


def test_the_summary_is_kept_with_the_registry_as_a_table_judged(line: SweepLine) -> None:
    line.import_as("iris", "rose")
    line.after(9)
    line.store.packages[line.digest("rose")]["model/iris.m"] += b"?"
    report = line.sweep()
    assert [row.model_name for row in report.rows] == ["rose", "iris"], "what changed stands first"
    table = {row["model_name"]: row for row in line.expectations.tables["sweep"]}
    assert {name: (row["status"], row["days_since_check"], row["days_since_test"]) for name, row in table.items()} == {
        "iris": ("Normal", 0.0, 0.0), "rose": ("Abnormal", 0.0, 0.0),
    }  # fmt: skip
    assert report.registry is not None
    kept = line.reports.find(RunRef(dag_id="revalidate_models", run_id="sweep-1")).sweep
    assert kept == report


def test_a_folder_of_reports_that_cannot_be_written_loses_the_summary_and_nothing_else(line: SweepLine) -> None:
    line.import_as("iris")
    line.reports.away = True
    assert line.sweep().counts == {Outcome.FIT: 1}
    assert line.told[-1].startswith("The sweep's summary is not kept: [RPT001]")
