"""Judges that find what a test says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from airlock.domain.expectations import ExpectationResult, SuiteReport
from airlock.domain.findings import Severity


class FakeExpectations:
    """Judges that find what a test says.

    Attributes:
        unmet: Suite → results that are not met, beside one that is.
        tables: Suite → the rows that it was given, of the last judgement.
        judges: How many judges are at work.
    """

    def __init__(self) -> None:
        self.unmet: dict[str, tuple[ExpectationResult, ...]] = {}
        self.tables: dict[str, list[Mapping[str, Any]]] = {}
        self.judges = 0

    @contextmanager
    def judging(self) -> Iterator[FakeExpectations]:
        self.judges += 1
        try:
            yield self
        finally:
            self.judges -= 1

    def ready(self) -> None:
        return

    def judge(self, suite: str, rows: Sequence[Mapping[str, Any]]) -> SuiteReport:
        self.tables[suite] = list(rows)
        met = ExpectationResult(
            says="There are rows.",
            expectation="expect_table_row_count_to_be_between",
            column="",
            severity=Severity.ERROR,
            met=True,
            observed="",
        )
        return SuiteReport(suite=suite, rows=len(rows), results=(met, *self.unmet.get(suite, ())))
