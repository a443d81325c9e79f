"""The registry as it is looked at: listings, searches, histories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from airlock.adapters.registry_base import RegistryDatabase, guarded
from airlock.adapters.registry_records import among, event_of, version_rows
from airlock.adapters.registry_search import matches, matching
from airlock.adapters.registry_tables import (
    aliases,
    audit,
    deliveries,
    events,
    health_points,
    label_counts,
    model_versions,
    models,
)
from airlock.domain.device import Device
from airlock.domain.notification import Delivery
from airlock.domain.record import Event, VersionRow
from airlock.domain.registered import (
    MAX_COUNTED,
    MAX_PAGE,
    Alias,
    AuditEntry,
    Facets,
    HealthPoint,
    Listing,
    ModelRow,
    Page,
    VersionFilter,
)
from airlock.domain.version import Status
from airlock.registry_ports import VERSIONS_OF_A_MODEL

MAX_LABELS_TOLD = 200
#: Ids that are read at once: what is counted, and a page that begins at its end.
_WINDOW = MAX_COUNTED + MAX_PAGE


class SqlRegistryReader(RegistryDatabase):
    """The registry for those who look."""

    @guarded
    def find(self, model_name: str, model_version: str) -> VersionRow | None:
        """One version, deleted or not, with its record and its events."""
        with self.reader.connect() as connection:
            rows = connection.execute(_one(model_name, model_version, model_versions)).all()
            found = version_rows(connection, rows, whole=True)
        return found[0] if found else None

    @guarded
    def versions(self, chosen: VersionFilter, page: Page) -> Listing[VersionRow]:
        """Versions without details and events, newest first."""
        # Ids first, from indexes alone; then the rows of the page.
        start = page.offset - page.offset % MAX_COUNTED
        with self.reader.connect() as connection:
            ids = connection.execute(matching(connection, chosen).limit(_WINDOW).offset(start)).scalars().all()
            own = ids[page.offset - start :][: page.limit]
            rows = connection.execute(
                select(model_versions).where(among(model_versions.c.id, own)).order_by(model_versions.c.id.desc())
            ).all()
            items = tuple(version_rows(connection, rows))
        return Listing(items=items, total=start + len(ids), exact=len(ids) < _WINDOW)

    @guarded
    def models(self, chosen: VersionFilter, page: Page, versions_each: int = VERSIONS_OF_A_MODEL) -> Listing[ModelRow]:
        """Models with a version that matches, and these versions, the model with the newest one first."""
        with self.reader.connect() as connection:
            if chosen == VersionFilter():
                # Kept with every model, because it is what everybody opens first.
                live = select(models.c.name).where(models.c.live > 0).order_by(models.c.last_version_id.desc())
                names = connection.execute(live.limit(page.limit).offset(page.offset)).scalars().all()
                count = select(func.count()).select_from(models).where(models.c.live > 0)
                total, exact = connection.execute(count).scalar_one(), True
            else:
                found, exact = self._matching_models(connection, chosen, page.offset + page.limit)
                names, total = found[page.offset :][: page.limit], len(found)
            return Listing(items=self._models(connection, names, chosen, versions_each), total=total, exact=exact)

    @staticmethod
    def _matching_models(connection: Connection, chosen: VersionFilter, enough: int) -> tuple[list[str], bool]:
        """Names of models by their newest version that matches, at least so many; and whether those are all."""
        names: dict[str, None] = {}
        start = 0
        while True:
            one = matching(connection, chosen).limit(_WINDOW).offset(start).subquery()
            found = connection.execute(
                select(one.c.model_name, func.count()).group_by(one.c.model_name).order_by(func.max(one.c.id).desc())
            ).all()
            names.update(dict.fromkeys(row.model_name for row in found))
            is_last = sum(row[1] for row in found) < _WINDOW
            if is_last or len(names) >= enough:
                return list(names), is_last
            start += _WINDOW

    @guarded
    def model(self, model_name: str, versions_each: int = VERSIONS_OF_A_MODEL) -> ModelRow | None:
        """One model, None where no version of it was ever reserved."""
        with self.reader.connect() as connection:
            found = self._models(connection, [model_name], VersionFilter(), versions_each)
        return found[0] if found else None

    def _models(
        self, connection: Connection, names: Sequence[str], chosen: VersionFilter, versions_each: int
    ) -> tuple[ModelRow, ...]:
        version = model_versions.c
        made = dict(
            connection.execute(select(models.c.name, models.c.created_at).where(models.c.name.in_(names))).all()
        )
        statuses: dict[str, dict[Status, int]] = {name: {} for name in names}
        for name, status, count in connection.execute(
            select(version.model_name, version.status, func.count())
            .where(version.model_name.in_(names))
            .group_by(version.model_name, version.status)
        ):
            statuses[name][Status(status)] = count
        place = func.row_number().over(partition_by=version.model_name, order_by=version.id.desc()).label("place")
        matched = func.count().over(partition_by=version.model_name).label("matched")
        ranked = select(version.id, place, matched).where(version.model_name.in_(names), *matches(chosen)).subquery()
        rows = connection.execute(
            select(model_versions, ranked.c.matched)
            .join(ranked, ranked.c.id == version.id)
            .where(ranked.c.place <= versions_each)
            .order_by(version.id.desc())
        ).all()
        listed: dict[str, list[VersionRow]] = {name: [] for name in names}
        for row in version_rows(connection, rows):
            listed[row.model_name].append(row)
        counts = {row.model_name: row.matched for row in rows}
        pointers: dict[str, list[Alias]] = {name: [] for name in names}
        for alias in self._aliases(connection, aliases.c.model_name.in_(names)):
            pointers[alias.model_name].append(alias)
        return tuple(
            ModelRow(
                model_name=name,
                created_at=made[name],
                statuses=statuses[name],
                aliases=tuple(pointers[name]),
                versions=tuple(listed[name]),
                matching=counts.get(name, 0),
            )
            for name in names
            if name in made
        )

    @guarded
    def events(self, model_name: str, model_version: str, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """A version's history after the event with that id, oldest first."""
        query = (
            select(events)
            .where(events.c.version_id == _id(model_name, model_version), events.c.id > after)
            .order_by(events.c.id)
            .limit(limit)
        )
        with self.reader.connect() as connection:
            return [event_of(row) for row in connection.execute(query)]

    @guarded
    def audit(self, page: Page, model_name: str = "", model_version: str = "") -> Listing[AuditEntry]:
        """Who did what, newest first."""
        where = [
            column == value
            for column, value in ((audit.c.model_name, model_name), (audit.c.model_version, model_version))
            if value
        ]
        query = select(audit).where(*where).order_by(audit.c.id.desc()).limit(page.limit).offset(page.offset)
        with self.reader.connect() as connection:
            rows = connection.execute(query).all()
            total = connection.execute(select(func.count()).select_from(audit).where(*where)).scalar_one()
        entries = (
            AuditEntry(
                at=row.at,
                actor=row.actor,
                action=row.action,
                model_name=row.model_name,
                model_version=row.model_version,
                changes=row.changes,
            )
            for row in rows
        )
        return Listing(items=tuple(entries), total=total)

    @guarded
    def health(self, model_name: str, model_version: str, limit: int = 1000) -> Sequence[HealthPoint]:
        """How a version fared at each test, oldest first; the last `limit` of them."""
        query = (
            select(health_points)
            .where(health_points.c.version_id == _id(model_name, model_version))
            .order_by(health_points.c.id.desc())
            .limit(limit)
        )
        with self.reader.connect() as connection:
            rows = connection.execute(query).all()
        return [
            HealthPoint(
                at=row.at,
                device=Device(row.device),
                verdict=row.verdict,
                p50_ms=row.p50_ms,
                p99_ms=row.p99_ms,
                ready_s=row.ready_s,
                peak_memory_bytes=row.peak_memory_bytes,
                run=row.run,
            )
            for row in reversed(rows)
        ]

    @guarded
    def alias(self, model_name: str, alias: str) -> Alias | None:
        """Where an alias points."""
        with self.reader.connect() as connection:
            found = self._aliases(connection, (aliases.c.model_name == model_name) & (aliases.c.alias == alias))
        return found[0] if found else None

    @staticmethod
    def _aliases(connection: Connection, where: Any) -> list[Alias]:
        query = (
            select(aliases, model_versions.c.model_version)
            .join(model_versions, model_versions.c.id == aliases.c.version_id)
            .where(where)
            .order_by(aliases.c.alias)
        )
        return [
            Alias(
                model_name=row.model_name,
                alias=row.alias,
                model_version=row.model_version,
                set_by=row.set_by,
                set_at=row.set_at,
            )
            for row in connection.execute(query)
        ]

    @guarded
    def facets(self) -> Facets:
        """What there is to filter by."""
        version = model_versions.c
        # One walk along one index for both.
        both = select(version.engine, version.status, func.count()).group_by(version.engine, version.status)
        # A deleted version has no labels any more.
        frequent = (
            select(label_counts.c.label, label_counts.c.versions)
            .where(label_counts.c.versions > 0)
            .order_by(label_counts.c.versions.desc(), label_counts.c.label)
            .limit(MAX_LABELS_TOLD)
        )
        engines: Counter[str] = Counter()
        statuses: Counter[Status] = Counter()
        with self.reader.connect() as connection:
            for engine, status, count in connection.execute(both):
                statuses[Status(status)] += count
                if engine and status != Status.DELETED.value:
                    engines[engine] += count
            labels = {row.label: row.versions for row in connection.execute(frequent)}
        return Facets(engines=dict(sorted(engines.items())), labels=labels, statuses=dict(statuses))

    @guarded
    def deliveries(self, page: Page, model_name: str = "", model_version: str = "") -> Listing[Delivery]:
        """What became of each notification, newest first."""
        columns = deliveries.c
        where = [
            column == value
            for column, value in ((columns.model_name, model_name), (columns.model_version, model_version))
            if value
        ]
        query = select(deliveries).where(*where).order_by(columns.id.desc()).limit(page.limit).offset(page.offset)
        with self.reader.connect() as connection:
            rows = connection.execute(query).all()
            total = connection.execute(select(func.count()).select_from(deliveries).where(*where)).scalar_one()
        found = (
            Delivery(
                receiver=row.receiver,
                model_name=row.model_name,
                model_version=row.model_version,
                status=Status(row.status),
                at=row.at,
                attempts=row.attempts,
                delivered=row.delivered,
                answer=row.answer,
                problem=row.problem,
            )
            for row in rows
        )
        return Listing(items=tuple(found), total=total)

    @guarded
    def packages_in_use(self) -> frozenset[str]:
        """Digests (hexadecimal) of the packages that a version names."""
        query = (
            select(model_versions.c.package_digest)
            .where(model_versions.c.package_digest != "", model_versions.c.status != Status.DELETED.value)
            .distinct()
        )
        with self.reader.connect() as connection:
            return frozenset(text.rpartition(":")[2] for text in connection.execute(query).scalars())

    @guarded
    def importing_since(self) -> float | None:
        """When the oldest version that is Importing now was reserved."""
        oldest = select(func.min(model_versions.c.created_at)).where(model_versions.c.status == Status.IMPORTING.value)
        with self.reader.connect() as connection:
            return connection.execute(oldest).scalar()


def _one(model_name: str, model_version: str, *columns: Any) -> Select[Any]:
    return select(*columns).where(
        model_versions.c.model_name == model_name, model_versions.c.model_version == model_version
    )


def _id(model_name: str, model_version: str) -> Any:
    return _one(model_name, model_version, model_versions.c.id).scalar_subquery()
