"""Reports of imports in memory."""

from __future__ import annotations

from collections.abc import Sequence

from airlock.domain.expectations import SuiteReport
from airlock.domain.import_report import ImportReport, PackageReport, Refusal
from airlock.domain.revalidation import SweepReport
from airlock.domain.version import RunRef
from airlock.errors import ReportsUnavailable


class FakeReports:
    """Reports in memory.

    Attributes:
        packages: Run → what validation found.
        suites: Run → task → what was judged.
        sweeps: Run → what a sweep did.
        refusals: Run → why it got no version.
        away: Whether nothing can be written or read.
    """

    def __init__(self) -> None:
        self.packages: dict[RunRef, PackageReport] = {}
        self.suites: dict[RunRef, dict[str, tuple[SuiteReport, ...]]] = {}
        self.sweeps: dict[RunRef, SweepReport] = {}
        self.refusals: dict[RunRef, Refusal] = {}
        self.away = False

    def keep_package(self, run: RunRef, report: PackageReport) -> None:
        self._answer()
        self.packages[run] = report
        self.suites.pop(run, None)
        self.refusals.pop(run, None)

    def keep_suites(self, run: RunRef, task: str, suites: Sequence[SuiteReport]) -> None:
        self._answer()
        self.suites.setdefault(run, {})[task] = tuple(suites)

    def keep_sweep(self, run: RunRef, report: SweepReport) -> None:
        self._answer()
        self.sweeps[run] = report

    def keep_refusal(self, run: RunRef, refusal: Refusal) -> None:
        self._answer()
        self.refusals[run] = refusal

    def find(self, run: RunRef) -> ImportReport:
        self._answer()
        return ImportReport(
            package=self.packages.get(run),
            suites=dict(self.suites.get(run, {})),
            sweep=self.sweeps.get(run),
            refusal=self.refusals.get(run),
        )

    def _answer(self) -> None:
        if self.away:
            raise ReportsUnavailable("RPT001", "The reports cannot be read or written.", "Name another folder.")
