"""Model versions: their numbers, their statuses, and what is recorded of them."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from airlock.domain.findings import shown
from airlock.errors import AliasRefused

MAX_PART = 99
#: A name that points to a version; for `re.fullmatch` and for the API's description alike.
ALIAS_FORM = r"^[A-Za-z][0-9A-Za-z_\-]{0,63}$"
_FORM = re.compile(r"(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)")


class Status(enum.StrEnum):
    """Where a version stands."""

    IMPORTING = "Importing"
    NORMAL = "Normal"
    ABNORMAL = "Abnormal"
    FAILED = "Failed"
    DELETED = "Deleted"


class Stage(enum.StrEnum):
    """How far a version has come on its way into use; who sets it decides, and is recorded."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


class EventKind(enum.StrEnum):
    """Whether an event is part of the ordinary course."""

    NORMAL = "Normal"
    ABNORMAL = "Abnormal"


@dataclass(frozen=True, slots=True, order=True)
class VersionNumber:
    """A version `N.N.N`, each part from 0 to 99.

    Source: Importing a meta model from OBS, table 2.
    """

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> VersionNumber | None:
        """The number that `text` spells, or None where it has another form."""
        match = _FORM.fullmatch(text)
        return cls(int(match[1]), int(match[2]), int(match[3])) if match else None

    def next(self) -> VersionNumber | None:
        """The next patch number, carried over where a part is full; None after 99.99.99."""
        for major, minor, patch in (
            (self.major, self.minor, self.patch + 1),
            (self.major, self.minor + 1, 0),
            (self.major + 1, 0, 0),
        ):
            if max(major, minor, patch) <= MAX_PART:
                return VersionNumber(major, minor, patch)
        return None

    @property
    def rank(self) -> int:
        """The number as one that sorts as versions do."""
        return (self.major * (MAX_PART + 1) + self.minor) * (MAX_PART + 1) + self.patch

    @classmethod
    def of_rank(cls, rank: int) -> VersionNumber:
        """The number with this rank."""
        rest, patch = divmod(rank, MAX_PART + 1)
        return cls(*divmod(rest, MAX_PART + 1), patch)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


FIRST_VERSION = VersionNumber(0, 0, 1)


def next_version(taken: Iterable[str]) -> VersionNumber | None:
    """The version that an import without one gets.

    Args:
        taken: Every version of the model that was ever reserved, deleted ones included.

    Returns:
        0.0.1 for a new model, else the one after the highest; None when 99.99.99 is taken.
    """
    numbers = [number for number in map(VersionNumber.parse, taken) if number is not None]
    return max(numbers).next() if numbers else FIRST_VERSION


def check_alias(alias: str) -> None:
    """Whether a name can be a version's alias.

    Raises:
        AliasRefused: It breaks its form.
    """
    if not re.fullmatch(ALIAS_FORM, alias):
        raise AliasRefused(
            "REG012",
            f"The alias {shown(alias)} breaks its form.",
            "Write at most 64 letters, digits, - and _, beginning with a letter.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """The DAG run that does an import: two tries of one run are the same importer, two runs never are.

    Attributes:
        dag_id: Airflow's DAG id.
        run_id: Airflow's run id.
    """

    dag_id: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.dag_id}/{self.run_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A version that one run may import: the lock against every other.

    Attributes:
        model_name: The model's name.
        model_version: The version's number as text.
        run: The run that holds it.
    """

    model_name: str
    model_version: str
    run: RunRef

    def __str__(self) -> str:
        return f"{self.model_name} {self.model_version}"
