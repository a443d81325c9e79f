"""The registry as sweeps see it: every version that can be looked at again, in one look, and what they remember."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from airlock.adapters.registry_base import RegistryDatabase, guarded
from airlock.adapters.registry_tables import health_points, model_versions, sweep_states, version_records
from airlock.codec import decode, encode
from airlock.domain.catalogue import OWN_BUILD
from airlock.domain.record import ModelVersion
from airlock.domain.sweeping import Note, Standing, SweepState
from airlock.domain.version import RunRef, Status
from airlock.errors import NoSuchVersion, VersionBusy

Key = tuple[str, str]
_AT_ONCE = 300
#: What stands in the row of a version that was tried, and of which nothing is remembered yet.
_NOTHING: Mapping[str, Any] = {
    "checked_at": 0.0,
    "tested_at": 0.0,
    "rules": "",
    "runtime": "",
    "next_file": 0,
    "credit_bytes": 0,
    "notes": [],
    "run": "",
}


class SqlSweeps(RegistryDatabase):
    """The registry for sweeps."""

    @guarded
    def standings(self, model_names: Collection[str] = (), model_version: str = "") -> list[Standing]:
        """Every version that is Normal or Abnormal: of these models or of all, and with a version that one of each."""
        version = model_versions.c
        query = _query()
        if model_names:
            query = query.where(version.model_name.in_(sorted(model_names)))
        if model_version:
            query = query.where(version.model_version == model_version)
        with self.reader.connect() as connection:
            return [_standing(row) for row in connection.execute(query.order_by(version.id))]

    @guarded
    def standings_of(self, versions: Collection[Key]) -> list[Standing]:
        """Those of these (name, version) that are Normal or Abnormal."""
        with self.reader.connect() as connection:
            return [
                _standing(row)
                for keys in _groups(versions, _AT_ONCE)
                for row in connection.execute(_query().where(_is_one_of(keys)).order_by(model_versions.c.id))
            ]

    @guarded
    def record(self, model_name: str, model_version: str) -> ModelVersion:
        """All that was found out about a version."""
        query = (
            select(version_records.c.details)
            .join(model_versions, model_versions.c.id == version_records.c.version_id)
            .where(model_versions.c.model_name == model_name, model_versions.c.model_version == model_version)
        )
        with self.reader.connect() as connection:
            details = connection.execute(query).scalar()
        if not details:
            raise NoSuchVersion("REG008", f"{model_name} {model_version} has no record.", "Look at the list of models.")
        try:
            return decode(ModelVersion, details)
        except ValueError:
            raise VersionBusy(
                "REG010",
                f"The record of {model_name} {model_version} was written by a release that this one cannot read.",
                "Import the model as a new version.",
            ) from None

    @guarded
    def remember(self, run: RunRef, states: Mapping[Key, SweepState]) -> None:
        """Write what sweeps remember of versions, (name, version) → state, in place of what they did."""
        values = {
            key: {
                "checked_at": state.checked_at,
                "tested_at": state.tested_at,
                "rules": state.rules,
                "runtime": state.runtime,
                "next_file": state.next_file,
                "credit_bytes": state.credit_bytes,
                "notes": [encode(note) for note in state.notes],
                "run": str(run),
            }
            for key, state in states.items()
        }
        self._write(values, list(_NOTHING))

    @guarded
    def tried(self, versions: Collection[Key]) -> None:
        """Write that these (name, version) are looked at now, whatever comes of it."""
        now = self.clock.now()
        self._write({key: {**_NOTHING, "tried_at": now} for key in versions}, ["tried_at"])

    def _write(self, rows: Mapping[Key, Mapping[str, Any]], names: Sequence[str]) -> None:
        """Write rows of versions; of those that are there already only the columns of these names."""
        version = model_versions.c
        with self.engine.begin() as connection:
            make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            statement = make(sweep_states)
            statement = statement.on_conflict_do_update(
                index_elements=[sweep_states.c.version_id], set_={name: statement.excluded[name] for name in names}
            )
            for keys in _groups(rows, _AT_ONCE):
                found = connection.execute(
                    # In one order, so that of two that write the same rows at once none waits for the other in turn.
                    select(version.id, version.model_name, version.model_version)
                    .where(_is_one_of(keys), version.status != Status.DELETED.value)
                    .order_by(version.id)
                )
                values = [{"version_id": row.id, **rows[row.model_name, row.model_version]} for row in found]
                if values:
                    connection.execute(statement, values)


def _is_one_of(keys: Collection[Key]) -> ColumnElement[bool]:
    return tuple_(model_versions.c.model_name, model_versions.c.model_version).in_(keys)


def _query() -> Select[Any]:
    """What stands in the registry of versions that can be looked at again."""
    version, state, point = model_versions.c, sweep_states.c, health_points.alias("point")
    # Ids grow with time: the newest measurement of a version has its greatest id. Looked up for each version, it costs
    # as much as there are versions that are asked for; grouped first, as much as there are at all for each of them.
    newest = (
        select(point.c.id)
        .where(point.c.version_id == version.id, point.c.ready_s.is_not(None))
        .order_by(point.c.id.desc())
        .limit(1)
        .correlate(model_versions)
        .scalar_subquery()
    )
    return (
        select(
            version.model_name,
            version.model_version,
            version.status,
            version.reason,
            version.engine,
            version.runtime,
            version.package_digest,
            version.image_digest,
            version.created_at,
            version_records.c.summary,
            health_points.c.at.label("measured_at"),
            health_points.c.p50_ms,
            state.checked_at,
            state.tested_at,
            state.tried_at,
            state.rules,
            state.runtime.label("state_runtime"),
            state.next_file,
            state.credit_bytes,
            state.notes,
        )
        .join(version_records, version_records.c.version_id == version.id)
        .outerjoin(health_points, health_points.c.id == newest)
        .outerjoin(sweep_states, state.version_id == version.id)
        .where(version.status.in_((Status.NORMAL.value, Status.ABNORMAL.value)))
    )


def _standing(row: Any) -> Standing:
    state = None
    # One that no sweep has come to an end with has been tried, or has a note of that, and nothing else.
    if row.checked_at or row.notes:
        state = SweepState(
            checked_at=row.checked_at,
            tested_at=row.tested_at,
            rules=row.rules,
            runtime=row.state_runtime,
            next_file=row.next_file,
            credit_bytes=row.credit_bytes,
            notes=tuple(Note(code=note["code"], text=note["text"]) for note in row.notes),
        )
    return Standing(
        model_name=row.model_name,
        model_version=row.model_version,
        status=Status(row.status),
        reason=row.reason,
        engine=row.engine,
        runtime=row.runtime,
        build=str(row.summary.get("build") or OWN_BUILD),
        package_digest=row.package_digest,
        image_digest=row.image_digest,
        measured_at=row.created_at if row.measured_at is None else row.measured_at,
        p50_ms=row.p50_ms,
        state=state,
        tried_at=row.tried_at or 0.0,
    )


def _groups(keys: Iterable[Key], size: int) -> Iterable[list[Key]]:
    listed = sorted(keys)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]
