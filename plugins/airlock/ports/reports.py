"""Where the reports of imports and sweeps are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from airlock.domain.expectations import SuiteReport
from airlock.domain.import_report import ImportReport, PackageReport, Refusal
from airlock.domain.revalidation import SweepReport
from airlock.domain.version import RunRef


class Reports(Protocol):
    """The reports of imports, one for each run."""

    def keep_package(self, run: RunRef, report: PackageReport) -> None:
        """Keep what validation found; a second try replaces what the first one kept.

        Raises:
            ReportsUnavailable: It cannot be written.
        """

    def keep_suites(self, run: RunRef, task: str, suites: Sequence[SuiteReport]) -> None:
        """Keep what was judged in a task. Tasks of one run may do so at once.

        Raises:
            ReportsUnavailable: It cannot be written.
        """

    def keep_sweep(self, run: RunRef, report: SweepReport) -> None:
        """Keep what a sweep over registered versions did; a second try replaces what the first one kept.

        Raises:
            ReportsUnavailable: It cannot be written.
        """

    def keep_refusal(self, run: RunRef, refusal: Refusal) -> None:
        """Keep why a run got no version; a second try replaces what the first one kept.

        Raises:
            ReportsUnavailable: It cannot be written.
        """

    def find(self, run: RunRef) -> ImportReport:
        """What is kept of a run so far, which may be nothing.

        Raises:
            ReportsUnavailable: It cannot be read.
        """
