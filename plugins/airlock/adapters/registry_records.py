"""Between rows of the registry's tables and domain values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from airlock.adapters.registry_tables import (
    aliases,
    events,
    health_points,
    label_counts,
    model_versions,
    sweep_states,
    version_devices,
    version_documents,
    version_install_types,
    version_labels,
    version_records,
    version_search,
)
from airlock.domain.device import Device
from airlock.domain.record import Event, ModelVersion, VersionRow
from airlock.domain.registered import HealthPoint, search_text
from airlock.domain.request import Document, ImportRequest
from airlock.domain.smoke import SmokeReport, Verdict
from airlock.domain.version import EventKind, Stage, Status

#: What goes with a version, except the history that outlives its deletion.
PARTS: tuple[Table, ...] = (
    version_search,
    version_records,
    version_labels,
    version_devices,
    version_install_types,
    version_documents,
    aliases,
    health_points,
    sweep_states,
)
#: Where the report of a failed test stands in a version's details.
FAILURE = "failure"
#: What lists of ids are cut to: SQLite of old takes 999 values in a statement.
_IDS_AT_ONCE = 500


def keep_request(connection: Connection, version_id: int, model_version: str, request: ImportRequest) -> None:
    """Write what a request says of its version."""
    keep_search(connection, version_id, request.model_name, model_version, request.description, request.labels)
    replace_labels(connection, version_id, request.model_name, request.labels)
    types = [{"install_type": each, "model_name": request.model_name} for each in request.install_type]
    _insert(connection, version_install_types, version_id, types)
    _insert(
        connection,
        version_documents,
        version_id,
        [{"position": at, "name": each.name, "url": each.url} for at, each in enumerate(request.documents)],
    )


def keep_record(connection: Connection, version_id: int, version: ModelVersion, details: Mapping[str, Any]) -> None:
    """Write what an import found out of its version, in place of what an earlier one did."""
    summary = version.summary()
    row = connection.execute(
        select(model_versions.c.model_name, model_versions.c.model_version, model_versions.c.description).where(
            model_versions.c.id == version_id
        )
    ).one()
    labels = labels_of(connection, version_id)
    engine, runtime = version.detection.engine, version.detection.runtime or ""
    connection.execute(
        update(model_versions)
        .where(model_versions.c.id == version_id)
        .values(
            engine=engine,
            runtime=runtime,
            size_bytes=version.package.size_bytes,
            package_digest=summary["package_digest"],
            image_digest=version.image.digest,
        )
    )
    keep_search(connection, version_id, row.model_name, row.model_version, row.description, labels, engine, runtime)
    for table in (version_records, version_devices):
        connection.execute(delete(table).where(table.c.version_id == version_id))
    _insert(connection, version_records, version_id, [{"summary": summary, "details": dict(details)}])
    devices = version.device_results()
    results = [{"device": each, "result": devices[each], "model_name": row.model_name} for each in devices]
    _insert(connection, version_devices, version_id, results)


def keep_failure(connection: Connection, version_id: int, report: Mapping[str, Any]) -> None:
    """Write a failed test's report as the details of a version that has no record."""
    drop_failure(connection, version_id)
    _insert(connection, version_records, version_id, [{"summary": {}, "details": {FAILURE: dict(report)}}])


def drop_failure(connection: Connection, version_id: int) -> None:
    """Forget the report of a failed test: the version is imported again."""
    connection.execute(delete(version_records).where(version_records.c.version_id == version_id))


def keep_search(
    connection: Connection,
    version_id: int,
    model_name: str,
    model_version: str,
    description: str,
    labels: Sequence[str],
    engine: str = "",
    runtime: str = "",
) -> None:
    """Write what a search looks at, in place of what was there."""
    connection.execute(delete(version_search).where(version_search.c.version_id == version_id))
    text = search_text(model_name, model_version, description, labels, engine, runtime)
    found_by = {"name": model_name.casefold(), "text": text, "model_name": model_name}
    _insert(connection, version_search, version_id, [found_by])


def keep_health(connection: Connection, version_id: int, points: Iterable[HealthPoint]) -> None:
    """Add to how a version fared."""
    values = [
        {
            "at": point.at,
            "device": point.device.value,
            "verdict": point.verdict,
            "p50_ms": point.p50_ms,
            "p99_ms": point.p99_ms,
            "ready_s": point.ready_s,
            "peak_memory_bytes": point.peak_memory_bytes,
            "run": point.run,
        }
        for point in points
    ]
    _insert(connection, health_points, version_id, values)


def ran(reports: Iterable[SmokeReport]) -> list[SmokeReport]:
    """The tests that ran."""
    return [report for report in reports if report.verdict is Verdict.PASSED]


class Kept(NamedTuple):
    """What a run has written about a version.

    Attributes:
        devices: Devices of its points.
        texts: Texts of its events.
    """

    devices: frozenset[str]
    texts: frozenset[str]


def kept_by(connection: Connection, version_id: int, run: str) -> Kept:
    """What a run has written about a version in an earlier try of its task."""
    points = select(health_points.c.device).where(health_points.c.version_id == version_id, health_points.c.run == run)
    texts = select(events.c.text).where(events.c.version_id == version_id, events.c.run == run)
    return Kept(frozenset(connection.execute(points).scalars()), frozenset(connection.execute(texts).scalars()))


def labels_of(connection: Connection, version_id: int) -> tuple[str, ...]:
    """A version's labels, sorted."""
    query = select(version_labels.c.label).where(version_labels.c.version_id == version_id)
    return tuple(sorted(connection.execute(query).scalars()))


def replace_labels(connection: Connection, version_id: int, model_name: str, labels: Sequence[str]) -> None:
    """Write a version's labels in place of those it had."""
    before = labels_of(connection, version_id)
    for label in sorted({*before} ^ {*labels}):
        # Always in one order, and after every other row of a transaction: nobody waits for somebody who waits for them.
        _count_label(connection, label, 1 if label in labels else -1)
    connection.execute(delete(version_labels).where(version_labels.c.version_id == version_id))
    _insert(connection, version_labels, version_id, [{"label": label, "model_name": model_name} for label in labels])


def _count_label(connection: Connection, label: str, by: int) -> None:
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = make(label_counts).values(label=label, versions=by)
    versions = label_counts.c.versions + by
    connection.execute(
        statement.on_conflict_do_update(index_elements=[label_counts.c.label], set_={"versions": versions})
    )


def _insert(connection: Connection, table: Table, version_id: int, values: Sequence[Mapping[str, Any]]) -> None:
    if values:
        connection.execute(insert(table), [{"version_id": version_id, **each} for each in values])


def version_rows(connection: Connection, rows: Sequence[Row[Any]], *, whole: bool = False) -> list[VersionRow]:
    """Rows of `model_versions` as domain values, with what other tables say of them.

    Args:
        connection: Where the other tables are read.
        rows: All columns of each version.
        whole: Whether details and history are read too.
    """
    ids = [row.id for row in rows]
    labels = _by_version(connection, version_labels, ids)
    devices = _by_version(connection, version_devices, ids)
    types = _by_version(connection, version_install_types, ids)
    documents = _by_version(connection, version_documents, ids)
    names = _by_version(connection, aliases, ids)
    records = _records(connection, ids, whole)
    histories = _by_version(connection, events, ids) if whole else {}
    found = []
    for row in rows:
        summary, details = records.get(row.id, ({}, {}))
        own_labels = tuple(sorted(each.label for each in labels.get(row.id, ())))
        found.append(
            VersionRow(
                model_name=row.model_name,
                model_version=row.model_version,
                status=Status(row.status),
                reason=row.reason,
                run=f"{row.dag_id}/{row.run_id}",
                created_at=row.created_at,
                updated_at=row.updated_at,
                created_by=row.created_by,
                description=row.description,
                labels=own_labels,
                documents=tuple(
                    Document(name=each.name, url=each.url)
                    for each in sorted(documents.get(row.id, ()), key=lambda each: each.position)
                ),
                install_type=tuple(sorted(each.install_type for each in types.get(row.id, ()))),
                source=row.source,
                engine=row.engine,
                runtime=row.runtime,
                size_bytes=row.size_bytes,
                package_digest=row.package_digest,
                image_digest=row.image_digest,
                devices={each.device: each.result for each in _in_order(devices.get(row.id, ()))},
                stage=Stage(row.stage),
                aliases=tuple(sorted(each.alias for each in names.get(row.id, ()))),
                rebuild=f"{row.rebuild_dag_id}/{row.rebuild_run_id}" if row.rebuild_run_id else "",
                # Labels may have been edited since the record was written.
                summary={**summary, "status": row.status, "labels": list(own_labels)} if summary else {},
                details=details,
                events=tuple(event_of(each) for each in histories.get(row.id, ())),
            )
        )
    return found


def among(column: Any, ids: Sequence[int]) -> ColumnElement[bool]:
    """Whether a column is one of these numbers, which stand in the statement itself: a driver takes longer to hand over
    a few hundred values than the database to look them up.
    """
    condition: ColumnElement[bool] = column.in_(bindparam(None, list(ids), expanding=True, literal_execute=True))
    return condition


def event_of(row: Row[Any]) -> Event:
    """A row of `events`."""
    return Event(at=row.at, kind=EventKind(row.kind), text=row.text, run=row.run, actor=row.actor, id=row.id)


def _in_order(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    order = [device.value for device in Device]
    return sorted(rows, key=lambda row: order.index(row.device))


def _by_version(connection: Connection, table: Table, ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for start in range(0, len(ids), _IDS_AT_ONCE):
        # What the version's own row says already is not sent again.
        columns = [column for column in table.c if column.name != "model_name"]
        query = select(*columns).where(among(table.c.version_id, ids[start : start + _IDS_AT_ONCE]))
        if "id" in table.c:
            query = query.order_by(table.c.id)
        for row in connection.execute(query):
            found[row.version_id].append(row)
    return found


def _records(
    connection: Connection, ids: Sequence[int], whole: bool
) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    columns = [version_records.c.version_id, version_records.c.summary]
    if whole:
        columns.append(version_records.c.details)
    found = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        query = select(*columns).where(among(version_records.c.version_id, ids[start : start + _IDS_AT_ONCE]))
        for row in connection.execute(query):
            found[row.version_id] = (row.summary, row.details if whole else {})
    return found
