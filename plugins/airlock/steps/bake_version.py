"""bake, on the command line: a registered version gets an image that holds its package, and that image is tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airlock.domain.catalogue import Catalogue
from airlock.domain.engines import IMAGE
from airlock.domain.record import ModelVersion
from airlock.domain.smoke import SmokeReport, Verdict
from airlock.domain.version import EventKind
from airlock.errors import DeviceRequired
from airlock.ports.clock import Clock
from airlock.ports.expectations import Expectations
from airlock.ports.package_store import PackageStore
from airlock.ports.registry import Registry
from airlock.ports.runtime_backend import RuntimeBackend
from airlock.steps.bake import bake, nothing_to_bake
from airlock.steps.build import known_runtime
from airlock.steps.smoke import smoke

TASK = "bake"


def bake_version(
    version: ModelVersion,
    *,
    store: PackageStore,
    backend: RuntimeBackend,
    registry: Registry,
    catalogue: Catalogue,
    clock: Clock,
    base_image_prefix: str,
    expectations: Expectations,
    details_of: Callable[[ModelVersion], Mapping[str, Any]],
    log: Callable[[str], None],
) -> ModelVersion:
    """Make the image, test it on every device of this worker that its runtime's image had passed on, and record it.

    A version whose image holds the package already is given back as it is.

    Args:
        version: The registered version.
        store: Where its package lies.
        backend: What makes and runs images.
        registry: Where the version is kept.
        catalogue: The known runtimes.
        clock: Time.
        base_image_prefix: Replaces the public registry in base images.
        expectations: What the installation expects of the answers.
        details_of: Turns the version into the JSON that is kept in full.
        log: Takes a line of progress at a time.

    Raises:
        ImageRefused: The version's image is the user's own.
        RuntimeUnavailable: The backend makes no images, or the catalogue lacks the version's runtime.
        BuildFailed: It takes too long, or the runtime's image is gone.
        SmokeFailed: The image does not answer as declared; the record stays as it was.
        DeviceRequired: This worker has no device that it could be tested on.
        BackendUnavailable: The engine or a registry did not answer.
    """
    if version.image.baked:
        return version
    if version.detection.engine == IMAGE:
        raise nothing_to_bake(version.image.reference)
    devices = [
        report.device
        for report in version.reports
        if report.verdict is Verdict.PASSED
        and report.image is not None
        and report.image.digest == version.image.digest
        and report.device in backend.devices()
    ]
    if not devices:
        raise DeviceRequired(
            "SMK021",
            f"{version.accepted.reservation} was tested on no device that this worker has.",
            "Run the command on a worker with one of its devices.",
        )
    runtime = known_runtime(version.detection, catalogue).as_build(version.image.build)
    image = bake(
        version.accepted,
        version.package,
        runtime,
        version.image,
        store=store,
        backend=backend,
        registry=registry,
        log=log,
    )
    tested: dict[Any, SmokeReport] = {}
    for device in devices:
        tested[device] = smoke(
            device,
            version.accepted,
            version.package,
            version.validated,
            version.detection,
            image,
            task=TASK,
            attempt=1,
            store=store,
            backend=backend,
            registry=registry,
            catalogue=catalogue,
            clock=clock,
            base_image_prefix=base_image_prefix,
            expectations=expectations,
            log=log,
        )
    reports = tuple(tested.get(report.device, report) for report in version.reports)
    baked = replace(version, image=image, reports=reports)
    registry.complete(baked, details_of(baked))
    registry.add_event(
        version.accepted.reservation, EventKind.NORMAL, f"The version's image holds the model now: {image.reference}."
    )
    return baked
