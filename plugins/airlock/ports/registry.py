"""The registry as importers see it; those who look at models and change them see `airlock.registry_ports`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from airlock.domain.record import ModelVersion, Rebuild
from airlock.domain.registered import HealthPoint
from airlock.domain.request import ImportRequest
from airlock.domain.revalidation import Seen
from airlock.domain.version import EventKind, Reservation, RunRef


class History(Protocol):
    """Where a test tells what it does."""

    def add_event(self, reservation: Reservation, kind: EventKind, text: str) -> None:
        """Add to the version's history."""


class Registry(History, Protocol):
    """Model versions and their history."""

    def reserve(self, request: ImportRequest, run: RunRef, by: str = "") -> Reservation:
        """Reserve the version asked for, or the next one.

        A second call of the same run gives the same reservation.

        Args:
            request: What is asked for.
            run: The run that asks.
            by: The user who started it, empty where Airflow names none.

        Raises:
            VersionExists: Another run holds or held the version, or no number is left.
            RegistryUnavailable: The database does not answer.
        """

    def free_version(self, request: ImportRequest) -> str:
        """The version that a reservation would get now; nothing is reserved.

        Raises:
            VersionExists: As for a reservation.
            RegistryUnavailable: The database does not answer.
        """

    def reservation_of(self, run: RunRef) -> Reservation | None:
        """What the run holds, if anything."""

    def resume(self, reservation: Reservation, steps: Collection[str]) -> None:
        """Make the version Importing again, where it had failed in one of these steps.

        Args:
            reservation: The version.
            steps: The step that begins and those after it. A step beside the failed one must not take the failure back.

        Raises:
            VersionGone: It was deleted, or is another run's.
        """

    def complete(self, version: ModelVersion, details: Mapping[str, Any]) -> None:
        """Make the version Normal and keep its record, in one transaction.

        Raises:
            VersionGone: It is no longer this run's to complete.
        """

    def fail(
        self, reservation: Reservation, step: str, code: str, reason: str, report: Mapping[str, Any] | None = None
    ) -> bool:
        """Make the version Failed, with an event. Returns False where it was not Importing (any more).

        Args:
            reservation: The version.
            step: The step that failed.
            code: Stable code of the failure.
            reason: What happened.
            report: A failed test's report as JSON; kept as `failure` in the version's details until it is taken up
                again.
        """

    def begin_rebuild(self, model_name: str, model_version: str, run: RunRef, by: str = "") -> Rebuild:
        """Let a run make a registered version's image again.

        The version stays what it is until `complete`; `fail` only adds to its history. A later run that asks takes
        it from an earlier one.

        Raises:
            NoSuchVersion: It is not there, or deleted.
            VersionBusy: It was never imported, or its record cannot be read.
        """

    def judge(
        self,
        model_name: str,
        model_version: str,
        run: RunRef,
        points: Sequence[HealthPoint],
        reason: str,
        told: Sequence[str] = (),
        seen: Seen | None = None,
    ) -> bool:
        """Keep how a registered version fared at a later test, and make it Normal or Abnormal by it.

        What the same run has kept already is not kept twice.

        Args:
            model_name: The model.
            model_version: The version, Normal or Abnormal.
            run: The run that tested it.
            points: What was measured.
            reason: Why it is not fit, code first; empty where it is.
            told: More sentences for its history.
            seen: What it was when it was looked at; None where that does not matter.

        Returns:
            Whether its status changed.

        Raises:
            NoSuchVersion: It is not there, or was never imported.
            VersionChanged: It is no longer what was seen, nor what it was to become; nothing is written.
        """
