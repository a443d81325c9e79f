"""What suites of expectations found in a table of facts.

The suites are data: include/specs/expectations/*.json, read by Great Expectations. What decides an import in plain code
is decided before; a suite is where an installation says what it expects beside that.
"""

from __future__ import annotations

from dataclasses import dataclass

from airlock.domain.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationResult:
    """One expectation and what came out.

    Attributes:
        says: The expectation as a sentence.
        expectation: Its type in Great Expectations.
        column: The column that it is about, empty for the whole table.
        severity: An error fails the import, a warning and an info are shown.
        met: Whether the table meets it.
        observed: What was seen instead, shortened; empty where it is met.
    """

    says: str
    expectation: str
    column: str
    severity: Severity
    met: bool
    observed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteReport:
    """One suite over one table.

    Attributes:
        suite: The suite's name.
        rows: How many rows the table has.
        results: One for each expectation, in the suite's order.
    """

    suite: str
    rows: int
    results: tuple[ExpectationResult, ...]

    def unmet(self, severity: Severity) -> tuple[ExpectationResult, ...]:
        """What is not met, of one severity."""
        return tuple(result for result in self.results if not result.met and result.severity is severity)
