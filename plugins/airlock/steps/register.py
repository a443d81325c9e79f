"""register: the version becomes Normal, with everything that was found out, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airlock.domain.detection import Detection
from airlock.domain.device import Device
from airlock.domain.device_comparison import DeviceComparison, compare_devices
from airlock.domain.expectations import SuiteReport
from airlock.domain.image import Image
from airlock.domain.package import Package
from airlock.domain.parameters import parameters_of
from airlock.domain.record import Accepted, ModelVersion, Validated
from airlock.domain.smoke import RECORD_ONLY, SmokeReport, Verdict
from airlock.domain.version import EventKind
from airlock.errors import DeviceRequired, SmokeFailed
from airlock.ports.clock import Clock
from airlock.ports.registry import Registry


def register(
    accepted: Accepted,
    package: Package,
    validated: Validated,
    detection: Detection,
    image: Image,
    reports: Sequence[SmokeReport],
    *,
    registry: Registry,
    clock: Clock,
    inventory: SuiteReport | None,
    details_of: Callable[[ModelVersion], Mapping[str, Any]],
) -> ModelVersion:
    """Register the version.

    Args:
        accepted: The version.
        package: The staged package.
        validated: Its configuration.
        detection: Its engine and runtime.
        image: What serves it.
        reports: One per device that was tested or could not be.
        registry: Where it is kept.
        clock: For the time.
        inventory: What was expected of the package's files; None where it was not judged.
        details_of: Turns the version into the JSON that is kept in full.

    Raises:
        DeviceRequired: A demanded device has not passed, or none has.
        SmokeFailed: Two devices give different answers.
        VersionGone: The version is no longer this run's.
    """
    passed = {report.device for report in reports if report.verdict is Verdict.PASSED}
    missing = [device.value for device in accepted.request.required_devices if device not in passed]
    if missing:
        raise DeviceRequired(
            "SMK020",
            f"Not tested on {', '.join(missing)}, which the request demands.",
            "Start a worker with the device, or leave it out of `required_devices`.",
        )
    if not passed:
        raise _untested(detection, reports)
    comparisons = compare_devices(reports, accepted.request.device_tolerance)
    for comparison in comparisons:
        _tell(comparison, accepted, registry)
    version = ModelVersion(
        accepted=accepted,
        package=package,
        validated=validated,
        detection=detection,
        image=image,
        reports=tuple(sorted(reports, key=lambda report: list(Device).index(report.device))),
        parameters=parameters_of(validated.config.apis),
        inventory=inventory,
        registered_at=clock.now(),
        comparisons=comparisons,
    )
    registry.complete(version, details_of(version))
    return version


def _tell(comparison: DeviceComparison, accepted: Accepted, registry: Registry) -> None:
    """Write a comparison into the version's history; a difference that is too large fails the import instead."""
    if comparison.agrees or comparison.tolerance >= RECORD_ONLY:
        kind = EventKind.NORMAL if comparison.agrees else EventKind.ABNORMAL
        registry.add_event(accepted.reservation, kind, comparison.says())
        return
    raise SmokeFailed(
        "SMK040",
        f"{comparison.says()} The request allows {comparison.tolerance:g}.",
        "Correct the build for the device, or ask for a higher `device_tolerance`; with 1 it is recorded only.",
    )


def _untested(detection: Detection, reports: Sequence[SmokeReport]) -> DeviceRequired:
    served = ", ".join(device.value for device in detection.devices)
    without = [report.device.value for report in reports if report.verdict is Verdict.NO_BUILD]
    runtime = f"{detection.engine} {detection.runtime}".rstrip()
    if without:
        return DeviceRequired(
            "SMK021",
            f"{runtime} serves {served}; a worker has {', '.join(without)}, and no build that uses it could be made: "
            "nothing was tested.",
            "Make the base image that the version's history names, or choose a runtime that serves another device.",
        )
    return DeviceRequired(
        "SMK021",
        f"{runtime} serves {served}, and no worker has such a device: nothing was tested.",
        "Start a worker with the device, or choose a runtime that serves another one.",
    )
