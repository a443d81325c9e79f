"""Filters as SQL.

Each filter is a range of an index that is sorted by version already, or a look at the short rows of `version_search`.
What goes with a version goes when it is deleted, so that only filters on the version's own row must say that it is not.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, select

from airlock.adapters.registry_tables import (
    model_versions,
    version_devices,
    version_install_types,
    version_labels,
    version_search,
)
from airlock.domain.registered import VersionFilter
from airlock.domain.smoke import Verdict
from airlock.domain.version import Status


def matching_ids(chosen: VersionFilter) -> Select[Any]:
    """A query for the ids of the versions that match, newest first: for all versions there are."""
    parts = _parts(chosen)
    own = _own(chosen)
    if own or not parts:
        parts.append((model_versions.c.id, [*own, *_not_deleted(chosen)]))
    (driver, conditions), *others = parts
    query = select(driver).where(*conditions)
    for column, more in others:
        query = query.join(column.table, column == driver).where(*more)
    return query.order_by(driver.desc())


def matches(chosen: VersionFilter) -> list[ColumnElement[bool]]:
    """Conditions on a row of `model_versions`: for the versions of a few models."""
    looked_up = [select(1).where(column == model_versions.c.id, *more).exists() for column, more in _parts(chosen)]
    return [*_own(chosen), *_not_deleted(chosen), *looked_up]


def _own(chosen: VersionFilter) -> list[ColumnElement[bool]]:
    version = model_versions.c
    return [
        column == value
        for column, value in (
            (version.model_name, chosen.model_name),
            (version.engine, chosen.engine),
            (version.stage, chosen.stage.value if chosen.stage else ""),
            (version.status, chosen.status.value if chosen.status else ""),
        )
        if value
    ]


def _not_deleted(chosen: VersionFilter) -> list[ColumnElement[bool]]:
    return [] if chosen.status else [model_versions.c.status != Status.DELETED.value]


def _parts(chosen: VersionFilter) -> list[tuple[Any, list[ColumnElement[bool]]]]:
    """The version's id in each table that is looked at, with what is asked of it there."""
    found: list[tuple[Any, list[ColumnElement[bool]]]] = []
    if chosen.label:
        found.append((version_labels.c.version_id, [version_labels.c.label == chosen.label]))
    if chosen.device is not None:
        passed = version_devices.c.result == Verdict.PASSED.value
        found.append((version_devices.c.version_id, [version_devices.c.device == chosen.device.value, passed]))
    if chosen.install_type:
        types = version_install_types.c
        found.append((types.version_id, [types.install_type == chosen.install_type]))
    words = [
        column.contains(part.casefold(), autoescape=True)
        for column, part in ((version_search.c.name, chosen.name), (version_search.c.text, chosen.text))
        if part
    ]
    if words:
        found.append((version_search.c.version_id, words))
    return found
