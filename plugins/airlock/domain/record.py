"""What the registry keeps of a version, and the record that an import gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airlock.domain.config import ModelConfig
from airlock.domain.detection import Detection
from airlock.domain.device import Device
from airlock.domain.device_comparison import DeviceComparison
from airlock.domain.expectations import SuiteReport
from airlock.domain.findings import Finding, Severity
from airlock.domain.image import Image, Isolation
from airlock.domain.package import Package
from airlock.domain.parameters import ApiParameters
from airlock.domain.request import Document, ImportRequest
from airlock.domain.smoke import SmokeReport, Verdict
from airlock.domain.version import EventKind, Reservation, Stage, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An accepted request and the version that it holds.

    Attributes:
        request: The request.
        reservation: The version reserved for this run.
        at: When, seconds since 1970.
        package_digest: For a rebuild, the package that the version has; else empty.
    """

    request: ImportRequest
    reservation: Reservation
    at: float
    package_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """A registered version whose image a run makes again.

    Attributes:
        reservation: The version and the run.
        request: The request that it was imported by.
        package_digest: Its package, hex digest: the bytes stay the same, whatever became of their source.
    """

    reservation: Reservation
    request: ImportRequest
    package_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """A configuration that keeps every rule.

    Attributes:
        config: The configuration with the request's overrides applied.
        findings: Warnings and infos.
    """

    config: ModelConfig
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A version with all that was found out about it.

    Attributes:
        accepted: The request and the version.
        package: The package.
        validated: The configuration and what was noticed.
        detection: Engine and runtime.
        image: What serves it.
        reports: One per device of the runtime.
        parameters: What the model takes and gives, one for each API.
        inventory: What was expected of the package's files; None where it was not judged.
        registered_at: When, seconds since 1970.
        comparisons: The answers of its devices, side by side.
    """

    accepted: Accepted
    package: Package
    validated: Validated
    detection: Detection
    image: Image
    reports: tuple[SmokeReport, ...]
    parameters: tuple[ApiParameters, ...]
    inventory: SuiteReport | None
    registered_at: float
    comparisons: tuple[DeviceComparison, ...] = ()

    def isolation(self) -> Isolation:
        """What stood between the code and the host; of several tests, the least."""
        strength = list(Isolation)
        return max((report.isolation for report in self.reports if report.image is not None), key=strength.index)

    def device_results(self) -> dict[str, str]:
        """Device → verdict, for every device there is."""
        ran = {report.device: report.verdict for report in self.reports}
        return {device.value: ran.get(device, Verdict.NOT_SERVED).value for device in Device}

    def device_images(self) -> dict[str, dict[str, str]]:
        """Device → the image that passed on it: a device may have a build of its own."""
        return {
            report.device.value: {
                "build": report.image.build,
                "image": report.image.reference,
                "image_digest": report.image.digest,
            }
            for report in self.reports
            if report.image is not None
        }

    def summary(self) -> dict[str, Any]:
        """The record as small JSON: what a listing, a DAG run's result and an asset event show."""
        request, reservation = self.accepted.request, self.accepted.reservation
        timed = next((report.latency for report in self.reports if report.latency), None)
        findings = [
            *self.package.findings,
            *self.validated.findings,
            *self.detection.findings,
            *(finding for report in self.reports for finding in report.findings),
        ]
        return {
            "model_name": reservation.model_name,
            "model_version": reservation.model_version,
            "status": Status.NORMAL.value,
            "engine": self.detection.engine,
            "engine_version": self.detection.engine_version,
            "runtime": self.detection.runtime,
            "backend": self.image.backend.value,
            "isolation": self.isolation().value,
            "devices": self.device_results(),
            "latency_ms": timed.p50 if timed else None,
            "package_digest": f"sha256:{self.package.digest}",
            "image": self.image.reference,
            "image_digest": self.image.digest,
            "build": self.image.build,
            "baked": self.image.baked,
            "images": self.device_images(),
            "size_bytes": self.package.size_bytes,
            "bytes_copied": self.package.bytes_copied,
            "source": self.package.source,
            "install_type": list(request.install_type),
            "labels": list(request.labels),
            "warnings": sum(finding.count for finding in findings if finding.severity is Severity.WARNING),
            "trusted_model_code": request.trust_model_code,
            "seconds": round(self.registered_at - self.accepted.at, 1),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of a version's history.

    Attributes:
        at: When, seconds since 1970.
        kind: Normal or Abnormal.
        text: What happened, as a sentence.
        run: The DAG run it happened in; empty for what a user did.
        actor: The user who did it; empty for what a run did.
        id: Grows with every event of the registry: whoever has seen one asks for those after it.
    """

    at: float
    kind: EventKind
    text: str
    run: str
    actor: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """What the registry says of a version.

    Attributes:
        model_name: The model.
        model_version: The version.
        status: Where it stands.
        reason: Why it stands there, for Failed and Abnormal; code first.
        run: The DAG run that imported it, or rebuilt it last.
        created_at: When it was reserved, seconds since 1970.
        updated_at: When it changed last, seconds since 1970.
        created_by: The user whose run reserved it; empty where Airflow named none.
        description: Brief text, as edited last.
        labels: As edited last.
        documents: Documents that describe the model.
        install_type: Deployment types that it may be used for.
        source: Where the package came from.
        engine: Empty until it is Normal.
        runtime: Empty until it is Normal, and for an image of the user's own.
        size_bytes: Size of the package; None until it is Normal.
        package_digest: `sha256:` and the hex digest; empty until it is Normal.
        image_digest: Digest of the image; empty until it is Normal.
        devices: Device → result of its test; empty until it is Normal.
        stage: How far it has come on its way into use.
        aliases: Names that point to it, sorted.
        rebuild: The DAG run that makes its image again with other dependencies; empty where none does.
        summary: The record, empty until it is Normal.
        details: Everything else that was found out, as JSON; empty until it is Normal, and in listings.
        events: Its history, oldest first; empty in listings.
    """

    model_name: str
    model_version: str
    status: Status
    reason: str
    run: str
    created_at: float
    updated_at: float
    created_by: str = ""
    description: str = ""
    labels: tuple[str, ...] = ()
    documents: tuple[Document, ...] = ()
    install_type: tuple[str, ...] = ()
    source: str = ""
    engine: str = ""
    runtime: str = ""
    size_bytes: int | None = None
    package_digest: str = ""
    image_digest: str = ""
    devices: Mapping[str, str] = field(default_factory=dict)
    stage: Stage = Stage.NONE
    aliases: tuple[str, ...] = ()
    rebuild: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
