"""What the registry is asked, and what it answers beside single versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from airlock.domain.device import Device
from airlock.domain.record import VersionRow
from airlock.domain.smoke import SmokeReport
from airlock.domain.version import Stage, Status

MAX_PAGE = 200
#: Items that are counted exactly; of more a listing says only that there are more.
MAX_COUNTED = 10_000
#: Words of a search that are looked for one by one, because each costs a look at rows that have all before it.
MAX_SEARCH_WORDS = 8
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFilter:
    """Which versions are asked for; what is None or empty restricts nothing.

    Attributes:
        name: Part of the model's name, in any letter case.
        text: Words, each a part of the name, the description, a label, the engine, the runtime or the version's number,
            in any letter case.
        engine: The engine.
        status: Where it stands. Without it every version but the deleted ones.
        label: One of its labels.
        device: A device that it passed on.
        install_type: A deployment type that it may be used for.
        stage: How far it has come on its way into use.
        model_name: The model's whole name.
    """

    name: str = ""
    text: str = ""
    engine: str = ""
    status: Status | None = None
    label: str = ""
    device: Device | None = None
    install_type: str = ""
    stage: Stage | None = None
    model_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a listing.

    Attributes:
        limit: Most items, from 1 to `MAX_PAGE`.
        offset: Items that are left out before it.
    """

    limit: int = 50
    offset: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_PAGE or self.offset < 0:
            raise ValueError(f"no page: limit {self.limit}, offset {self.offset}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Item]):
    """One page of a listing.

    Attributes:
        items: What is on the page.
        total: How many there are on all pages.
        exact: Whether there are no more; else `total` is the least that there are.
    """

    items: tuple[Item, ...]
    total: int
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name that points to one version of a model and may be moved.

    Attributes:
        model_name: The model.
        alias: The name, such as `champion`.
        model_version: Where it points.
        set_by: The user who set it.
        set_at: When, seconds since 1970.
    """

    model_name: str
    alias: str
    model_version: str
    set_by: str
    set_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model and its versions.

    Attributes:
        model_name: The model.
        created_at: When its first version was reserved, seconds since 1970.
        statuses: Status → how many of its versions stand there, deleted ones included.
        aliases: Names that point to versions of it, by name.
        versions: The versions that match what was asked, newest first, at most as many as were asked for.
        matching: How many match.
    """

    model_name: str
    created_at: float
    statuses: Mapping[Status, int]
    aliases: tuple[Alias, ...]
    versions: tuple[VersionRow, ...]
    matching: int

    @property
    def version_count(self) -> int:
        """How many versions it has that are not deleted."""
        return sum(count for status, count in self.statuses.items() if status is not Status.DELETED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """What there is to filter by.

    Attributes:
        engines: Engine → versions that are not deleted.
        labels: Label → likewise, the most frequent ones.
        statuses: Status → versions, deleted ones included.
    """

    engines: Mapping[str, int]
    labels: Mapping[str, int]
    statuses: Mapping[Status, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what to a version.

    Attributes:
        at: When, seconds since 1970.
        actor: The user as Airflow names them; empty where a run was started by no user.
        action: What was done: `import`, `edit`, `delete`, `alias`, `stage`, `rebuild`.
        model_name: The model.
        model_version: The version.
        changes: What it was before and became, by field.
    """

    at: float
    actor: str
    action: str
    model_name: str
    model_version: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPoint:
    """How a version fared on one device at one time: at its import, and at every test after it.

    Attributes:
        at: When, seconds since 1970.
        device: The device.
        verdict: How the test ended.
        p50_ms: Median time of an answer in milliseconds, None where nothing was timed.
        p99_ms: 99th percentile likewise.
        ready_s: Seconds from start to the first successful prediction.
        peak_memory_bytes: Highest memory seen.
        run: The DAG run that tested it.
    """

    at: float
    device: Device
    verdict: str
    p50_ms: float | None
    p99_ms: float | None
    ready_s: float | None
    peak_memory_bytes: int | None
    run: str


def point_of(report: SmokeReport, at: float, run: str) -> HealthPoint:
    """A test's report as a point of the version's history."""
    return HealthPoint(
        at=at,
        device=report.device,
        verdict=report.verdict.value,
        p50_ms=report.latency.p50 if report.latency else None,
        p99_ms=report.latency.p99 if report.latency else None,
        ready_s=report.ready_s,
        peak_memory_bytes=report.peak_memory_bytes,
        run=run,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A value that is not the same in two versions.

    Attributes:
        field: Its place in the record, `/` between names.
        left: In the one; None where it has none.
        right: In the other.
    """

    field: str
    left: Any
    right: Any


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What differs between two records, by field; what is the same is left out."""
    found: list[Difference] = []

    def compare(at: str, one: Any, other: Any) -> None:
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            for name in sorted({*one, *other}):
                compare(f"{at}/{name}" if at else str(name), one.get(name), other.get(name))
        elif one != other:
            found.append(Difference(field=at, left=one, right=other))

    compare("", left, right)
    return tuple(found)


def search_text(
    model_name: str, model_version: str, description: str, labels: Sequence[str], engine: str, runtime: str
) -> str:
    """What a search by text looks at, in one letter case."""
    return "\n".join([model_name, description, *labels, engine, runtime, model_version]).casefold()


def search_words(text: str) -> tuple[str, ...]:
    """What a version's search text must hold, all of it, the longest first, which most versions lack.

    Of very many words the last ones are looked for as they stand, as one.
    """
    words = dict.fromkeys(text.casefold().strip().split(maxsplit=MAX_SEARCH_WORDS - 1))
    return tuple(sorted(words, key=len, reverse=True))
