"""A registered version as another model registry shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from airlock.domain.record import VersionRow
from airlock.domain.source import Scheme, SourceLocation

#: The tag by which a version is found again.
VERSION_TAG = "airlock.version"
MAX_TAG_CHARACTERS = 5000
# What MLflow reads as a number of a version or as the newest one.
_RESERVED = re.compile(r"latest|v[0-9]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredVersion:
    """What a mirror shall show.

    Attributes:
        model_name: The model.
        model_version: The version's own number; mirrors count by themselves.
        source: Where its package came from.
        description: Brief text.
        tags: Name → what else is known.
        aliases: Names that point to it, without those that a mirror has another meaning for.
    """

    model_name: str
    model_version: str
    source: str
    description: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]


def mirrored(row: VersionRow) -> MirroredVersion:
    """A registered version as a mirror shall show it."""
    source = SourceLocation.parse(row.source)
    # A folder of a worker says nothing elsewhere, and servers refuse such places.
    is_shared = source is not None and source.scheme is not Scheme.FILE
    tags = {
        VERSION_TAG: row.model_version,
        "airlock.status": row.status.value,
        "airlock.stage": row.stage.value,
        "airlock.engine": row.engine,
        "airlock.runtime": row.runtime,
        "airlock.package": row.package_digest,
        "airlock.image": row.image_digest,
        "airlock.install_type": ", ".join(row.install_type),
        "airlock.labels": ", ".join(row.labels),
        "airlock.run": row.run,
        **{f"airlock.device.{device}": result for device, result in row.devices.items()},
    }
    return MirroredVersion(
        model_name=row.model_name,
        model_version=row.model_version,
        source=row.source if is_shared else f"airlock:/{row.package_digest}",
        description=row.description,
        tags={name: value[:MAX_TAG_CHARACTERS] for name, value in tags.items()},
        aliases=tuple(alias for alias in row.aliases if not _RESERVED.fullmatch(alias)),
    )
