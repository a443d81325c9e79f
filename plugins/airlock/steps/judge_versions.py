"""judge: versions become or stay Normal or Abnormal by what a sweep found of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from airlock.domain.device import Device
from airlock.domain.registered import HealthPoint
from airlock.domain.revalidation import (
    CHECK_NOTES,
    Checked,
    Decision,
    Outcome,
    Retest,
    SweepPart,
    SweepRow,
    decide,
    new_notes,
)
from airlock.domain.sweeping import ALONE, Note, SweepState
from airlock.domain.version import RunRef
from airlock.errors import NoSuchVersion, VersionChanged
from airlock.ports.clock import Clock
from airlock.ports.registry import Registry
from airlock.registry_ports import Sweeps


def judge_versions(
    checks: Sequence[Checked],
    tests: Iterable[Retest],
    run: RunRef,
    *,
    registry: Registry,
    sweeps: Sweeps,
    clock: Clock,
    log: Callable[[str], None],
) -> SweepPart:
    """Decide about versions, and write what changed.

    A version that is as it was is only remembered: that costs no transaction of its own.

    Args:
        checks: What was found of each without a test.
        tests: What their tests found.
        run: The sweep.
        registry: Where versions are judged.
        sweeps: Where is remembered when each was looked at.
        clock: Time.
        log: Takes a line for each version that is not simply fit.

    Raises:
        RegistryUnavailable: The registry did not answer.
    """
    found: dict[tuple[str, str], list[Retest]] = {}
    for test in tests:
        found.setdefault((test.model_name, test.model_version), []).append(test)
    images = _images_now(checks, found, sweeps)
    rows: list[SweepRow] = []
    states: dict[tuple[str, str], SweepState] = {}
    for checked in checks:
        key = (checked.model_name, checked.model_version)
        own = found.get(key, [])
        if images.get(key, checked.image_digest) != checked.image_digest:
            checked = replace(checked, overtaken=True)
        missing = _missing(checked, own)
        decision = decide(checked, [*own, *missing])
        notes = _notes(checked, own)
        row = SweepRow(
            model_name=checked.model_name,
            model_version=checked.model_version,
            outcome=decision.outcome,
            reason=decision.reason,
            why=checked.why,
            devices=tuple(test.device for test in own if test.point is not None),
            notes=notes,
        )
        if decision.outcome in (Outcome.UNDECIDED, Outcome.OVERTAKEN):
            # It stays as due as it was, and comes behind what has waited since before it was tried.
            if missing and decision.outcome is Outcome.UNDECIDED:
                states[key] = _alone(checked.before or SweepState())
        elif _write(checked, own, decision, notes, run, registry, clock):
            states[key] = replace(checked.state, notes=notes)
        else:
            row = replace(row, outcome=Outcome.OVERTAKEN)
        if row.outcome is not Outcome.FIT:
            log(f"{checked}: {row.outcome.value}: {row.reason}" if row.reason else f"{checked}: {row.outcome.value}")
        rows.append(row)
    sweeps.remember(run, states)
    return SweepPart.of(rows, sum(checked.bytes_read for checked in checks))


def _missing(checked: Checked, tests: Sequence[Retest]) -> list[Retest]:
    """A test for each device whose task has said nothing: it was killed, or no worker took it."""
    told = {test.device for test in tests}
    return [
        Retest(
            model_name=checked.model_name,
            model_version=checked.model_version,
            device=device,
            undecided=f"Its test on {device.value} ended without a word.",
        )
        for device in checked.devices
        if device not in told
    ]


def _alone(before: SweepState) -> SweepState:
    """What was remembered, and that the version is tested by itself until a test of it comes to an end."""
    text = "Its last test ended without a word, or that of a version beside it; it is tested by itself until one ends."
    return replace(before, notes=(*(note for note in before.notes if note.code != ALONE), Note(code=ALONE, text=text)))


def _notes(checked: Checked, tests: Sequence[Retest]) -> tuple[Note, ...]:
    """What was noticed: by this check, and by these tests or else by those before."""
    of_check = tuple(note for note in checked.notes if note.code in CHECK_NOTES or not tests)
    return of_check + tuple(note for test in tests for note in test.notes)


def _write(
    checked: Checked,
    tests: Sequence[Retest],
    decision: Decision,
    notes: Sequence[Note],
    run: RunRef,
    registry: Registry,
    clock: Clock,
) -> bool:
    """Write what changed of a version; False where it is gone, or somebody else has changed it meanwhile."""
    points = [test.point for test in tests if test.point is not None]
    told = [text for test in tests for text in test.told]
    told += [f"[{note.code}] {note.text}" for note in new_notes(checked, notes)]
    if decision.outcome is Outcome.UNFIT and not points:
        points = [_untested(device, checked, run, clock) for device in checked.passed_on]
    if decision.outcome is Outcome.FIT and not points and not told:
        return True
    if decision.outcome is Outcome.STILL_UNFIT and not points and not told and decision.reason == checked.reason:
        return True
    try:
        registry.judge(checked.model_name, checked.model_version, run, points, decision.reason, told, checked.seen)
    except (NoSuchVersion, VersionChanged):
        return False
    return True


def _untested(device: Device, checked: Checked, run: RunRef, clock: Clock) -> HealthPoint:
    """A point of a version that was found unfit before its service was started."""
    return HealthPoint(
        at=clock.now(),
        device=device,
        verdict=f"not run: {checked.problems[0].code}",
        p50_ms=None,
        p99_ms=None,
        ready_s=None,
        peak_memory_bytes=None,
        run=str(run),
    )


def _images_now(
    checks: Sequence[Checked], tests: Mapping[tuple[str, str], Sequence[Retest]], sweeps: Sweeps
) -> dict[tuple[str, str], str]:
    """The images of the versions that were tested, which takes long enough for another one to be made."""
    keys = [key for checked in checks if (key := (checked.model_name, checked.model_version)) in tests]
    return {
        (standing.model_name, standing.model_version): standing.image_digest
        for standing in (sweeps.standings_of(keys) if keys else ())
    }
