"""The registry as importers write it: SQLite on one machine, PostgreSQL beyond it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from airlock.adapters.registry_base import RegistryDatabase, guarded
from airlock.adapters.registry_records import (
    drop_failure,
    keep_failure,
    keep_health,
    keep_record,
    keep_request,
    kept_by,
    ran,
)
from airlock.adapters.registry_tables import model_versions, models, version_records
from airlock.codec import decode
from airlock.domain.record import ModelVersion, Rebuild
from airlock.domain.registered import HealthPoint, point_of
from airlock.domain.request import ImportRequest
from airlock.domain.revalidation import Seen
from airlock.domain.version import EventKind, Reservation, RunRef, Status, VersionNumber, next_version
from airlock.errors import NoSuchVersion, RegistryUnavailable, VersionBusy, VersionChanged, VersionExists, VersionGone

MAX_TRIES = 50
MAX_REASON_CHARACTERS = 8000


class SqlRegistry(RegistryDatabase):
    """The importers' side of the registry."""

    @guarded
    def reserve(self, request: ImportRequest, run: RunRef, by: str = "") -> Reservation:
        """Reserve the version asked for, or the next one."""
        for _ in range(MAX_TRIES):
            try:
                with self.engine.begin() as connection:
                    return self._reserve(connection, request, run, by)
            except IntegrityError:
                # Another importer made the model between our look and our insert: look again.
                continue
        raise RegistryUnavailable(
            "REG003", f"No version of {request.model_name} could be reserved in {MAX_TRIES} tries."
        )

    def _reserve(self, connection: Connection, request: ImportRequest, run: RunRef, by: str) -> Reservation:
        name = request.model_name
        held = connection.execute(
            select(model_versions.c.model_version).where(
                model_versions.c.dag_id == run.dag_id,
                model_versions.c.run_id == run.run_id,
                model_versions.c.model_name == name,
            )
        ).scalar()
        if held is not None:
            reservation = Reservation(model_name=name, model_version=held, run=run)
            self._resume(connection, reservation)
            return reservation
        now = self.clock.now()
        # Importers of one model queue up at its row.
        if connection.execute(select(models.c.name).where(models.c.name == name).with_for_update()).first() is None:
            connection.execute(insert(models).values(name=name, created_at=now))
        version = self._free_version(connection, request)
        version_id = connection.execute(
            insert(model_versions)
            .values(
                model_name=name,
                model_version=str(version),
                version_rank=version.rank,
                status=Status.IMPORTING.value,
                dag_id=run.dag_id,
                run_id=run.run_id,
                created_at=now,
                updated_at=now,
                created_by=by,
                description=request.description,
                source=str(request.source),
            )
            .returning(model_versions.c.id)
        ).scalar_one()
        connection.execute(
            update(models).where(models.c.name == name).values(last_version_id=version_id, live=models.c.live + 1)
        )
        keep_request(connection, version_id, str(version), request)
        self.write_audit(connection, by, "import", name, str(version), run=str(run))
        return Reservation(model_name=name, model_version=str(version), run=run)

    @staticmethod
    def _free_version(connection: Connection, request: ImportRequest) -> VersionNumber:
        name = request.model_name
        of_model = model_versions.c.model_name == name
        highest = connection.execute(select(func.max(model_versions.c.version_rank)).where(of_model)).scalar()
        free = next_version([] if highest is None else [str(VersionNumber.of_rank(highest))])
        version = free if request.model_version is None else VersionNumber.parse(request.model_version)
        if version is None:
            raise VersionExists("REG005", f"{name} has no version number left after 99.99.99.", "Choose another name.")
        status = connection.execute(
            select(model_versions.c.status).where(of_model, model_versions.c.model_version == str(version))
        ).scalar()
        if status is not None:
            remedy = f"The next free version is {free}; leave `model_version` out to take it." if free else ""
            raise VersionExists("REG004", f"{name} {version} exists already, with status {status}.", remedy)
        return version

    @guarded
    def free_version(self, request: ImportRequest) -> str:
        """The version that a reservation would get now; nothing is reserved."""
        with self.reader.connect() as connection:
            return str(self._free_version(connection, request))

    @guarded
    def reservation_of(self, run: RunRef) -> Reservation | None:
        """What the run holds, if anything."""
        with self.reader.connect() as connection:
            row = connection.execute(
                select(model_versions.c.model_name, model_versions.c.model_version).where(_held_by(run))
            ).first()
        return None if row is None else Reservation(model_name=row.model_name, model_version=row.model_version, run=run)

    @guarded
    def begin_rebuild(self, model_name: str, model_version: str, run: RunRef, by: str = "") -> Rebuild:
        """Let a run make a version's image again; it stays what it is until that is done."""
        reservation = Reservation(model_name=model_name, model_version=model_version, run=run)
        with self.engine.begin() as connection:
            row = connection.execute(
                select(model_versions, version_records.c.details)
                .outerjoin(version_records, version_records.c.version_id == model_versions.c.id)
                .where(model_versions.c.model_name == model_name, model_versions.c.model_version == model_version)
                .with_for_update(of=model_versions)
            ).first()
            if row is None or row.status == Status.DELETED.value:
                raise NoSuchVersion("REG008", f"There is no version {reservation}.", "Look at the list of models.")
            if row.status not in (Status.NORMAL.value, Status.ABNORMAL.value):
                raise VersionBusy(
                    "REG009", f"{reservation} has status {row.status}.", "Only a version that was imported is rebuilt."
                )
            try:
                request = decode(ImportRequest, row.details["accepted"]["request"])
            except (KeyError, ValueError):
                raise VersionBusy(
                    "REG010",
                    f"The record of {reservation} was written by a release that this one cannot read.",
                    "Import the model as a new version.",
                ) from None
            # The last one that asks wins: a run that died can keep nobody out.
            connection.execute(
                update(model_versions)
                .where(model_versions.c.id == row.id)
                .values(rebuild_dag_id=run.dag_id, rebuild_run_id=run.run_id)
            )
            if (row.rebuild_dag_id, row.rebuild_run_id) != (run.dag_id, run.run_id):
                self.write_audit(connection, by, "rebuild", model_name, model_version, run=str(run))
        return Rebuild(reservation=reservation, request=request, package_digest=row.package_digest.partition(":")[2])

    @guarded
    def resume(self, reservation: Reservation, steps: Collection[str]) -> None:
        """Make the version Importing again, where it had failed in one of these steps."""
        with self.engine.begin() as connection:
            self._resume(connection, reservation, steps)

    def _resume(self, connection: Connection, reservation: Reservation, steps: Collection[str] | None = None) -> None:
        row = self._own_row(connection, reservation)
        if row.status == Status.IMPORTING.value or _rebuilds(row, reservation):
            return
        if row.status == Status.DELETED.value:
            raise VersionGone("REG006", f"{reservation} was deleted.", "Import it as a new version.")
        if steps is not None and row.failed_step not in steps:
            return
        drop_failure(connection, row.id)
        self._set_status(connection, row.id, Status.IMPORTING, "", failed_step="")
        self.write_event(connection, row.id, EventKind.NORMAL, "Import taken up again.", run=str(reservation.run))

    @guarded
    def add_event(self, reservation: Reservation, kind: EventKind, text: str) -> None:
        """Add to the version's history."""
        with self.engine.begin() as connection:
            row = self._own_row(connection, reservation)
            self.write_event(connection, row.id, kind, text, run=str(reservation.run))

    @guarded
    def complete(self, version: ModelVersion, details: Mapping[str, Any]) -> None:
        """Make the version Normal and keep its record, in one transaction."""
        reservation = version.accepted.reservation
        with self.engine.begin() as connection:
            row = self._own_row(connection, reservation)
            if row.status == Status.DELETED.value:
                raise VersionGone(
                    "REG006", f"{reservation} was deleted while it was imported.", "Import it as a new version."
                )
            rebuilt = _rebuilds(row, reservation)
            again = row.status == Status.NORMAL.value and not rebuilt
            run = reservation.run
            self._set_status(
                connection, row.id, Status.NORMAL, "",
                dag_id=run.dag_id, run_id=run.run_id, rebuild_dag_id="", rebuild_run_id="",
            )  # fmt: skip
            keep_record(connection, row.id, version, details)
            if again:
                return
            points = [point_of(report, version.registered_at, str(run)) for report in ran(version.reports)]
            keep_health(connection, row.id, points)
            text = "Runtime dependencies updated, image made again." if rebuilt else "Model imported."
            self.write_event(connection, row.id, EventKind.NORMAL, text, run=str(run))

    @guarded
    def fail(
        self, reservation: Reservation, step: str, code: str, reason: str, report: Mapping[str, Any] | None = None
    ) -> bool:
        """Make the version Failed, with an event and the report of a failed test."""
        with self.engine.begin() as connection:
            row = self._own_row(connection, reservation)
            text = f"[{code}] {reason}" if not reason.startswith(f"[{code}]") else reason
            text = text[:MAX_REASON_CHARACTERS]
            run = str(reservation.run)
            if _rebuilds(row, reservation):
                connection.execute(
                    update(model_versions)
                    .where(model_versions.c.id == row.id)
                    .values(rebuild_dag_id="", rebuild_run_id="", updated_at=self.clock.now())
                )
                told = f"Runtime dependencies not updated, the version stays as it was: {text}"
                self.write_event(connection, row.id, EventKind.ABNORMAL, told, run=run)
                return True
            if row.status != Status.IMPORTING.value:
                return False
            if report is not None:
                keep_failure(connection, row.id, report)
            self._set_status(connection, row.id, Status.FAILED, text, failed_step=step)
            self.write_event(connection, row.id, EventKind.ABNORMAL, f"Import failed: {text}", run=run)
            return True

    @guarded
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
        """Keep how a registered version fared at a later test, and make it Normal or Abnormal by it."""
        with self.engine.begin() as connection:
            row = connection.execute(
                select(
                    model_versions.c.id,
                    model_versions.c.status,
                    model_versions.c.reason,
                    model_versions.c.image_digest,
                )
                .where(model_versions.c.model_name == model_name, model_versions.c.model_version == model_version)
                .with_for_update()
            ).first()
            judged = (Status.NORMAL.value, Status.ABNORMAL.value)
            if row is None or row.status not in judged:
                where = f"has status {row.status}" if row else "is not there"
                raise NoSuchVersion("REG008", f"{model_name} {model_version} {where}: it cannot be judged.")
            reason = reason[:MAX_REASON_CHARACTERS]
            status = Status.ABNORMAL if reason else Status.NORMAL
            if seen is not None:
                stands = (row.status, row.reason)
                # An earlier try of the same task has written already what this one is to write.
                expected = ((seen.status.value, seen.reason), (status.value, reason))
                if stands not in expected or row.image_digest != seen.image_digest:
                    raise VersionChanged(
                        "REG013",
                        f"{model_name} {model_version} was changed since it was looked at.",
                        "The next sweep looks at it as it is now.",
                    )
            known = kept_by(connection, row.id, str(run))
            keep_health(connection, row.id, [point for point in points if point.device.value not in known.devices])
            for text in told:
                if text not in known.texts:
                    self.write_event(connection, row.id, EventKind.NORMAL, text, run=str(run))
            changed = bool(status.value != row.status)
            if not changed and reason == row.reason:
                return False
            self._set_status(connection, row.id, status, reason)
            kind = EventKind.ABNORMAL if reason else EventKind.NORMAL
            text = f"{'Found unfit' if changed else 'Still unfit'}: {reason}" if reason else "Found fit again."
            self.write_event(connection, row.id, kind, text[:MAX_REASON_CHARACTERS], run=str(run))
            return changed

    # ── within a transaction ─────────────────────────────────────────────────────────────────────────────────────────

    def _own_row(self, connection: Connection, reservation: Reservation) -> Any:
        row = connection.execute(
            select(
                model_versions.c.id,
                model_versions.c.status,
                model_versions.c.failed_step,
                model_versions.c.rebuild_dag_id,
                model_versions.c.rebuild_run_id,
            )
            .where(
                model_versions.c.model_name == reservation.model_name,
                model_versions.c.model_version == reservation.model_version,
                _held_by(reservation.run),
            )
            .with_for_update()
        ).first()
        if row is None:
            raise VersionGone("REG007", f"{reservation} is not held by run {reservation.run}.", "Start a new import.")
        return row

    def _set_status(self, connection: Connection, row_id: int, status: Status, reason: str, **more: Any) -> None:
        connection.execute(
            update(model_versions)
            .where(model_versions.c.id == row_id)
            .values(status=status.value, reason=reason, updated_at=self.clock.now(), **more)
        )


def _held_by(run: RunRef) -> Any:
    columns = model_versions.c
    return or_(
        and_(columns.dag_id == run.dag_id, columns.run_id == run.run_id),
        and_(columns.rebuild_dag_id == run.dag_id, columns.rebuild_run_id == run.run_id),
    )


def _rebuilds(row: Any, reservation: Reservation) -> bool:
    return (row.rebuild_dag_id, row.rebuild_run_id) == (reservation.run.dag_id, reservation.run.run_id)
