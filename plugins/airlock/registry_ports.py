"""The registry as those see it who look at models and change them; importers see `airlock.ports.registry`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from airlock.domain.notification import Delivery
from airlock.domain.record import Event, ModelVersion, VersionRow
from airlock.domain.registered import Alias, AuditEntry, Facets, HealthPoint, Listing, ModelRow, Page, VersionFilter
from airlock.domain.request import Changes
from airlock.domain.sweeping import Standing, SweepState
from airlock.domain.version import RunRef, Stage

VERSIONS_OF_A_MODEL = 5


class RegistryReader(Protocol):
    """Looks, and changes nothing. Every method raises RegistryUnavailable where the database does not answer."""

    def find(self, model_name: str, model_version: str) -> VersionRow | None:
        """One version, deleted or not, with its record and its events."""

    def versions(self, chosen: VersionFilter, page: Page) -> Listing[VersionRow]:
        """Versions without details and events, newest first."""

    def models(self, chosen: VersionFilter, page: Page, versions_each: int = VERSIONS_OF_A_MODEL) -> Listing[ModelRow]:
        """Models with a version that matches, and these versions, the model with the newest one first.

        Args:
            chosen: Which versions.
            page: Which models.
            versions_each: Most versions that a model is given with.
        """

    def model(self, model_name: str, versions_each: int = VERSIONS_OF_A_MODEL) -> ModelRow | None:
        """One model, None where no version of it was ever reserved."""

    def events(self, model_name: str, model_version: str, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """A version's history after the event with that id, oldest first."""

    def audit(self, page: Page, model_name: str = "", model_version: str = "") -> Listing[AuditEntry]:
        """Who did what, newest first."""

    def health(self, model_name: str, model_version: str, limit: int = 1000) -> Sequence[HealthPoint]:
        """How a version fared at each test, oldest first; the last `limit` of them."""

    def alias(self, model_name: str, alias: str) -> Alias | None:
        """Where an alias points."""

    def facets(self) -> Facets:
        """What there is to filter by."""

    def deliveries(self, page: Page, model_name: str = "", model_version: str = "") -> Listing[Delivery]:
        """What became of each notification, newest first."""


class RegistryEditor(Protocol):
    """What users change. Each change leaves an event and an audit entry in the same transaction.

    Every method raises NoSuchVersion where the version is not there or deleted, and RegistryUnavailable where the
    database does not answer.
    """

    def edit(self, model_name: str, model_version: str, changes: Changes, actor: str) -> VersionRow:
        """Change description and labels."""

    def delete(self, model_name: str, model_version: str, actor: str) -> None:
        """Delete a version for good: its record goes, its number is never given again, its history stays.

        Raises:
            VersionBusy: A run rebuilds it.
        """

    def set_alias(self, model_name: str, alias: str, model_version: str, actor: str) -> Alias:
        """Point an alias to a version, from wherever it pointed before.

        Raises:
            VersionBusy: The version is not Normal.
            AliasRefused: The name cannot be an alias.
        """

    def remove_alias(self, model_name: str, alias: str, actor: str) -> None:
        """Remove an alias.

        Raises:
            NoSuchVersion: There is no such alias.
        """

    def set_stage(self, model_name: str, model_version: str, stage: Stage, actor: str) -> VersionRow:
        """Say how far a version has come on its way into use."""


class Sweeps(Protocol):
    """The registry for sweeps. Every method raises RegistryUnavailable where the database does not answer."""

    def standings(self, model_names: Collection[str] = (), model_version: str = "") -> Sequence[Standing]:
        """Every version that is Normal or Abnormal: of these models or of all, and with a version that one of each."""

    def standings_of(self, versions: Collection[tuple[str, str]]) -> Sequence[Standing]:
        """Those of these (name, version) that are Normal or Abnormal."""

    def record(self, model_name: str, model_version: str) -> ModelVersion:
        """All that was found out about a version.

        Raises:
            NoSuchVersion: It has no record: it was deleted.
            VersionBusy: Another release wrote its record.
        """

    def remember(self, run: RunRef, states: Mapping[tuple[str, str], SweepState]) -> None:
        """Write what sweeps remember of versions, (name, version) → state, in place of what they did."""

    def tried(self, versions: Collection[tuple[str, str]]) -> None:
        """Write that these (name, version) are looked at now, whatever comes of it: so they come last next time."""
