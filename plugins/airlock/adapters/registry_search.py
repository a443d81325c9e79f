"""Filters as SQL.

Each filter is a range of an index that is sorted by version already and holds the model's name, or a look at the short
rows of `version_search`. One of them drives the query and the others are looked up for what it gives, so that the
narrowest must drive. PostgreSQL finds that out by itself; SQLite knows averages at best, so it is counted for it.
What goes with a version goes when it is deleted, so that only filters on the version's own row must say that it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from airlock.adapters.registry_tables import (
    model_versions,
    models,
    version_devices,
    version_install_types,
    version_labels,
    version_search,
)
from airlock.domain.registered import MAX_COUNTED, VersionFilter, search_words
from airlock.domain.smoke import Verdict
from airlock.domain.version import Status


@dataclass(frozen=True, slots=True)
class _Part:
    """What is asked of one table: the version's id and model there, the conditions, whether an index has the range."""

    version_id: Any
    model_name: Any
    conditions: list[ColumnElement[bool]]
    indexed: bool


def matching(connection: Connection, chosen: VersionFilter) -> Select[Any]:
    """A query for id and model of the versions that match, newest first: for all versions there are."""
    parts = _parts(chosen)
    own = _own(chosen)
    if own:
        # By stage alone no index finds anything.
        indexed = bool(chosen.model_name or chosen.engine or chosen.status)
        parts.append(_Part(model_versions.c.id, model_versions.c.model_name, [*own, *_not_deleted(chosen)], indexed))
    if not parts:
        # Every version that is not deleted has a row there, and no deleted one.
        parts.append(_Part(version_search.c.version_id, version_search.c.model_name, [], True))
    driver, *others = sorted(parts, key=lambda part: _width(connection, part)) if len(parts) > 1 else parts
    looked_up = [
        select(literal_column("1")).where(part.version_id == driver.version_id, *part.conditions).exists()
        for part in others
    ]
    return (
        select(driver.version_id.label("id"), driver.model_name.label("model_name"))
        .where(*driver.conditions, *looked_up)
        .order_by(driver.version_id.desc())
    )


def _width(connection: Connection, part: _Part) -> int:
    """How many versions a part gives, as far as it matters; what no index finds comes last."""
    if not part.indexed:
        return MAX_COUNTED + 1
    if connection.dialect.name != "sqlite":
        return 0
    found = select(part.version_id).where(*part.conditions).limit(MAX_COUNTED).subquery()
    count: int = connection.execute(select(func.count()).select_from(found)).scalar_one()
    return count


def matches(chosen: VersionFilter) -> list[ColumnElement[bool]]:
    """Conditions on a row of `model_versions`: for the versions of a few models."""
    # An offset keeps PostgreSQL from walking everything that a filter finds, to look up the versions of a few models.
    looked_up = [
        select(literal_column("1")).where(part.version_id == model_versions.c.id, *part.conditions).offset(0).exists()
        for part in _parts(chosen)
    ]
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


def _parts(chosen: VersionFilter) -> list[_Part]:
    """What is asked of other tables than the version's own."""
    found: list[_Part] = []
    labels, devices, types, words = (
        table.c for table in (version_labels, version_devices, version_install_types, version_search)
    )
    if chosen.label:
        found.append(_Part(labels.version_id, labels.model_name, [labels.label == chosen.label], True))
    if chosen.device is not None:
        passed = [devices.device == chosen.device.value, devices.result == Verdict.PASSED.value]
        found.append(_Part(devices.version_id, devices.model_name, passed, True))
    if chosen.install_type:
        wanted = [types.install_type == chosen.install_type]
        found.append(_Part(types.version_id, types.model_name, wanted, True))
    said: list[ColumnElement[bool]] = []
    if chosen.name:
        # There are far fewer models than versions. Their names hold no letter that `lower` knows differently anywhere.
        part = func.lower(models.c.name).contains(chosen.name.lower(), autoescape=True)
        said.append(words.model_name.in_(select(models.c.name).where(part)))
    said += [words.text.contains(word, autoescape=True) for word in search_words(chosen.text)]
    if said:
        found.append(_Part(words.version_id, words.model_name, said, False))
    return found
