"""test: the service of a registered version, started and asked again, and its answers beside those of its import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from airlock.domain.catalogue import Catalogue
from airlock.domain.device import Device
from airlock.domain.registered import HealthPoint, point_of
from airlock.domain.revalidation import NOT_TESTED, Checked, Problem, Retest, costs_more, drift
from airlock.domain.smoke import SmokeReport, Verdict
from airlock.domain.sweeping import Note
from airlock.domain.version import EventKind, Reservation, RunRef
from airlock.errors import AirlockError, NoSuchVersion, SettingInvalid, TransientError, VersionBusy
from airlock.ports.clock import Clock
from airlock.ports.expectations import Expectations
from airlock.ports.package_store import PackageStore
from airlock.ports.runtime_backend import RuntimeBackend
from airlock.registry_ports import RegistryReader, Sweeps
from airlock.steps.check_version import problem_of
from airlock.steps.smoke import smoke

#: A version that was fit until now is found unfit only when two tests in a row say so.
TRIES = 2


class _Told:
    """Keeps what a test says of itself: the version is another run's, and its history is written when all is known."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add_event(self, reservation: Reservation, kind: EventKind, text: str) -> None:
        self.texts.append(text)


def retest(
    checked: Checked,
    device: Device,
    run: RunRef,
    *,
    task: str,
    attempt: int,
    sweeps: Sweeps,
    reader: RegistryReader,
    store: PackageStore,
    backend: RuntimeBackend,
    catalogue: Catalogue,
    clock: Clock,
    base_image_prefix: str,
    expectations: Expectations,
    log: Callable[[str], None],
) -> Retest:
    """Test one version on one device, in the image that passed there.

    Args:
        checked: The version.
        device: The device.
        run: The sweep.
        task: The task's name, for labels.
        attempt: Which try of the task this is, likewise.
        sweeps: Where the version's record is.
        reader: Where its history is.
        store: Where its package lies.
        backend: What runs it.
        catalogue: The known runtimes.
        clock: Time.
        base_image_prefix: Replaces the public registry in base images.
        expectations: What the installation expects of the answers.
        log: Takes a line of progress at a time.

    Returns:
        What was found; a test that fails is a problem of the version, one that could not be made is not.
    """
    tested = Retest(model_name=checked.model_name, model_version=checked.model_version, device=device)
    try:
        version = sweeps.record(checked.model_name, checked.model_version)
        before = next((report for report in version.reports if report.device is device), None)
        if before is None or before.image is None or before.verdict is not Verdict.PASSED:
            return replace(tested, undecided=f"It was made again meanwhile, and did not pass on {device.value}.")
        found = version.detection
        row = catalogue.find(found.engine, found.runtime) if found.runtime else None
        if row is not None and not row.has_build(before.image.build):
            text = f"The catalogue's entry of {row} has no build {before.image.build} any more. Import the model again."
            return replace(tested, problem=Problem(code="BLD001", text=text))
        history = reader.health(checked.model_name, checked.model_version)
    except NoSuchVersion:
        return replace(tested, undecided="It was deleted meanwhile.")
    except (TransientError, VersionBusy) as error:
        return replace(tested, undecided=str(error))
    outcome = tested
    for number in range(1, TRIES + 1):
        told = _Told()
        try:
            report = smoke(
                device,
                # The devices that its import demanded were there then; a worker that lacks one now is told.
                replace(
                    version.accepted,
                    request=replace(version.accepted.request, required_devices=()),
                    reservation=replace(version.accepted.reservation, run=run),
                ),
                version.package,
                version.validated,
                version.detection,
                before.image,
                task=task,
                attempt=attempt,
                store=store,
                backend=backend,
                registry=told,
                catalogue=catalogue,
                clock=clock,
                base_image_prefix=base_image_prefix,
                expectations=expectations,
                log=log,
                again=before.golden,
            )
        except (TransientError, SettingInvalid) as error:
            return replace(tested, undecided=str(error))
        except AirlockError as error:
            outcome = _failed(tested, problem_of(error), None, run, clock)
        else:
            if report.verdict is not Verdict.PASSED:
                return _not_run(tested, report)
            outcome = _judged(tested, report, before, history, run, clock, told)
        if outcome.problem is None:
            return outcome
        if number < TRIES:
            log(f"{checked} on {device.value}: {outcome.problem} Tested once more.")
    return outcome


def _not_run(tested: Retest, report: SmokeReport) -> Retest:
    text = f"Not tested again on {tested.device.value}: {report.verdict.value.removeprefix('not run: ')}."
    return replace(tested, notes=(Note(code=NOT_TESTED, text=text),))


def _judged(
    tested: Retest,
    report: SmokeReport,
    before: SmokeReport,
    history: Sequence[HealthPoint],
    run: RunRef,
    clock: Clock,
    told: _Told,
) -> Retest:
    found = drift(report, before)
    notes = costs_more(report, history)
    if isinstance(found, Problem):
        return replace(_failed(tested, found, report, run, clock), notes=notes)
    if found is not None:
        notes = (*notes, found)
    return replace(
        tested,
        passed=True,
        notes=notes,
        point=point_of(report, clock.now(), str(run)),
        told=tuple(f"Tested again. {text}" for text in told.texts),
    )


def _failed(tested: Retest, problem: Problem, report: SmokeReport | None, run: RunRef, clock: Clock) -> Retest:
    verdict = f"failed: {problem.code}"
    if report is not None:
        point = replace(point_of(report, clock.now(), str(run)), verdict=verdict)
    else:
        point = HealthPoint(
            at=clock.now(),
            device=tested.device,
            verdict=verdict,
            p50_ms=None,
            p99_ms=None,
            ready_s=None,
            peak_memory_bytes=None,
            run=str(run),
        )
    return replace(tested, problem=problem, point=point)
