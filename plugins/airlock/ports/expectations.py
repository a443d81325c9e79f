"""What judges tables by the installation's suites of expectations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from airlock.domain.expectations import SuiteReport


class Judge(Protocol):
    """Applies suites of expectations to tables."""

    def ready(self) -> None:
        """Wait until it has started: before that it takes a processor that a measurement would miss.

        Raises:
            BackendUnavailable: It does not start.
        """

    def judge(self, suite: str, rows: Sequence[Mapping[str, Any]]) -> SuiteReport:
        """Apply a suite to a table, given as rows of equal columns.

        Raises:
            SettingInvalid: The suite cannot be used.
            BackendUnavailable: The judge ended or took too long.
        """


class Expectations(Protocol):
    """The installation's suites of expectations."""

    def judging(self) -> AbstractContextManager[Judge]:
        """Start a judge, which may take seconds to be ready; leaving the context ends it."""
