"""What the installation expects of a smoke test's answers, beside what the package itself declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airlock.domain.answer_tables import ANSWERS, OUTPUTS, answer_rows, output_rows
from airlock.domain.expectations import SuiteReport
from airlock.domain.findings import Severity
from airlock.domain.smoke import HttpResponse, Sample
from airlock.errors import SmokeFailed
from airlock.ports.expectations import Judge

MAX_SHOWN = 5


def judge_answers(
    judge: Judge,
    checked: Sequence[tuple[Sample, HttpResponse]],
    timed: Sequence[HttpResponse],
    failed: Callable[[str, str, str], SmokeFailed],
) -> tuple[SuiteReport, ...]:
    """Apply the suites `answers` and `outputs`.

    Args:
        judge: Who judges.
        checked: Samples with their answers.
        timed: Answers to the first sample, sent again.
        failed: Makes the error of a code, a message and a remedy.

    Returns:
        One report for each suite; only warnings and infos are unmet.

    Raises:
        SmokeFailed: An expectation is not met that fails an import.
        SettingInvalid: A suite cannot be used.
        BackendUnavailable: The judge ended or took too long.
    """
    reports = (
        judge.judge(ANSWERS, answer_rows(checked, timed)),
        judge.judge(OUTPUTS, output_rows(checked)),
    )
    unmet = [
        f"{result.says} ({report.suite}: {result.observed})"
        for report in reports
        for result in report.unmet(Severity.ERROR)
    ]
    if unmet:
        more = f" And {len(unmet) - MAX_SHOWN} more." if len(unmet) > MAX_SHOWN else ""
        raise failed(
            "SMK016",
            f"The answers do not meet {len(unmet)} of this installation's expectations: "
            f"{'; '.join(unmet[:MAX_SHOWN])}.{more}",
            "Correct the model, or, where the expectation asks too much, the suite in include/specs/expectations/.",
        )
    return reports
