"""Which registered versions are due for another look, in what order, and how much of their bytes is read."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlock.domain.catalogue import Catalogue, Runtime
from airlock.domain.package import FileEntry
from airlock.domain.rules import RULES
from airlock.domain.sweep_request import SweepRequest
from airlock.domain.version import Status

#: Versions that one task checks, and that one tests one after the other.
CHECKS_AT_ONCE = 250
TESTS_AT_ONCE = 10
#: Versions that one sweep tests each in a task of its own. With the form's most versions and tests that makes fewer
#: batches than the 1,024 that Airflow maps a task over by default.
MAX_ALONE = 100
#: Of a version whose test ended without a word: what it does to its worker may be why the others' tests ended too.
ALONE = "RVL009"


class Why(enum.StrEnum):
    """Why a version is looked at again. The first four want a test; for the others a check without one will do."""

    REQUESTED = "requested"
    RUNTIME = "its runtime's entry changed"
    ABNORMAL = "it is Abnormal"
    TEST_AGE = "its last test is old"
    RULES = "the rules changed"
    CHECK_AGE = "its last check is old"


_TESTED = (Why.REQUESTED, Why.RUNTIME, Why.ABNORMAL, Why.TEST_AGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that was noticed of a version and does not make it unfit.

    Attributes:
        code: Stable code.
        text: What was noticed, as a sentence.
    """

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepState:
    """What sweeps remember of a version.

    Attributes:
        checked_at: When it was checked last, seconds since 1970.
        tested_at: When it was last looked at for a test and decided; 0 where no sweep has.
        rules: Fingerprint of the rules that it was found to keep.
        runtime: Fingerprint of its runtime's entry at its last test.
        next_file: Where the next sample of its files begins, in the manifest's order.
        credit_bytes: Bytes that may be read more next time, because its next file is larger than one sample.
        notes: What was noticed last.
    """

    checked_at: float = 0.0
    tested_at: float = 0.0
    rules: str = ""
    runtime: str = ""
    next_file: int = 0
    credit_bytes: int = 0
    notes: tuple[Note, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether the version is tested by itself."""
        return any(note.code == ALONE for note in self.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the registry says of a version that can be looked at again.

    Attributes:
        model_name: The model.
        model_version: The version.
        status: Normal or Abnormal.
        reason: Why it is Abnormal.
        engine: The engine.
        runtime: The runtime; empty for an image of the user's own.
        build: Which build of the runtime its image is.
        package_digest: `sha256:` and the hex digest.
        image_digest: Digest of the image.
        measured_at: When a test of it measured something last, seconds since 1970.
        p50_ms: Median time of an answer then, None where none was timed.
        state: What sweeps remember; None before the first one.
        tried_at: When a sweep last began to look at it, even if nothing came of that; 0 where none has.
    """

    model_name: str
    model_version: str
    status: Status
    reason: str
    engine: str
    runtime: str
    build: str
    package_digest: str
    image_digest: str
    measured_at: float
    p50_ms: float | None
    state: SweepState | None
    tried_at: float = 0.0

    def tested_at(self, now: float) -> float:
        """When it was tested last, by its import or a sweep, seconds since 1970; 0 where a wrong clock wrote when."""
        return max(_past(self.measured_at, now), _past(self.state.tested_at if self.state else 0.0, now))


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A version that a sweep looks at.

    Attributes:
        model_name: The model.
        model_version: The version.
        due_at: Since when it is due, seconds since 1970.
        why: Every reason.
        test: Whether its service is tested.
        alone: Whether no other version is tested in the same task.
        untested: Whether it is due for a test that has to wait for a later sweep.
        tried_at: When a sweep last began to look at it; what was tried comes behind what has waited since before.
    """

    model_name: str
    model_version: str
    due_at: float
    why: tuple[Why, ...]
    test: bool
    alone: bool = False
    untested: bool = False
    tried_at: float = 0.0

    @property
    def turn(self) -> float:
        """What its place is by: since when it is due, or has waited since it was tried and not decided."""
        return max(self.due_at, self.tried_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepBatch:
    """Versions that are looked at in one task, one after the other.

    Attributes:
        number: From 1.
        versions: Most overdue first, those that were tried since behind.
    """

    number: int
    versions: tuple[Due, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What one sweep does.

    Attributes:
        batches: What is looked at.
        registered: Versions that could be looked at.
        due: Versions that are due.
        later: Versions that are due and have to wait for a later sweep.
        untested: Versions that are looked at without the test that they are due for.
        asked: The model and version that was asked for by name; empty for what is due.
    """

    batches: tuple[SweepBatch, ...]
    registered: int
    due: int
    later: int
    untested: int
    asked: str = ""


def plan_sweep(
    standings: Iterable[Standing],
    request: SweepRequest,
    now: float,
    rules: str,
    runtime_now: Callable[[Standing], str],
) -> SweepPlan:
    """Choose what one sweep looks at, most overdue first, and by turns where nothing comes of looking at some.

    Args:
        standings: Every version that can be looked at.
        request: The sweep.
        now: Seconds since 1970.
        rules: Fingerprint of today's rules.
        runtime_now: A version's fingerprint of its runtime's entry today; empty where it has none.
    """
    registered = 0
    found: list[Due] = []
    for standing in standings:
        registered += 1
        due = due_version(standing, request, now, rules, runtime_now(standing))
        if due is not None:
            found.append(due)
    found.sort(key=lambda due: (due.turn, due.due_at, due.model_name, due.model_version))
    chosen: list[Due] = []
    tests = alone = 0
    for due in found:
        if len(chosen) == request.max_versions:
            break
        if due.test and (tests == request.max_tests or (due.alone and alone == MAX_ALONE)):
            # What is due for nothing but a test waits for it.
            if not any(why not in _TESTED for why in due.why):
                continue
            due = _without_test(due)
        tests += due.test
        alone += due.test and due.alone
        chosen.append(due)
    groups = [
        *_groups([due for due in chosen if due.test and not due.alone], TESTS_AT_ONCE),
        *_groups([due for due in chosen if due.test and due.alone], 1),
        *_groups([due for due in chosen if not due.test], CHECKS_AT_ONCE),
    ]
    return SweepPlan(
        batches=tuple(SweepBatch(number=number, versions=group) for number, group in enumerate(groups, 1)),
        registered=registered,
        due=len(found),
        later=len(found) - len(chosen),
        untested=sum(due.untested for due in chosen),
        asked=f"{request.model_name} {request.model_version}".rstrip(),
    )


def due_version(standing: Standing, request: SweepRequest, now: float, rules: str, runtime_now: str) -> Due | None:
    """Why a version is due and since when, None where it is not. Arguments are those of `plan_sweep`."""
    state = standing.state or SweepState()
    tested_at = standing.tested_at(now)
    # Its import has looked at all of it.
    checked_at = _past(state.checked_at, now) or _past(standing.measured_at, now)
    since: dict[Why, float] = {}
    if request.model_name:
        if not request.names(standing.model_name, standing.model_version):
            return None
        # Those whose test is the oldest come first, where more are asked for than one sweep tests.
        since[Why.REQUESTED] = tested_at
    if state.runtime and runtime_now and state.runtime != runtime_now:
        since[Why.RUNTIME] = tested_at
    if standing.status is Status.ABNORMAL:
        since[Why.ABNORMAL] = tested_at + request.check_after_s
    since[Why.TEST_AGE] = tested_at + request.test_after_s
    if state.rules and state.rules != rules:
        since[Why.RULES] = checked_at
    since[Why.CHECK_AGE] = checked_at + request.check_after_s
    since = {why: at for why, at in since.items() if at <= now}
    if not since:
        return None
    return Due(
        model_name=standing.model_name,
        model_version=standing.model_version,
        due_at=min(since.values()),
        why=tuple(since),
        test=any(why in _TESTED for why in since),
        alone=state.alone,
        tried_at=_past(standing.tried_at, now),
    )


def _past(at: float, now: float) -> float:
    """A time, or never where it is still to come: a clock that was wrong once must hide no version until then."""
    return at if at <= now else 0.0


def _without_test(due: Due) -> Due:
    return Due(
        model_name=due.model_name,
        model_version=due.model_version,
        due_at=due.due_at,
        why=tuple(why for why in due.why if why not in _TESTED),
        test=False,
        untested=True,
        tried_at=due.tried_at,
    )


def _groups(items: Sequence[Due], size: int) -> Iterator[tuple[Due, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


def rules_fingerprint(release: str, schema: Mapping[str, Any], catalogue: Catalogue) -> str:
    """Names today's rules: the same bytes keep rules of the same name or break the same ones.

    Args:
        release: Airlock's own version, whose code the rules are.
        schema: include/specs/config.schema.json.
        catalogue: The known runtimes.
    """
    texts = [release, json.dumps(schema, sort_keys=True), repr(sorted(RULES.items())), repr(catalogue)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:32]


def runtime_fingerprint(runtime: Runtime, base_image_prefix: str) -> str:
    """Names what a runtime's image is made of: its base image, its pins, and how it serves."""
    row = (
        base_image_prefix,
        runtime.base_image,
        runtime.base_image_digest,
        runtime.base_recipe,
        runtime.constraints,
        runtime.system_packages,
        runtime.environment,
        runtime.service,
        runtime.python,
    )
    return hashlib.sha256(repr(row).encode()).hexdigest()[:32]


def next_sample(
    files: Sequence[FileEntry], state: SweepState, sample_bytes: int
) -> tuple[tuple[FileEntry, ...], int, int]:
    """The files whose bytes are read this time: in turns, so that every file is, however large.

    A file is read whole, because its digest is of all of it. One that is larger than a sample is read as soon as its
    size is saved up, so that over time no more is read than the samples allow.

    Args:
        files: The package's files in the manifest's order.
        state: Where the last sample ended, and what was saved up.
        sample_bytes: What one sample may read.

    Returns:
        The files, where the next sample begins, and what is saved up for it.
    """
    credit = state.credit_bytes + sample_bytes
    chosen: list[FileEntry] = []
    place = state.next_file
    for _ in files:
        entry = files[place % len(files)]
        if entry.size_bytes > credit:
            return tuple(chosen), place % len(files), credit
        chosen.append(entry)
        credit -= entry.size_bytes
        place += 1
    # All of them were read: nothing is saved up.
    return tuple(chosen), 0, 0
