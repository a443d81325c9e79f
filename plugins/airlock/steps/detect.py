"""detect: engine and runtime, with evidence."""

from __future__ import annotations

from airlock.domain.catalogue import Catalogue
from airlock.domain.detection import Detection
from airlock.domain.detection import detect as decide
from airlock.domain.engines import IMAGE
from airlock.domain.package import Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.user_image import detect_image
from airlock.domain.version import EventKind
from airlock.ports.package_store import PackageStore
from airlock.ports.registry import Registry
from airlock.steps.model_files import read_evidence


def detect(
    accepted: Accepted,
    package: Package,
    validated: Validated,
    *,
    store: PackageStore,
    registry: Registry,
    catalogue: Catalogue,
) -> Detection:
    """Read the evidence and decide.

    Args:
        accepted: The version.
        package: The staged package.
        validated: Its configuration.
        store: Where it lies.
        registry: For the version's history.
        catalogue: The known runtimes.

    Raises:
        EngineNotDetected: No engine, several, or evidence against `model_type`.
        RuntimeUnavailable: The runtime cannot be had.
    """
    if validated.config.model_type == IMAGE:
        detection = detect_image(validated.config, accepted.request)
        devices = ", ".join(device.value for device in detection.devices)
        registry.add_event(
            accepted.reservation, EventKind.NORMAL, f"Image {validated.config.swr_location} found, for {devices}."
        )
        return detection
    manifest = store.manifest(package.digest)
    evidence = read_evidence(manifest, package.digest, store)
    detection = decide(manifest, evidence, validated.config, catalogue)
    registry.add_event(
        accepted.reservation,
        EventKind.NORMAL,
        f"Engine {detection.engine} {detection.engine_version}, runtime {detection.runtime}, found."
        + (f" {len(detection.findings)} warnings: {detection.findings[0].message}" if detection.findings else ""),
    )
    return detection
