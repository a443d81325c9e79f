"""The registry as importers see it, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airlock.domain.record import Event, ModelVersion, Rebuild, VersionRow
from airlock.domain.registered import HealthPoint
from airlock.domain.request import ImportRequest
from airlock.domain.revalidation import Seen
from airlock.domain.version import EventKind, Reservation, RunRef, Status, next_version
from airlock.errors import NoSuchVersion, RegistryUnavailable, VersionBusy, VersionChanged, VersionExists, VersionGone
from tests.fakes.clock import FakeClock


@dataclass
class _Row:
    run: RunRef
    status: Status
    reason: str
    created_at: float
    updated_at: float
    request: ImportRequest
    created_by: str
    failed_step: str = ""
    rebuild: RunRef | None = None
    health: list[HealthPoint] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


class FakeRegistry:
    """Versions in memory.

    Attributes:
        rows: (name, version) → row.
        away: Whether the database does not answer.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.rows: dict[tuple[str, str], _Row] = {}
        self.away = False

    def reserve(self, request: ImportRequest, run: RunRef, by: str = "") -> Reservation:
        self._answer()
        held = self.reservation_of(run)
        if held is not None and held.model_name == request.model_name:
            self._resume(held)
            return held
        name, version = request.model_name, self.free_version(request)
        now = self.clock.now()
        self.rows[name, version] = _Row(run, Status.IMPORTING, "", now, now, request, by)
        return Reservation(model_name=name, model_version=version, run=run)

    def free_version(self, request: ImportRequest) -> str:
        self._answer()
        name = request.model_name
        following = next_version(version for model, version in self.rows if model == name)
        version = request.model_version or (str(following) if following else None)
        if version is None:
            raise VersionExists("REG005", f"{name} has no version number left after 99.99.99.", "Choose another name.")
        if (name, version) in self.rows:
            status = self.rows[name, version].status.value
            raise VersionExists("REG004", f"{name} {version} exists already, with status {status}.", "")
        return version

    def reservation_of(self, run: RunRef) -> Reservation | None:
        self._answer()
        for (name, version), row in self.rows.items():
            if run in (row.run, row.rebuild):
                return Reservation(model_name=name, model_version=version, run=run)
        return None

    def resume(self, reservation: Reservation, steps: Collection[str]) -> None:
        row = self._own(reservation)
        if row.status is Status.FAILED and row.failed_step not in steps:
            return
        self._resume(reservation)

    def _resume(self, reservation: Reservation) -> None:
        row = self._own(reservation)
        if row.status is Status.IMPORTING or row.rebuild == reservation.run:
            return
        if row.status is Status.DELETED:
            raise VersionGone("REG006", f"{reservation} was deleted.", "Import it as a new version.")
        self._set(row, Status.IMPORTING, "")
        row.details.pop("failure", None)
        self._event(row, EventKind.NORMAL, "Import taken up again.")

    def add_event(self, reservation: Reservation, kind: EventKind, text: str) -> None:
        self._event(self._own(reservation), kind, text, reservation.run)

    def complete(self, version: ModelVersion, details: Mapping[str, Any]) -> None:
        row = self._own(version.accepted.reservation)
        if row.status is Status.DELETED:
            raise VersionGone("REG006", f"{version.accepted.reservation} was deleted.", "Import it as a new version.")
        rebuilt = row.rebuild == version.accepted.reservation.run
        again = row.status is Status.NORMAL and not rebuilt
        self._set(row, Status.NORMAL, "")
        row.run, row.rebuild = version.accepted.reservation.run, None
        row.summary, row.details = version.summary(), dict(details)
        if not again:
            text = "Runtime dependencies updated, image made again." if rebuilt else "Model imported."
            self._event(row, EventKind.NORMAL, text)

    def fail(
        self, reservation: Reservation, step: str, code: str, reason: str, report: Mapping[str, Any] | None = None
    ) -> bool:
        row = self._own(reservation)
        text = reason if reason.startswith(f"[{code}]") else f"[{code}] {reason}"
        # As a database does, so that a text which cannot be written is noticed here.
        text.encode()
        if row.rebuild == reservation.run:
            row.rebuild = None
            told = f"Runtime dependencies not updated, the version stays as it was: {text}"
            self._event(row, EventKind.ABNORMAL, told, reservation.run)
            return True
        if row.status is not Status.IMPORTING:
            return False
        self._set(row, Status.FAILED, text)
        row.failed_step = step
        if report is not None:
            row.details["failure"] = dict(report)
        self._event(row, EventKind.ABNORMAL, f"Import failed: {text}")
        return True

    def begin_rebuild(self, model_name: str, model_version: str, run: RunRef, by: str = "") -> Rebuild:
        self._answer()
        row = self.rows.get((model_name, model_version))
        if row is None or row.status is Status.DELETED:
            raise NoSuchVersion("REG008", f"There is no version {model_name} {model_version}.", "")
        if row.status not in (Status.NORMAL, Status.ABNORMAL):
            raise VersionBusy("REG009", f"{model_name} {model_version} has status {row.status.value}.", "")
        row.rebuild = run
        return Rebuild(
            reservation=Reservation(model_name=model_name, model_version=model_version, run=run),
            request=row.request,
            package_digest=row.summary["package_digest"].partition(":")[2],
        )

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
        self._answer()
        row = self.rows.get((model_name, model_version))
        if row is None or row.status not in (Status.NORMAL, Status.ABNORMAL):
            raise NoSuchVersion("REG008", f"{model_name} {model_version} cannot be judged.", "")
        status = Status.ABNORMAL if reason else Status.NORMAL
        if seen is not None and (
            (row.status, row.reason) not in ((seen.status, seen.reason), (status, reason))
            or row.summary["image_digest"] != seen.image_digest
        ):
            raise VersionChanged("REG013", f"{model_name} {model_version} was changed.", "")
        known = {point.device for point in row.health if point.run == str(run)}
        row.health.extend(point for point in points if point.device not in known)
        texts = {event.text for event in row.events if event.run == str(run)}
        for text in told:
            if text not in texts:
                self._event(row, EventKind.NORMAL, text, run)
        changed = status is not row.status
        if changed or reason != row.reason:
            self._set(row, status, reason)
            kind = EventKind.ABNORMAL if reason else EventKind.NORMAL
            found = "Found unfit" if changed else "Still unfit"
            self._event(row, kind, f"{found}: {reason}" if reason else "Found fit again.", run)
        return changed

    def find(self, model_name: str, model_version: str) -> VersionRow | None:
        """What a user looks at; no part of the port."""
        self._answer()
        row = self.rows.get((model_name, model_version))
        return None if row is None else self._public(model_name, model_version, row, tuple(row.events))

    def delete(self, reservation: Reservation) -> None:
        """What a user does behind an import's back; no part of the port."""
        self._set(self.rows[reservation.model_name, reservation.model_version], Status.DELETED, "")

    def _answer(self) -> None:
        if self.away:
            raise RegistryUnavailable("REG001", "The registry does not answer.", "Start its database.")

    def _own(self, reservation: Reservation) -> _Row:
        self._answer()
        row = self.rows.get((reservation.model_name, reservation.model_version))
        if row is None or reservation.run not in (row.run, row.rebuild):
            raise VersionGone("REG007", f"{reservation} is no longer this run's.", "Import it as a new version.")
        return row

    def _set(self, row: _Row, status: Status, reason: str) -> None:
        row.status, row.reason, row.updated_at = status, reason, self.clock.now()

    def _event(self, row: _Row, kind: EventKind, text: str, run: RunRef | None = None) -> None:
        text.encode()
        row.events.append(Event(at=self.clock.now(), kind=kind, text=text, run=str(run or row.run)))

    @staticmethod
    def _public(name: str, version: str, row: _Row, events: tuple[Event, ...]) -> VersionRow:
        return VersionRow(
            model_name=name,
            model_version=version,
            status=row.status,
            reason=row.reason,
            run=str(row.run),
            created_at=row.created_at,
            updated_at=row.updated_at,
            created_by=row.created_by,
            description=row.request.description,
            labels=tuple(sorted(row.request.labels)),
            documents=row.request.documents,
            install_type=tuple(sorted(row.request.install_type)),
            source=str(row.request.source),
            rebuild=str(row.rebuild or ""),
            summary=dict(row.summary),
            details=dict(row.details),
            events=events,
        )
