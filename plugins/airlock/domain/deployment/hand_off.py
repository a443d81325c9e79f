"""What a platform needs to know of a registered version to serve it, and which versions it may have."""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airlock.domain.device import Device
from airlock.domain.health import Health
from airlock.domain.image import HOME_FOLDER, PACKAGE_FOLDER, SERVICE_PORT, SERVICE_USER, UserImage
from airlock.domain.record import VersionRow
from airlock.domain.smoke import Verdict
from airlock.domain.user_image import MODEL_FOLDER, home_of, writable_folders
from airlock.domain.version import Status
from airlock.errors import HandOffRefused

#: What a service gets where neither the request nor the test says anything.
DEFAULT_CPU = 1.0
DEFAULT_MEMORY_MB = 1024
#: Seconds that a service may take to load, where its test says nothing; and how many times as long as in the test.
DEFAULT_START_S = 120.0
START_FACTOR = 4.0
#: Seconds from the signal to end until the platform kills: a running prediction may take forty, and ends first.
STOP_S = 45
#: Where Docker and Compose publish a service on the host. Airflow listens on 8080, where most services do in their
#: containers, and a second one on the next port.
DEFAULT_HOST_PORT = 8090
_CLAIM = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PINNED = re.compile(r"(?:[A-Za-z0-9._:-]+/)+[a-z0-9._-]+(?::[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}")


class Platform(enum.StrEnum):
    """What a version is handed to."""

    DOCKER = "docker"
    COMPOSE = "compose"
    KUBERNETES = "kubernetes"
    KSERVE = "kserve"


#: Platform → the deployment types that it serves; one of them is enough.
SERVES = {
    Platform.DOCKER: ("real-time", "edge"),
    Platform.COMPOSE: ("real-time", "edge"),
    Platform.KUBERNETES: ("real-time",),
    Platform.KSERVE: ("real-time",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOff:
    """A version as a platform serves it.

    Attributes:
        name: A name that every platform takes (RFC 1123).
        model_name: The model's own name.
        model_version: The version.
        image: The image, pinned by its digest.
        pulled: Whether a registry has the image.
        package_digest: The package, hexadecimal; empty where the image holds it.
        package_part: The folder in the package that the service sees; empty for the whole.
        package_folder: Where that lies on the platform's hosts.
        package_target: Where the service sees it.
        writable: Folders that the service may write to; they are empty at its start.
        claim: The volume claim that holds the store; empty for the folder on the host.
        port: Where the service listens.
        host_port: Where Docker and Compose publish it on the host's loopback interface.
        health: How it tells that it is ready; None where nothing is known but the port.
        own_image: Whether it is an image of the user's own, of whose programs nothing else is known.
        has_shell: Whether a command can be run in its container, as far as is known.
        start_s: Seconds that it may take to load.
        device: The device.
        devices: How many of them.
        cpu: Cores.
        memory_mb: Megabytes (10^6 bytes).
        user: The user that it runs as, as in the test; empty for the image's own.
        environment: What the service is told.
    """

    name: str
    model_name: str
    model_version: str
    image: str
    pulled: bool
    package_digest: str
    package_part: str
    package_folder: str
    package_target: str
    writable: tuple[str, ...]
    claim: str
    port: int
    host_port: int
    health: Health | None
    own_image: bool
    has_shell: bool
    start_s: float
    device: Device
    devices: int
    cpu: float
    memory_mb: int
    user: str
    environment: Mapping[str, str]


def hand_off(
    row: VersionRow,
    platform: Platform,
    *,
    device: Device | None,
    package_folder: str,
    claim: str = "",
    image: str = "",
    host_port: int | None = None,
) -> HandOff:
    """What a platform needs to know of a version.

    Args:
        row: The version with its details.
        platform: The platform.
        device: The device; None for the first that it passed on.
        package_folder: Where the package lies on the platform's hosts.
        claim: Name of the volume claim that holds the store; for Kubernetes.
        image: The image's name in a registry, pinned; for a version whose record names an image of the worker only.
        host_port: Where it is published, for Docker and Compose; None for `DEFAULT_HOST_PORT`.

    Raises:
        HandOffRefused: It is not Normal, not imported for such a deployment, not passed on the device, or has no image
            that the platform can have.
    """
    subject = f"{row.model_name} {row.model_version}"
    chosen = _tested_on(row, platform, device, subject)
    report = next(each for each in row.details["reports"] if each["device"] == chosen.value)
    made: Mapping[str, Any] = report.get("image") or row.details["image"]
    if made["backend"] != "docker":
        raise HandOffRefused(
            "HND004",
            f"{subject} was tested as an ordinary process and has no image.",
            "Import it on a worker with Docker Engine.",
        )
    pinned, pulled = _pinned(made, image)
    if not pulled and platform in (Platform.KUBERNETES, Platform.KSERVE):
        raise HandOffRefused(
            "HND005",
            f"The image of {subject} is on its worker only; a cluster pulls from a registry.",
            "Set `[airlock] image_repository` before the import, or push it and name it as `image`, pinned by digest.",
        )
    if claim and not _CLAIM.fullmatch(claim):
        raise HandOffRefused("HND006", "The name of the volume claim breaks its form.", "Write an RFC 1123 label.")
    specs = row.details["accepted"]["request"]["minimum_specs"]
    suggested = report.get("suggested") or {}
    asked = {Device.GPU: specs["gpu"], Device.ASCEND: specs["ascend"]}.get(chosen, 0)
    cpu = specs["cpu"] or DEFAULT_CPU
    own = made.get("own")
    user = report.get("user", "") if own else f"{SERVICE_USER}:{SERVICE_USER}"
    part, target, writable = _folders(own)
    port, health = _asked_at(row.details["validated"]["config"], own)
    return HandOff(
        name=platform_name(row.model_name, row.model_version),
        model_name=row.model_name,
        model_version=row.model_version,
        image=pinned,
        pulled=pulled,
        package_digest="" if made.get("baked") else row.package_digest.rpartition(":")[2],
        package_part=part,
        package_folder=f"{package_folder}/{part}" if part else package_folder,
        package_target=target,
        writable=writable,
        claim=claim,
        port=port,
        host_port=host_port or DEFAULT_HOST_PORT,
        health=health,
        own_image=own is not None,
        has_shell=own is None or bool(report.get("has_shell")),
        start_s=max(DEFAULT_START_S, (report.get("ready_s") or 0) * START_FACTOR),
        device=chosen,
        devices=0 if chosen is Device.CPU else max(1, asked),
        cpu=cpu,
        memory_mb=max(specs["memory_mb"] or 0, suggested.get("memory_mb") or 0)
        or report.get("memory_limit_mb")
        or DEFAULT_MEMORY_MB,
        user=user,
        environment=home_of(user)
        if own
        else {"AIRLOCK_MODEL_NAME": row.model_name, "OMP_NUM_THREADS": str(max(1, -int(-cpu // 1)))},
    )


def _tested_on(row: VersionRow, platform: Platform, device: Device | None, subject: str) -> Device:
    """The device, where the version may be served on it by such a platform."""
    if row.status is not Status.NORMAL:
        raise HandOffRefused("HND001", f"{subject} has status {row.status.value}.", "Deploy a version that is Normal.")
    serves = SERVES[platform]
    if not set(serves) & set(row.install_type):
        raise HandOffRefused(
            "HND002",
            f"{subject} was imported for {', '.join(row.install_type)}; "
            f"{platform.value} serves {' and '.join(serves)}.",
            "Import it as a new version with that deployment type.",
        )
    passed = [each for each in Device if row.devices.get(each.value) == Verdict.PASSED.value]
    if device is not None and device not in passed:
        raise HandOffRefused(
            "HND003",
            f"{subject} has not passed on {device.value}: {row.devices.get(device.value, 'not tested')}.",
            f"It passed on {', '.join(passed)}.",
        )
    return device or passed[0]


def _pinned(made: Mapping[str, Any], image: str) -> tuple[str, bool]:
    if image:
        if not _PINNED.fullmatch(image):
            raise HandOffRefused(
                "HND006",
                "The name of the image breaks its form.",
                "Write registry/repository@sha256:…, with the digest.",
            )
        return image, True
    reference, digest = str(made["reference"]), str(made["digest"])
    if "@" in reference:
        return reference, True
    # A local image's digest is its name: no tag that moves can take its place.
    return digest, False


def _folders(own: Mapping[str, Any] | None) -> tuple[str, str, tuple[str, ...]]:
    """Part of the package, where it is seen, and what can be written, as in the test."""
    if own is None:
        return "", PACKAGE_FOLDER, ("/tmp", HOME_FOLDER)  # noqa: S108 - a path inside the container
    # No platform can be told of a path with a colon.
    writable = writable_folders(UserImage(volumes=tuple(own.get("volumes", ()))))
    return "model", MODEL_FOLDER, tuple(path for path in writable if ":" not in path)


def _asked_at(config: Mapping[str, Any], own: Mapping[str, Any] | None) -> tuple[int, Health | None]:
    if own is None:
        return SERVICE_PORT, Health(url="/health")
    ports = [api["port"] for api in config["apis"] if api.get("port")] or list(own.get("ports", ())) or [SERVICE_PORT]
    return int(ports[0]), Health(**config["health"]) if config.get("health") else None


def platform_name(model_name: str, model_version: str) -> str:
    """A name by RFC 1123 that no other version has."""
    whole = f"{model_name}-{model_version}"
    plain = re.sub(r"[^a-z0-9]+", "-", whole.lower()).strip("-")
    if plain == whole.replace(".", "-") and plain[0].isalpha() and len(plain) <= 63:
        return plain
    # What was changed may be another version's name by now.
    mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"model-{plain[:40].strip('-')}-{mark}".replace("--", "-")
