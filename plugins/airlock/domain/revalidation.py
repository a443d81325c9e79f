"""What is made of a version that was looked at again: fit, unfit with a reason, or not decided."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airlock.domain.device import Device
from airlock.domain.device_comparison import compare_answers
from airlock.domain.expectations import SuiteReport
from airlock.domain.registered import HealthPoint
from airlock.domain.smoke import TOLERANCE, SmokeReport, Verdict
from airlock.domain.sweeping import Note, Standing, SweepPlan, SweepState, Why
from airlock.domain.version import Status

#: The suite that judges the registry as a table.
SWEEP_SUITE = "sweep"
#: A median so many times those before it, and so many milliseconds more, is told.
SLOWER_TIMES, SLOWER_MS = 3.0, 20.0
#: Memory so many times that before it, and so many bytes more, is told.
MORE_MEMORY_TIMES, MORE_MEMORY_BYTES = 1.5, 50_000_000
#: Earlier measurements that are compared with.
MAX_HISTORY = 30

DRIFTED = "RVL001"
IMAGE_GONE = "RVL002"
SOURCE_GONE = "RVL003"
SOURCE_CHANGED = "RVL004"
SLOWER = "RVL005"
MORE_MEMORY = "RVL006"
NOT_TESTED = "RVL007"
NOT_COMPARED = "RVL008"
#: Notes that a check makes; the others are a test's, and stay until the next one.
CHECK_NOTES = (SOURCE_GONE, SOURCE_CHANGED)


class Outcome(enum.StrEnum):
    """What became of a version in a sweep."""

    FIT = "fit"
    RETURNED = "fit again"
    UNFIT = "found unfit"
    STILL_UNFIT = "still unfit"
    UNDECIDED = "not decided"
    OVERTAKEN = "changed meanwhile"


#: Outcomes that change a version's status.
CHANGES = (Outcome.RETURNED, Outcome.UNFIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that makes a version unfit.

    Attributes:
        code: Stable code.
        text: What is wrong, as sentences, without the code.
    """

    code: str
    text: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a version was when it was looked at: what is found of it holds for nothing else.

    Attributes:
        status: Where it stood.
        reason: Why it stood there.
        image_digest: Its image.
    """

    status: Status
    reason: str
    image_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found of a version without starting its service.

    Attributes:
        model_name: The model.
        model_version: The version.
        status: Where it stood.
        reason: Why it stood there.
        image_digest: The image that was looked for.
        why: Why it was looked at.
        problems: What makes it unfit.
        undecided: Why it could not be looked at; empty where it could.
        overtaken: Whether it was deleted, judged by somebody else, or its image made again, since the sweep began.
        notes: What was noticed beside.
        devices: What its service is to be tested on; none where it is not tested.
        passed_on: What it has passed on when it was imported.
        bytes_read: Stored bytes that were read.
        before: What sweeps remembered; None where this is the first one.
        state: What they will.
    """

    model_name: str
    model_version: str
    status: Status
    reason: str
    image_digest: str
    why: tuple[Why, ...]
    problems: tuple[Problem, ...] = ()
    undecided: str = ""
    overtaken: bool = False
    notes: tuple[Note, ...] = ()
    devices: tuple[Device, ...] = ()
    passed_on: tuple[Device, ...] = ()
    bytes_read: int = 0
    before: SweepState | None = None
    state: SweepState

    def __str__(self) -> str:
        return f"{self.model_name} {self.model_version}"

    @property
    def seen(self) -> Seen:
        """What it was when it was looked at."""
        return Seen(status=self.status, reason=self.reason, image_digest=self.image_digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retest:
    """What a later test of a version found on one device.

    Attributes:
        model_name: The model.
        model_version: The version.
        device: The device.
        passed: Whether it answered as it should.
        problem: Why it did not; None where it did, or could not be tested.
        undecided: Why it could not be tested; empty where it was.
        notes: What was noticed beside.
        point: What was measured, for the version's history; None where nothing was tested.
        told: The test as sentences of the version's history.
    """

    model_name: str
    model_version: str
    device: Device
    passed: bool = False
    problem: Problem | None = None
    undecided: str = ""
    notes: tuple[Note, ...] = ()
    point: HealthPoint | None = None
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a version is from now on.

    Attributes:
        outcome: What became of it.
        reason: Why it is unfit, or was not decided, code first; empty where it is fit.
    """

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRow:
    """One version of a sweep's summary.

    Attributes:
        model_name: The model.
        model_version: The version.
        outcome: What became of it.
        reason: Why.
        why: Why it was looked at.
        devices: Where its service was tested.
        notes: What was noticed beside.
    """

    model_name: str
    model_version: str
    outcome: Outcome
    reason: str
    why: tuple[Why, ...]
    devices: tuple[Device, ...]
    notes: tuple[Note, ...]

    @property
    def tells(self) -> bool:
        """Whether there is more to say than that nothing changed."""
        return self.outcome is not Outcome.FIT or bool(self.devices or self.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPart:
    """What became of some versions of a sweep.

    Attributes:
        counts: Outcome → how many.
        rows: Those of which there is something to tell.
        tests: How many services were started.
        bytes_read: Stored bytes that were read.
    """

    counts: dict[Outcome, int]
    rows: tuple[SweepRow, ...]
    tests: int
    bytes_read: int

    @classmethod
    def of(cls, rows: Sequence[SweepRow], bytes_read: int) -> SweepPart:
        """The part of these versions."""
        counts = {outcome: sum(row.outcome is outcome for row in rows) for outcome in Outcome}
        return cls(
            counts={outcome: count for outcome, count in counts.items() if count},
            rows=tuple(row for row in rows if row.tells),
            tests=sum(len(row.devices) for row in rows),
            bytes_read=bytes_read,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What one sweep did.

    Attributes:
        at: When it ended, seconds since 1970.
        asked: The model and version that was asked for by name; empty for what was due.
        registered: Versions that could be looked at.
        due: Versions that were due.
        later: Versions that have to wait for a later sweep.
        untested: Versions that were checked without the test that they are due for.
        counts: Outcome → how many.
        rows: The versions of which there is something to tell, what changed first.
        left_out: Rows that were too many.
        tests: How many services were started.
        bytes_read: Stored bytes that were read.
        lost: Versions of which nothing is known: their task was killed.
        registry: What the installation expects of its registry; None where that was not judged.
    """

    at: float
    asked: str
    registered: int
    due: int
    later: int
    untested: int
    counts: dict[Outcome, int]
    rows: tuple[SweepRow, ...]
    left_out: int
    tests: int
    bytes_read: int
    lost: int
    registry: SuiteReport | None = None

    @property
    def looked_at(self) -> int:
        """Versions that were looked at."""
        return sum(self.counts.values())


MAX_ROWS = 2000
#: What stands first in a summary.
_ORDER = (Outcome.UNFIT, Outcome.RETURNED, Outcome.UNDECIDED, Outcome.STILL_UNFIT, Outcome.OVERTAKEN, Outcome.FIT)


def report_of(plan: SweepPlan, parts: Iterable[SweepPart], at: float, lost: int) -> SweepReport:
    """The summary of a sweep's parts."""
    parts = list(parts)
    rows = sorted(
        (row for part in parts for row in part.rows),
        key=lambda row: (_ORDER.index(row.outcome), row.model_name, row.model_version),
    )
    return SweepReport(
        at=at,
        asked=plan.asked,
        registered=plan.registered,
        due=plan.due,
        later=plan.later,
        untested=plan.untested,
        counts={outcome: count for outcome in Outcome if (count := sum(part.counts.get(outcome, 0) for part in parts))},
        rows=tuple(rows[:MAX_ROWS]),
        left_out=max(0, len(rows) - MAX_ROWS),
        tests=sum(part.tests for part in parts),
        bytes_read=sum(part.bytes_read for part in parts),
        lost=lost,
    )


def decide(checked: Checked, tested: Sequence[Retest]) -> Decision:
    """What a version is from now on.

    An Abnormal version is fit again when every device that it was to be tested on has passed, and not because a check
    without a test found nothing. What could not be looked at stays what it was.
    """
    if checked.overtaken:
        return Decision(outcome=Outcome.OVERTAKEN)
    problems = [*checked.problems, *(test.problem for test in tested if test.problem is not None)]
    if problems:
        known = checked.status is Status.ABNORMAL
        reason = " ".join(map(str, problems))
        return Decision(outcome=Outcome.STILL_UNFIT if known else Outcome.UNFIT, reason=reason)
    undecided = " ".join(filter(None, [checked.undecided, *(test.undecided for test in tested)]))
    if undecided:
        return Decision(outcome=Outcome.UNDECIDED, reason=undecided)
    if checked.status is Status.NORMAL:
        return Decision(outcome=Outcome.FIT)
    if tested and all(test.passed for test in tested):
        return Decision(outcome=Outcome.RETURNED)
    return Decision(outcome=Outcome.STILL_UNFIT, reason=checked.reason)


def drift(now: SmokeReport, before: SmokeReport) -> Problem | Note | None:
    """What to say of a version's answers beside those that it gave when it was imported.

    Args:
        now: The test of today.
        before: The test whose answers are kept.

    Returns:
        A problem where they differ beyond the tolerance, a note where nothing could be compared, else nothing.
    """
    found = compare_answers(now, before)
    tolerance = min((pair.tolerance for pair in before.golden), default=TOLERANCE)
    where = f" ({found.place})" if found.place else ""
    if found.note:
        text = f"The answers on {now.device.value} were not compared with those of the import: {found.note}."
        return Note(code=NOT_COMPARED, text=text)
    if found.unlike:
        text = f"The answers on {now.device.value} are no longer those of the import: {found.unlike}{where}."
        return Problem(code=DRIFTED, text=text)
    if (found.largest or 0.0) > tolerance:
        text = (
            f"The answers on {now.device.value} differ from those of the import by a share of {found.largest:.2g} in "
            f"{found.compared} values{where}; {tolerance:g} is allowed. The model, or something that its code asks, "
            "has changed."
        )
        return Problem(code=DRIFTED, text=text)
    return None


def costs_more(now: SmokeReport, history: Iterable[HealthPoint]) -> tuple[Note, ...]:
    """What to say of latency and memory beside what was measured before on the same device."""
    points = [point for point in history if point.device is now.device][-MAX_HISTORY:]
    notes = []
    times = [point.p50_ms for point in points if point.p50_ms is not None]
    if now.latency and times:
        usual = statistics.median(times)
        if now.latency.p50 > usual * SLOWER_TIMES and now.latency.p50 > usual + SLOWER_MS:
            text = (
                f"An answer on {now.device.value} took {now.latency.p50:.1f} ms at the median; it was {usual:.1f} ms "
                f"in {len(times)} tests before."
            )
            notes.append(Note(code=SLOWER, text=text))
    peaks = [point.peak_memory_bytes for point in points if point.peak_memory_bytes is not None]
    if now.peak_memory_bytes and peaks:
        before = statistics.median(peaks)
        if now.peak_memory_bytes > before * MORE_MEMORY_TIMES and now.peak_memory_bytes > before + MORE_MEMORY_BYTES:
            text = (
                f"The service on {now.device.value} took {now.peak_memory_bytes / 1e6:,.0f} MB; it was "
                f"{before / 1e6:,.0f} MB in {len(peaks)} tests before."
            )
            notes.append(Note(code=MORE_MEMORY, text=text))
    return tuple(notes)


def tested_devices(reports: Iterable[SmokeReport]) -> tuple[Device, ...]:
    """The devices that a version has passed on: where it is tested again."""
    return tuple(report.device for report in reports if report.verdict is Verdict.PASSED)


def new_notes(checked: Checked, notes: Sequence[Note]) -> tuple[Note, ...]:
    """The notes that were not there before: what is worth an event."""
    known = {note.code for note in checked.before.notes} if checked.before else set()
    return tuple(note for note in notes if note.code not in known)


def registry_table(standings: Iterable[Standing], now: float) -> list[dict[str, Any]]:
    """The registry as suites of expectations take it: a row for each version that can be used."""
    return [
        {
            "model_name": standing.model_name,
            "model_version": standing.model_version,
            "status": standing.status.value,
            "engine": standing.engine,
            "runtime": standing.runtime,
            "package_digest": standing.package_digest,
            "image_digest": standing.image_digest,
            "days_since_check": _days(now, standing.state.checked_at if standing.state else 0.0),
            "days_since_test": _days(now, standing.tested_at(now)),
            "p50_ms": standing.p50_ms,
            "notes": len(standing.state.notes) if standing.state else 0,
        }
        for standing in standings
    ]


def _days(now: float, then: float) -> float | None:
    return round((now - then) / 86_400, 2) if then else None


def as_result(report: SweepReport) -> Mapping[str, Any]:
    """The report's figures without its rows: what a DAG run's result shows."""
    return {key: value for key, value in asdict(report).items() if key not in ("rows", "registry")}
