"""The registry as sweeps see it: every version that can be looked at again, in one look, and what they remember."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, select, tuple_

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
        with self.engine.begin() as connection:
            for names in _groups(states, _AT_ONCE):
                version = model_versions.c
                found = connection.execute(
                    select(version.id, version.model_name, version.model_version).where(
                        _is_one_of(names), version.status != Status.DELETED.value
                    )
                )
                ids = {(row.model_name, row.model_version): row.id for row in found}
                there = [key for key in names if key in ids]
                if not there:
                    continue
                connection.execute(
                    delete(sweep_states).where(sweep_states.c.version_id.in_([ids[key] for key in there]))
                )
                connection.execute(
                    insert(sweep_states),
                    [
                        {
                            "version_id": ids[key],
                            "checked_at": states[key].checked_at,
                            "tested_at": states[key].tested_at,
                            "rules": states[key].rules,
                            "runtime": states[key].runtime,
                            "next_file": states[key].next_file,
                            "credit_bytes": states[key].credit_bytes,
                            "notes": [encode(note) for note in states[key].notes],
                            "run": str(run),
                        }
                        for key in there
                    ],
                )


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
    if row.checked_at is not None:
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
    )


def _groups(keys: Iterable[Key], size: int) -> Iterable[list[Key]]:
    listed = sorted(keys)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]
