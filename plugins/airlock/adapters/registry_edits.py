"""The registry as users change it: each change with its event and its audit entry, in one transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from airlock.adapters.registry_base import RegistryDatabase, guarded
from airlock.adapters.registry_records import PARTS, keep_search, labels_of, replace_labels, version_rows
from airlock.adapters.registry_tables import aliases, model_versions, models
from airlock.domain.record import VersionRow
from airlock.domain.registered import Alias
from airlock.domain.request import Changes
from airlock.domain.version import EventKind, Stage, Status, check_alias
from airlock.errors import NoSuchVersion, VersionBusy


class SqlRegistryEditor(RegistryDatabase):
    """The registry for those who change models."""

    @guarded
    def edit(self, model_name: str, model_version: str, changes: Changes, actor: str) -> VersionRow:
        """Change description and labels."""
        with self.engine.begin() as connection:
            row = self._live(connection, model_name, model_version)
            before = labels_of(connection, row.id)
            labels = before if changes.labels is None else tuple(sorted(changes.labels))
            description = row.description if changes.description is None else changes.description
            changed = {
                name: {"from": old, "to": new}
                for name, old, new in (
                    ("description", row.description, description),
                    ("labels", list(before), list(labels)),
                )
                if old != new
            }
            if changed:
                replace_labels(connection, row.id, model_name, labels)
                keep_search(connection, row.id, model_name, model_version, description, labels, row.engine, row.runtime)
                self._change(connection, row.id, description=description)
                told = " and ".join(changed)
                self._tell(connection, row, actor, "edit", f"{told.capitalize()} updated by {actor}.", **changed)
            return self._again(connection, row.id)

    @guarded
    def delete(self, model_name: str, model_version: str, actor: str) -> None:
        """Delete a version for good: its record goes, its number is never given again, its history stays."""
        with self.engine.begin() as connection:
            row = self._live(connection, model_name, model_version)
            # Importers lock the model's row before they count labels, so do we.
            connection.execute(update(models).where(models.c.name == model_name).values(live=models.c.live - 1))
            replace_labels(connection, row.id, model_name, ())
            for table in PARTS:
                connection.execute(delete(table).where(table.c.version_id == row.id))
            self._change(
                connection, row.id,
                status=Status.DELETED.value, reason="", description="", source="", engine="", runtime="",
                size_bytes=None, package_digest="", image_digest="", stage=Stage.NONE.value,
                rebuild_dag_id="", rebuild_run_id="",
            )  # fmt: skip
            self._tell(
                connection, row, actor, "delete", f"Deleted by {actor}.",
                status={"from": row.status, "to": Status.DELETED.value},
                package_digest={"from": row.package_digest, "to": ""},
                image_digest={"from": row.image_digest, "to": ""},
            )  # fmt: skip

    @guarded
    def set_alias(self, model_name: str, alias: str, model_version: str, actor: str) -> Alias:
        """Point an alias to a version, from wherever it pointed before."""
        check_alias(alias)
        with self.engine.begin() as connection:
            # Both ends are locked in one order, by the model's own row.
            connection.execute(select(models.c.name).where(models.c.name == model_name).with_for_update())
            row = self._live(connection, model_name, model_version)
            if row.status != Status.NORMAL.value:
                raise VersionBusy(
                    "REG009",
                    f"{model_name} {model_version} has status {row.status}.",
                    "An alias points to a version with status Normal.",
                )
            before = self._pointed(connection, model_name, alias)
            now = self.clock.now()
            if before is None or before.id != row.id:
                self._unpoint(connection, model_name, alias)
                connection.execute(
                    insert(aliases).values(
                        model_name=model_name, alias=alias, version_id=row.id, set_by=actor, set_at=now
                    )
                )
                was = before.model_version if before else None
                told = f"Alias {alias} set by {actor}" + (f", it was {was}'s." if was else ".")
                version = {"from": was, "to": model_version}
                self._tell(connection, row, actor, "alias", told, alias=alias, version=version)
                if before:
                    text = f"Alias {alias} moved to {model_version} by {actor}."
                    self.write_event(connection, before.id, EventKind.NORMAL, text, actor=actor)
                return Alias(model_name=model_name, alias=alias, model_version=model_version, set_by=actor, set_at=now)
            return Alias(
                model_name=model_name,
                alias=alias,
                model_version=model_version,
                set_by=before.set_by,
                set_at=before.set_at,
            )

    @guarded
    def remove_alias(self, model_name: str, alias: str, actor: str) -> None:
        """Remove an alias."""
        with self.engine.begin() as connection:
            before = self._pointed(connection, model_name, alias)
            if before is None:
                raise NoSuchVersion("REG011", f"{model_name} has no alias {alias}.", "Look at its aliases.")
            self._unpoint(connection, model_name, alias)
            version = {"from": before.model_version, "to": None}
            self._tell(
                connection, before, actor, "alias", f"Alias {alias} removed by {actor}.", alias=alias, version=version
            )

    @guarded
    def set_stage(self, model_name: str, model_version: str, stage: Stage, actor: str) -> VersionRow:
        """Say how far a version has come on its way into use."""
        with self.engine.begin() as connection:
            row = self._live(connection, model_name, model_version)
            if row.status != Status.NORMAL.value and stage in (Stage.STAGING, Stage.PRODUCTION):
                raise VersionBusy(
                    "REG009",
                    f"{model_name} {model_version} has status {row.status}.",
                    f"Only a version with status Normal comes into {stage.value}.",
                )
            if row.stage != stage.value:
                self._change(connection, row.id, stage=stage.value)
                told = f"Stage {stage.value} set by {actor}, it was {row.stage}."
                self._tell(connection, row, actor, "stage", told, stage={"from": row.stage, "to": stage.value})
            return self._again(connection, row.id)

    # ── within a transaction ─────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def _live(connection: Connection, model_name: str, model_version: str) -> Any:
        row = connection.execute(
            select(model_versions)
            .where(model_versions.c.model_name == model_name, model_versions.c.model_version == model_version)
            .with_for_update()
        ).first()
        if row is None or row.status == Status.DELETED.value:
            gone = "was deleted" if row else "does not exist"
            raise NoSuchVersion("REG008", f"{model_name} {model_version} {gone}.", "Look at the list of models.")
        return row

    def _change(self, connection: Connection, version_id: int, **values: Any) -> None:
        connection.execute(
            update(model_versions)
            .where(model_versions.c.id == version_id)
            .values(updated_at=self.clock.now(), **values)
        )

    def _tell(self, connection: Connection, row: Any, actor: str, action: str, text: str, **changes: Any) -> None:
        self.write_event(connection, row.id, EventKind.NORMAL, text, actor=actor)
        self.write_audit(connection, actor, action, row.model_name, row.model_version, **changes)

    @staticmethod
    def _pointed(connection: Connection, model_name: str, alias: str) -> Any:
        return connection.execute(
            select(model_versions, aliases.c.set_by, aliases.c.set_at)
            .join(aliases, aliases.c.version_id == model_versions.c.id)
            .where(aliases.c.model_name == model_name, aliases.c.alias == alias)
            .with_for_update()
        ).first()

    @staticmethod
    def _unpoint(connection: Connection, model_name: str, alias: str) -> None:
        connection.execute(delete(aliases).where(aliases.c.model_name == model_name, aliases.c.alias == alias))

    @staticmethod
    def _again(connection: Connection, version_id: int) -> VersionRow:
        rows = connection.execute(select(model_versions).where(model_versions.c.id == version_id)).all()
        return version_rows(connection, rows, whole=True)[0]
