"""What became of a test that was asked for on a version's page, when its run has ended."""

from __future__ import annotations

from dataclasses import dataclass

from airlock.domain.record import VersionRow
from airlock.domain.revalidation import Outcome, SweepReport
from airlock.domain.version import RunRef
from airlock.errors import ReportsUnavailable
from airlock.ports.dag_runs import DagRuns
from airlock.ports.reports import Reports
from airlock.web.access import REVALIDATE_DAG_ID

_GOOD = (Outcome.FIT, Outcome.RETURNED)
_SAID = {
    Outcome.FIT: "The version was tested again, and is fit.",
    Outcome.RETURNED: "The version was tested again, and is fit again.",
    Outcome.UNFIT: "The version was tested again, and found unfit.",
    Outcome.STILL_UNFIT: "The version was tested again, and is still unfit.",
    Outcome.UNDECIDED: "The version could not be tested again, and stays what it was.",
    Outcome.OVERTAKEN: "The version was changed while it was tested again; nothing was decided.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Retested:
    """What became of a new test.

    Attributes:
        run: The run that was to make it.
        said: What became of it, as a sentence.
        reason: Why, where that is known and the version's own page does not say it.
        is_good: Whether the version is fit.
        has_report: Whether the run has left a report.
    """

    run: RunRef
    said: str
    reason: str = ""
    is_good: bool = False
    has_report: bool = False


def retested(row: VersionRow, run: RunRef, runs: DagRuns, reports: Reports) -> Retested | None:
    """What became of the test of a version that a run was started for.

    Args:
        row: The version.
        run: The run, which is not under way; an address may name any.
        runs: What the run was asked for.
        reports: What it has left.

    Returns:
        None where the run was not asked to test this version, or Airflow has forgotten it.
    """
    conf = (runs.conf_of(run) if run.dag_id == REVALIDATE_DAG_ID else None) or {}
    if (conf.get("model_name"), conf.get("model_version")) != (row.model_name, row.model_version):
        return None
    try:
        report = reports.find(run).sweep
    except ReportsUnavailable as unavailable:
        return Retested(run=run, said="What became of the new test is not known.", reason=str(unavailable))
    if report is None:
        return Retested(run=run, said="The run that was to test the version ended without a report.")
    outcome, reason = _outcome(report, row)
    return Retested(
        run=run,
        said=_SAID[outcome],
        reason="" if reason == row.reason else reason,
        is_good=outcome in _GOOD,
        has_report=True,
    )


def _outcome(report: SweepReport, row: VersionRow) -> tuple[Outcome, str]:
    """What became of one version, and why; a report has no row for what is as it was and was not tested."""
    for each in report.rows:
        if (each.model_name, each.model_version) == (row.model_name, row.model_version):
            return each.outcome, each.reason
    if report.counts.get(Outcome.FIT):
        return Outcome.FIT, ""
    return Outcome.UNDECIDED, "Its task was killed, and nothing is known of it." if report.lost else ""
