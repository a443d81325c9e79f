"""The report of an import: it is kept beside the import and never decides it.

Validation takes milliseconds, and Great Expectations seconds to be there. So validation keeps the table of files, and
the table is judged where a judge is at work anyway: at the end of the service's test, or, where an import ends before
that, by its last task.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from airlock.domain.expectations import SuiteReport
from airlock.domain.import_report import PackageReport, Refusal
from airlock.domain.inventory import INVENTORY, inventory_table
from airlock.domain.model_files.streams import Binary
from airlock.domain.package import FileEntry, Manifest
from airlock.domain.record import Accepted
from airlock.domain.version import RunRef
from airlock.errors import AirlockError, PackageRejected
from airlock.ports.clock import Clock
from airlock.ports.expectations import Expectations, Judge
from airlock.ports.package_store import PackageFiles
from airlock.ports.reports import Reports

Log = Callable[[str], None]


class NotedFiles:
    """The files of packages, and which of them were read.

    Args:
        files: Where they lie.

    Attributes:
        read_paths: Paths of the files of which anything was read.
    """

    def __init__(self, files: PackageFiles) -> None:
        self._files = files
        self.read_paths: set[str] = set()

    def manifest(self, digest: str) -> Manifest:
        """The files of a package."""
        return self._files.manifest(digest)

    def read(self, digest: str, entry: FileEntry, limit: int) -> bytes:
        """The first `limit` bytes of a file."""
        self.read_paths.add(entry.path)
        return self._files.read(digest, entry, limit)

    def open(self, digest: str, entry: FileEntry) -> AbstractContextManager[Binary]:
        """A file for reading any part of it."""
        self.read_paths.add(entry.path)
        return self._files.open(digest, entry)


class ReportingExpectations:
    """The installation's suites for one task: whatever is judged in it goes into the import's report.

    Where the package's files were not judged yet, they are at the end, when nothing is measured any more.

    Args:
        expectations: The suites.
        reports: Where the report is kept.
        run: The import.
        task: The task.
        log: Takes what could not be done; a report that is missing fails no import.
    """

    def __init__(self, expectations: Expectations, *, reports: Reports, run: RunRef, task: str, log: Log) -> None:
        self._expectations = expectations
        self._reports = reports
        self._run = run
        self._task = task
        self._log = log

    @contextmanager
    def judging(self) -> Iterator[_NotingJudge]:
        """Start a judge; leaving the context keeps what it found and ends it."""
        with self._expectations.judging() as judge:
            noting = _NotingJudge(judge)
            try:
                yield noting
            except Exception:
                # Whoever ends the task by a signal does not wait for a report.
                self._keep(noting)
                raise
            self._keep(noting)

    def _keep(self, noting: _NotingJudge) -> None:
        with _only_told(self._log):
            if noting.is_ready:
                _judge_files(noting, self._reports, self._run, self._log)
            if noting.found:
                self._reports.keep_suites(self._run, self._task, noting.found)


class _NotingJudge:
    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.found: list[SuiteReport] = []
        self.is_ready = False

    def ready(self) -> None:
        self._judge.ready()
        self.is_ready = True

    def judge(self, suite: str, rows: Sequence[Mapping[str, Any]]) -> SuiteReport:
        report = self._judge.judge(suite, rows)
        self.is_ready = True
        self.found.append(report)
        return report


def keep_package(report: PackageReport, *, reports: Reports, run: RunRef, log: Log) -> None:
    """Keep what validation found."""
    with _only_told(log):
        reports.keep_package(run, report)


def keep_refusal(refusal: Refusal, *, reports: Reports, run: RunRef, log: Log) -> None:
    """Keep why a run got no version."""
    with _only_told(log):
        reports.keep_refusal(run, refusal)


@contextmanager
def refusal_reported(accepted: Accepted, *, reports: Reports, clock: Clock, log: Log) -> Iterator[None]:
    """Keep a report of a package that is refused before it is whole: its findings, and no files."""
    try:
        yield
    except PackageRejected as error:
        report = PackageReport(
            model_name=accepted.reservation.model_name,
            model_version=accepted.reservation.model_version,
            source=str(accepted.request.source),
            package_digest="",
            size_bytes=0,
            trusted_model_code=accepted.request.trust_model_code,
            passed=False,
            at=clock.now(),
            findings=error.findings,
            files=(),
        )
        keep_package(report, reports=reports, run=accepted.reservation.run, log=log)
        raise


def complete_report(run: RunRef, *, task: str, expectations: Expectations, reports: Reports, log: Log) -> bool:
    """Judge the package's files where no other task has: the import ended before its service was tested.

    Returns:
        Whether they were judged now.
    """
    with _only_told(log):
        found = reports.find(run)
        if found.package is None or found.inventory is not None:
            return False
        with expectations.judging() as judge:
            noting = _NotingJudge(judge)
            _judge_files(noting, reports, run, log)
        reports.keep_suites(run, task, noting.found)
        return bool(noting.found)
    return False


def judged_files(reports: Reports, run: RunRef, log: Log) -> SuiteReport | None:
    """What was expected of the package's files, for the version's record."""
    with _only_told(log):
        return reports.find(run).inventory
    return None


def _judge_files(judge: _NotingJudge, reports: Reports, run: RunRef, log: Log) -> None:
    found = reports.find(run)
    if found.package is None or found.inventory is not None or not found.package.files:
        return
    report = judge.judge(INVENTORY, inventory_table(found.package.files))
    for result in (each for each in report.results if not each.met):
        log(f"{INVENTORY}: not met: {result.says} ({result.observed})")


@contextlib.contextmanager
def _only_told(log: Log) -> Iterator[None]:
    try:
        yield
    except AirlockError as error:
        log(f"The import's report is not complete: {error}")
