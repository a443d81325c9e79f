"""A registry whose registered versions another one mirrors.

A mirror is told what a version is now, never what was done to it: being told twice, late or out of order does no harm,
and whatever could not be told is told with the next change. Nothing here fails what it follows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airlock.adapters.registry_mirror_states import MirrorState, SqlMirrorStates
from airlock.domain.mirror import mirrored
from airlock.domain.record import ModelVersion, VersionRow
from airlock.domain.registered import MAX_COUNTED, MAX_PAGE, Alias, HealthPoint, Page, VersionFilter
from airlock.domain.request import Changes
from airlock.domain.revalidation import Seen
from airlock.domain.version import EventKind, RunRef, Stage, Status
from airlock.errors import AirlockError, MirrorRefused, MirrorUnavailable
from airlock.ports.model_mirror import ModelMirror
from airlock.ports.registry import Registry
from airlock.registry_ports import RegistryEditor, RegistryReader

log = logging.getLogger(__name__)
#: What is told again after one change; somebody may wait for it.
MAX_AGAIN = 20


class Mirroring:
    """Tells a mirror.

    Args:
        mirror: The mirror.
        states: What it was told.
        reader: The registry.
    """

    def __init__(self, mirror: ModelMirror, states: SqlMirrorStates, reader: RegistryReader) -> None:
        self._mirror = mirror
        self._states = states
        self._reader = reader

    def changed(self, *versions: tuple[str, str]) -> None:
        """Tell of these versions, by model and number, and of what could not be told before. Never fails."""
        try:
            answers = True
            for version in dict.fromkeys([*versions, *self._states.pending(MAX_AGAIN)]):
                if answers or version in versions:
                    answers = self._tell(*version, answers=answers)
        except AirlockError as error:
            log.warning("The mirror's state cannot be kept: %s", error)

    def catch_up(self) -> int:
        """Tell of every registered version, and of what could not be told before; how many those were.

        Raises:
            MirrorUnavailable: The mirror does not answer; what it was told before that, it was told.
            MirrorRefused: It does not take one.
        """
        told = 0
        for version in [*self._registered(), *self._states.pending(MAX_COUNTED)]:
            self._follow(*version, self._states.of(*version))
            told += 1
        return told

    def _registered(self) -> Iterator[tuple[str, str]]:
        for status in (Status.NORMAL, Status.ABNORMAL):
            page = Page(limit=MAX_PAGE)
            while rows := self._reader.versions(VersionFilter(status=status), page).items:
                yield from ((row.model_name, row.model_version) for row in rows)
                page = replace(page, offset=page.offset + MAX_PAGE)

    def _tell(self, model_name: str, model_version: str, *, answers: bool) -> bool:
        """Tell of one version, or note that it must be told later; whether it is worth asking for more."""
        before = self._states.of(model_name, model_version)
        try:
            if not answers:
                raise MirrorUnavailable("MIR002", "MLflow did not answer a moment ago.", "Check that it runs.")
            self._follow(model_name, model_version, before)
        except (MirrorUnavailable, MirrorRefused) as error:
            log.warning("%s %s is not mirrored: %s", model_name, model_version, error)
            told = "" if before.pending else f"Not mirrored, the next change tries again: {error}"
            later = replace(before, pending=True)
            self._states.told(model_name, model_version, later, told, EventKind.ABNORMAL)
            return isinstance(error, MirrorRefused)
        return True

    def _follow(self, model_name: str, model_version: str, before: MirrorState) -> None:
        row = self._reader.find(model_name, model_version)
        if row is None or not (before.number or before.pending or row.summary):
            # It was never registered.
            return
        if row.status is Status.DELETED:
            if before.number:
                self._mirror.drop(model_name, before.number)
            self._states.gone(model_name, model_version)
            return
        version = mirrored(row)
        number = self._mirror.keep(version, before.number, set(before.aliases) - set(version.aliases))
        is_new = number != before.number or before.pending
        told = f"Mirrored as version {number} of MLflow's model." if is_new else ""
        now = MirrorState(number=number, aliases=version.aliases)
        if now != before:
            self._states.told(model_name, model_version, now, told, EventKind.NORMAL)


class MirroringRegistry:
    """Does what a registry does, and tells the mirror afterwards.

    Args:
        registry: The registry as importers see it.
        mirroring: Who tells it.
    """

    def __init__(self, registry: Registry, mirroring: Mirroring) -> None:
        self._registry = registry
        self._mirroring = mirroring

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    def complete(self, version: ModelVersion, details: Mapping[str, Any]) -> None:
        """Make the version Normal, and mirror it."""
        self._registry.complete(version, details)
        held = version.accepted.reservation
        self._mirroring.changed((held.model_name, held.model_version))

    def judge(
        self,
        model_name: str,
        model_version: str,
        run: RunRef,
        points: Sequence[HealthPoint],
        reason: str,
        told: Sequence[str] = (),
        seen: Seen | None = None,
    ) -> bool:
        """Keep a later test, and mirror the version's status where it changed."""
        changed = self._registry.judge(model_name, model_version, run, points, reason, told, seen)
        if changed:
            self._mirroring.changed((model_name, model_version))
        return changed


class MirroringEditor:
    """Does what an editor does, and tells the mirror afterwards.

    Args:
        editor: The registry for those who change models.
        mirroring: Who tells it.
        reader: The registry for those who look.
    """

    def __init__(self, editor: RegistryEditor, mirroring: Mirroring, reader: RegistryReader) -> None:
        self._editor = editor
        self._mirroring = mirroring
        self._reader = reader

    def edit(self, model_name: str, model_version: str, changes: Changes, actor: str) -> VersionRow:
        """Change description and labels."""
        row = self._editor.edit(model_name, model_version, changes, actor)
        self._mirroring.changed((model_name, model_version))
        return row

    def delete(self, model_name: str, model_version: str, actor: str) -> None:
        """Delete a version for good, here and there."""
        self._editor.delete(model_name, model_version, actor)
        self._mirroring.changed((model_name, model_version))

    def set_alias(self, model_name: str, alias: str, model_version: str, actor: str) -> Alias:
        """Point an alias to a version, from wherever it pointed before."""
        before = self._reader.alias(model_name, alias)
        pointed = self._editor.set_alias(model_name, alias, model_version, actor)
        # The new one first: there is no moment in which the mirror has the alias nowhere.
        left = [(model_name, before.model_version)] if before else []
        self._mirroring.changed((model_name, model_version), *left)
        return pointed

    def remove_alias(self, model_name: str, alias: str, actor: str) -> None:
        """Remove an alias."""
        before = self._reader.alias(model_name, alias)
        self._editor.remove_alias(model_name, alias, actor)
        if before:
            self._mirroring.changed((model_name, before.model_version))

    def set_stage(self, model_name: str, model_version: str, stage: Stage, actor: str) -> VersionRow:
        """Say how far a version has come on its way into use."""
        row = self._editor.set_stage(model_name, model_version, stage, actor)
        self._mirroring.changed((model_name, model_version))
        return row
