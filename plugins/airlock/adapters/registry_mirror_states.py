"""What a mirror was last told of each version, kept in the registry's database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from airlock.adapters.registry_base import RegistryDatabase, guarded
from airlock.adapters.registry_tables import mirror_states, model_versions
from airlock.domain.version import EventKind


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorState:
    """What a mirror was last told.

    Attributes:
        number: The mirror's own number of the version; empty where it has none.
        aliases: The aliases that it was told.
        pending: Whether it has to be told again.
    """

    number: str = ""
    aliases: tuple[str, ...] = ()
    pending: bool = False


class SqlMirrorStates(RegistryDatabase):
    """Where it is kept; what goes wrong and what comes right again stands in the version's history."""

    @guarded
    def of(self, model_name: str, model_version: str) -> MirrorState:
        """What is known of a version."""
        query = (
            select(mirror_states)
            .join(model_versions, model_versions.c.id == mirror_states.c.version_id)
            .where(model_versions.c.model_name == model_name, model_versions.c.model_version == model_version)
        )
        with self.reader.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            return MirrorState()
        return MirrorState(number=row.number, aliases=tuple(row.aliases), pending=row.pending)

    @guarded
    def pending(self, limit: int) -> list[tuple[str, str]]:
        """Model and version of what has to be told again, the oldest version first."""
        query = (
            select(model_versions.c.model_name, model_versions.c.model_version)
            .join(mirror_states, mirror_states.c.version_id == model_versions.c.id)
            .where(mirror_states.c.pending.is_(True))
            .order_by(mirror_states.c.version_id)
            .limit(limit)
        )
        with self.reader.connect() as connection:
            return [(row.model_name, row.model_version) for row in connection.execute(query)]

    @guarded
    def told(self, model_name: str, model_version: str, state: MirrorState, event: str, kind: EventKind) -> None:
        """Keep what a mirror was told, or that it could not be told, with a line in the history where one is given."""
        with self.engine.begin() as connection:
            version_id = self._id(connection, model_name, model_version)
            values = {"number": state.number, "aliases": list(state.aliases), "pending": state.pending}
            known = connection.execute(
                update(mirror_states).where(mirror_states.c.version_id == version_id).values(**values)
            )
            if not known.rowcount:
                connection.execute(insert(mirror_states).values(version_id=version_id, **values))
            if event:
                self.write_event(connection, version_id, kind, event)

    @guarded
    def gone(self, model_name: str, model_version: str) -> None:
        """Forget a version that the mirror no longer has."""
        with self.engine.begin() as connection:
            version_id = self._id(connection, model_name, model_version)
            connection.execute(delete(mirror_states).where(mirror_states.c.version_id == version_id))

    @staticmethod
    def _id(connection: Connection, model_name: str, model_version: str) -> Any:
        return connection.execute(
            select(model_versions.c.id)
            .where(model_versions.c.model_name == model_name, model_versions.c.model_version == model_version)
            # Two that tell the mirror of one version at once write one row.
            .with_for_update()
        ).scalar_one()
