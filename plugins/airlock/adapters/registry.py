"""The registry in a relational database: SQLite on one machine, PostgreSQL beyond it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from airlock.adapters.registry_schema import READ_ONLY, current_schema, newest_schema, unavailable
from airlock.adapters.registry_tables import events, model_versions
from airlock.domain.record import Event, ModelVersion, VersionRow
from airlock.domain.request import ImportRequest
from airlock.domain.version import EventKind, Reservation, RunRef, Status, next_version
from airlock.errors import RegistryUnavailable, VersionExists, VersionGone
from airlock.ports import Clock

MAX_TRIES = 50
MAX_REASON_CHARACTERS = 8000
#: Where the report of a failed test stands in a version's details.
FAILURE = "failure"

Method = TypeVar("Method", bound=Callable[..., Any])


def _guarded(method: Method) -> Method:
    """Database errors as ours."""

    @functools.wraps(method)
    def wrapper(self: SqlRegistry, *args: Any, **kwargs: Any) -> Any:
        try:
            self.check_schema()
            return method(self, *args, **kwargs)
        except SQLAlchemyError as error:
            raise unavailable(self.engine, error) from error

    return cast("Method", wrapper)


class SqlRegistry:
    """A registry.

    Args:
        engine: From `registry_schema.open_engine`.
        clock: For the times that are written.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.reader = engine.execution_options(**{READ_ONLY: True})
        self.clock = clock
        self._schema_checked = False

    def check_schema(self) -> None:
        """Refuse to work on another release's schema.

        Raises:
            RegistryUnavailable: It is older, newer, or not there.
        """
        if self._schema_checked:
            return
        found, wanted = current_schema(self.engine), newest_schema()
        if found != wanted:
            raise RegistryUnavailable(
                "REG002",
                f"The registry has schema {found or 'none'}, this release needs {wanted}.",
                "Run `python -m airlock registry upgrade`.",
            )
        self._schema_checked = True

    @_guarded
    def reserve(self, request: ImportRequest, run: RunRef) -> Reservation:
        """Reserve the version asked for, or the next one."""
        for _ in range(MAX_TRIES):
            try:
                with self.engine.begin() as connection:
                    return self._reserve(connection, request, run)
            except IntegrityError:
                # Another importer wrote the same number between our look and our insert: look again.
                continue
        raise RegistryUnavailable(
            "REG003", f"No version of {request.model_name} could be reserved in {MAX_TRIES} tries."
        )

    def _reserve(self, connection: Connection, request: ImportRequest, run: RunRef) -> Reservation:
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
        rows = connection.execute(
            select(model_versions.c.model_version, model_versions.c.status).where(model_versions.c.model_name == name)
        )
        taken: dict[str, str] = {row.model_version: row.status for row in rows}
        following = next_version(taken)
        version = request.model_version or (str(following) if following else None)
        if version is None:
            raise VersionExists("REG005", f"{name} has no version number left after 99.99.99.", "Choose another name.")
        if version in taken:
            free = f"The next free version is {following}; leave `model_version` out to take it." if following else ""
            raise VersionExists("REG004", f"{name} {version} exists already, with status {taken[version]}.", free)
        now = self.clock.now()
        connection.execute(
            insert(model_versions).values(
                model_name=name,
                model_version=version,
                status=Status.IMPORTING.value,
                dag_id=run.dag_id,
                run_id=run.run_id,
                created_at=now,
                updated_at=now,
                summary={},
                details={},
            )
        )
        return Reservation(model_name=name, model_version=version, run=run)

    @_guarded
    def reservation_of(self, run: RunRef) -> Reservation | None:
        """What the run holds, if anything."""
        with self.reader.connect() as connection:
            row = connection.execute(
                select(model_versions.c.model_name, model_versions.c.model_version).where(
                    model_versions.c.dag_id == run.dag_id, model_versions.c.run_id == run.run_id
                )
            ).first()
        return None if row is None else Reservation(model_name=row.model_name, model_version=row.model_version, run=run)

    @_guarded
    def resume(self, reservation: Reservation, steps: Collection[str]) -> None:
        """Make the version Importing again, where it had failed in one of these steps."""
        with self.engine.begin() as connection:
            self._resume(connection, reservation, steps)

    def _resume(self, connection: Connection, reservation: Reservation, steps: Collection[str] | None = None) -> None:
        row = self._own_row(connection, reservation)
        if row.status == Status.IMPORTING.value:
            return
        if row.status == Status.DELETED.value:
            raise VersionGone("REG006", f"{reservation} was deleted.", "Import it as a new version.")
        if steps is not None and row.failed_step not in steps:
            return
        details = {name: value for name, value in row.details.items() if name != FAILURE}
        self._set_status(connection, row.id, Status.IMPORTING, "", failed_step="", details=details)
        self._add_event(connection, row.id, reservation, EventKind.NORMAL, "Import taken up again.")

    @_guarded
    def add_event(self, reservation: Reservation, kind: EventKind, text: str) -> None:
        """Add to the version's history."""
        with self.engine.begin() as connection:
            row = self._own_row(connection, reservation)
            self._add_event(connection, row.id, reservation, kind, text)

    @_guarded
    def complete(self, version: ModelVersion, details: Mapping[str, Any]) -> None:
        """Make the version Normal and keep its record, in one transaction."""
        reservation = version.accepted.reservation
        with self.engine.begin() as connection:
            row = self._own_row(connection, reservation)
            if row.status == Status.DELETED.value:
                raise VersionGone(
                    "REG006", f"{reservation} was deleted while it was imported.", "Import it as a new version."
                )
            again = row.status == Status.NORMAL.value
            self._set_status(connection, row.id, Status.NORMAL, "", summary=version.summary(), details=dict(details))
            if not again:
                self._add_event(connection, row.id, reservation, EventKind.NORMAL, "Model imported.")

    @_guarded
    def fail(
        self, reservation: Reservation, step: str, code: str, reason: str, report: Mapping[str, Any] | None = None
    ) -> bool:
        """Make the version Failed, with an event and the report of a failed test."""
        with self.engine.begin() as connection:
            row = self._own_row(connection, reservation)
            if row.status != Status.IMPORTING.value:
                return False
            text = f"[{code}] {reason}" if not reason.startswith(f"[{code}]") else reason
            text = text[:MAX_REASON_CHARACTERS]
            details = {**row.details, **({} if report is None else {FAILURE: dict(report)})}
            self._set_status(connection, row.id, Status.FAILED, text, failed_step=step, details=details)
            self._add_event(connection, row.id, reservation, EventKind.ABNORMAL, f"Import failed: {text}")
            return True

    @_guarded
    def find(self, model_name: str, model_version: str) -> VersionRow | None:
        """One version with its events."""
        with self.reader.connect() as connection:
            row = connection.execute(
                select(model_versions).where(
                    model_versions.c.model_name == model_name, model_versions.c.model_version == model_version
                )
            ).first()
            if row is None:
                return None
            history = connection.execute(
                select(events).where(events.c.version_id == row.id).order_by(events.c.id)
            ).all()
        return _version_row(
            row,
            tuple(Event(at=item.at, kind=EventKind(item.kind), text=item.text, run=item.run) for item in history),
        )

    @_guarded
    def list(self, model_name: str | None = None, limit: int = 100, offset: int = 0) -> tuple[VersionRow, ...]:
        """Versions without their events, newest first."""
        query = select(model_versions).order_by(model_versions.c.created_at.desc(), model_versions.c.id.desc())
        if model_name is not None:
            query = query.where(model_versions.c.model_name == model_name)
        with self.reader.connect() as connection:
            rows = connection.execute(query.limit(limit).offset(offset)).all()
        return tuple(_version_row(row, ()) for row in rows)

    @_guarded
    def count(self) -> int:
        """How many versions there are."""
        with self.reader.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(model_versions)).scalar_one())

    @_guarded
    def packages_in_use(self) -> frozenset[str]:
        """Digests (hexadecimal) of the packages that a version names."""
        digest = model_versions.c.summary["package_digest"].as_string()
        query = select(digest).where(digest.is_not(None), model_versions.c.status != Status.DELETED.value).distinct()
        with self.reader.connect() as connection:
            return frozenset(text.rpartition(":")[2] for text in connection.execute(query).scalars())

    @_guarded
    def importing_since(self) -> float | None:
        """When the oldest version that is Importing now was reserved."""
        oldest = select(func.min(model_versions.c.created_at)).where(model_versions.c.status == Status.IMPORTING.value)
        with self.reader.connect() as connection:
            return connection.execute(oldest).scalar()

    # ── within a transaction ─────────────────────────────────────────────────────────────────────────────────────────

    def _own_row(self, connection: Connection, reservation: Reservation) -> Any:
        row = connection.execute(
            select(
                model_versions.c.id,
                model_versions.c.status,
                model_versions.c.failed_step,
                model_versions.c.details,
                model_versions.c.dag_id,
                model_versions.c.run_id,
            )
            .where(
                model_versions.c.model_name == reservation.model_name,
                model_versions.c.model_version == reservation.model_version,
            )
            .with_for_update()
        ).first()
        if row is None or (row.dag_id, row.run_id) != (reservation.run.dag_id, reservation.run.run_id):
            raise VersionGone("REG007", f"{reservation} is not held by run {reservation.run}.", "Start a new import.")
        return row

    def _set_status(self, connection: Connection, row_id: int, status: Status, reason: str, **more: Any) -> None:
        connection.execute(
            update(model_versions)
            .where(model_versions.c.id == row_id)
            .values(status=status.value, reason=reason, updated_at=self.clock.now(), **more)
        )

    def _add_event(
        self, connection: Connection, row_id: int, reservation: Reservation, kind: EventKind, text: str
    ) -> None:
        connection.execute(
            insert(events).values(
                version_id=row_id, at=self.clock.now(), kind=kind.value, text=text, run=str(reservation.run)
            )
        )


def _version_row(row: Row[Any], history: tuple[Event, ...]) -> VersionRow:
    return VersionRow(
        model_name=row.model_name,
        model_version=row.model_version,
        status=Status(row.status),
        reason=row.reason,
        run=f"{row.dag_id}/{row.run_id}",
        created_at=row.created_at,
        updated_at=row.updated_at,
        summary=row.summary,
        details=row.details,
        events=history,
    )
