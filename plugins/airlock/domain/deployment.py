"""Deployments: a registered version as the manifest of the platform that shall serve it.

Manifests are values and argument lists; whoever writes them down quotes. Nothing of a request, a package or a record is
ever joined into text here.
"""

from __future__ import annotations

import enum
import hashlib
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airlock.domain.device import Device
from airlock.domain.health import COMMAND_CHECK, Health
from airlock.domain.health_check import SHELL, check_command
from airlock.domain.image import HOME_FOLDER, PACKAGE_FOLDER, SERVICE_PORT, SERVICE_USER, UserImage
from airlock.domain.record import VersionRow
from airlock.domain.smoke import Verdict
from airlock.domain.user_image import MODEL_FOLDER, home_of, writable_folders
from airlock.domain.version import Status
from airlock.errors import HandOffRefused

MEGABYTE = 1_000_000
#: What a service gets where neither the request nor the test says anything.
DEFAULT_CPU = 1.0
DEFAULT_MEMORY_MB = 1024
MAX_PROCESSES = 512
#: Kubernetes' names of the devices.
RESOURCES = {Device.GPU: "nvidia.com/gpu", Device.ASCEND: "huawei.com/Ascend910"}
#: Seconds that a service may take to load, where its test says nothing; and how many times as long as in the test.
DEFAULT_START_S = 120.0
START_FACTOR = 4.0
#: Seconds from the signal to end until the platform kills: a running prediction may take forty, and ends first.
STOP_S = 45
#: Where Docker and Compose publish a service on the host. Airflow listens on 8080, where most services do in their
#: containers, and a second one on the next port.
DEFAULT_HOST_PORT = 8090
_PROBE_PERIOD_S = 5
#: Docker and Compose start a program each time that they ask.
_CHECK_PERIOD_S = 10
_CHECK_FAILURES = 3
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
        own_image: Whether it is an image of the user's own, of whose programs nothing is known.
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
    chosen = device or passed[0]
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
        start_s=max(DEFAULT_START_S, (report.get("ready_s") or 0) * START_FACTOR),
        device=chosen,
        devices=max(1, asked) if chosen in RESOURCES else 0,
        cpu=cpu,
        memory_mb=max(specs["memory_mb"] or 0, suggested.get("memory_mb") or 0)
        or report.get("memory_limit_mb")
        or DEFAULT_MEMORY_MB,
        user=user,
        environment=home_of(user)
        if own
        else {"AIRLOCK_MODEL_NAME": row.model_name, "OMP_NUM_THREADS": str(max(1, -int(-cpu // 1)))},
    )


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


# ── the platforms ────────────────────────────────────────────────────────────────────────────────────────────────────


def docker_command(given: HandOff) -> tuple[str, ...]:
    """`docker run` with its arguments."""
    argv = [
        "docker", "run", "--detach", "--restart", "unless-stopped", "--init",
        "--stop-timeout", str(STOP_S),
        "--name", given.name,
        "--publish", f"127.0.0.1:{given.host_port}:{given.port}",
        "--cpus", f"{given.cpu:g}",
        "--memory", str(given.memory_mb * MEGABYTE),
        "--pids-limit", str(MAX_PROCESSES),
        "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true",
    ]  # fmt: skip
    for path in given.writable:
        argv += ["--tmpfs", f"{path}:rw,exec,nosuid,nodev,mode=1777"]
    if given.health is not None:
        check = check_command(given.health, given.port, own_image=given.own_image)
        # Docker hands the text to the container's shell.
        text = check[-1] if check[:2] == SHELL else shlex.join(check)
        argv += ["--health-cmd", text]
        for name, value in _check_times(given, given.health).items():
            argv += [f"--health-{name.replace('_', '-')}", str(value)]
    if given.user:
        argv += ["--user", given.user]
    if given.device is Device.GPU:
        argv += ["--gpus", str(given.devices)]
    if given.device is Device.ASCEND:
        numbers = ",".join(map(str, range(given.devices)))
        argv += ["--runtime", "ascend", "--env", f"ASCEND_VISIBLE_DEVICES={numbers}"]
    for name, value in sorted(given.environment.items()):
        argv += ["--env", f"{name}={value}"]
    if given.package_digest:
        argv += ["--mount", f"type=bind,source={given.package_folder},target={given.package_target},readonly"]
    return (*argv, given.image)


def _check_times(given: HandOff, health: Health) -> dict[str, str | int]:
    """By Compose's names; durations are Docker's, too."""
    return {
        "interval": f"{max(_CHECK_PERIOD_S, health.period_s):g}s",
        "timeout": f"{health.timeout_s:g}s",
        "start_period": f"{max(given.start_s, health.initial_delay_s):g}s",
        "retries": max(_CHECK_FAILURES, health.failures or 0),
    }


def compose_file(given: HandOff) -> dict[str, Any]:
    """A Compose file with one service."""
    service: dict[str, Any] = {
        "image": given.image,
        "restart": "unless-stopped",
        "init": True,
        "stop_grace_period": f"{STOP_S}s",
        "ports": [f"127.0.0.1:{given.host_port}:{given.port}"],
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": [f"{_no_variable(path)}:mode=1777,exec" for path in given.writable],
        "environment": {name: _no_variable(value) for name, value in sorted(given.environment.items())},
        "labels": {"io.airlock.model": _no_variable(given.model_name), "io.airlock.version": given.model_version},
        "pids_limit": MAX_PROCESSES,
        "cpus": given.cpu,
        "mem_limit": given.memory_mb * MEGABYTE,
    }
    if given.health is not None:
        check = check_command(given.health, given.port, own_image=given.own_image)
        test = ["CMD", *map(_no_variable, check)]
        service["healthcheck"] = {"test": test, **_check_times(given, given.health)}
    if not given.pulled:
        service["pull_policy"] = "never"
    if given.user:
        service["user"] = given.user
    if given.package_digest:
        service["volumes"] = [{
            "type": "bind",
            "source": _no_variable(given.package_folder),
            "target": given.package_target,
            "read_only": True,
        }]  # fmt: skip
    if given.device is Device.GPU:
        gpus = {"driver": "nvidia", "count": given.devices, "capabilities": ["gpu"]}
        service["deploy"] = {"resources": {"reservations": {"devices": [gpus]}}}
    if given.device is Device.ASCEND:
        service["runtime"] = "ascend"
        service["environment"]["ASCEND_VISIBLE_DEVICES"] = ",".join(map(str, range(given.devices)))
    return {"name": given.name, "services": {"model": service}}


def _no_variable(value: str) -> str:
    """A value in which Compose finds no variable to put in."""
    return value.replace("$", "$$")


def kubernetes_objects(given: HandOff) -> tuple[dict[str, Any], ...]:
    """A Deployment and its Service."""
    labels = _labels(given)
    pod = _pod(given)
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(given),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(given),
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }
    return deployment, service


def kserve_object(given: HandOff) -> dict[str, Any]:
    """An InferenceService of KServe with a container of its own."""
    pod = _pod(given)
    pod["containers"][0]["name"] = "kserve-container"
    metadata = _metadata(given)
    # Knative, which the other mode goes by, takes neither folders of the host nor a pod's security context. This is the
    # mode's older name, which newer releases still read.
    metadata["annotations"]["serving.kserve.io/deploymentMode"] = "RawDeployment"
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {"predictor": {"minReplicas": 1, **pod}},
    }


def _labels(given: HandOff) -> dict[str, str]:
    return {"app.kubernetes.io/name": given.name, "app.kubernetes.io/managed-by": "airlock"}


def _metadata(given: HandOff) -> dict[str, Any]:
    # Names that no label takes, Chinese ones for instance, are annotations.
    return {
        "name": given.name,
        "labels": _labels(given),
        "annotations": {
            "airlock.io/model-name": given.model_name,
            "airlock.io/model-version": given.model_version,
            **({"airlock.io/package": f"sha256:{given.package_digest}"} if given.package_digest else {}),
        },
    }


def _probe(health: Health | None) -> dict[str, Any]:
    if health is None:
        return {"tcpSocket": {"port": "http"}}
    wait = {"timeoutSeconds": math.ceil(health.timeout_s)}
    if health.method == COMMAND_CHECK:
        return {"exec": {"command": [*SHELL, health.command]}, **wait}
    scheme = {"scheme": "HTTPS"} if health.protocol == "https" else {}
    return {"httpGet": {"path": health.url, "port": "http", **scheme}, **wait}


def _pod(given: HandOff) -> dict[str, Any]:
    folders = {f"writable-{number}": path for number, path in enumerate(given.writable)}
    volumes: list[dict[str, Any]] = [{"name": name, "emptyDir": {}} for name in folders]
    mounts: list[dict[str, Any]] = [{"name": name, "mountPath": path} for name, path in folders.items()]
    if given.package_digest:
        mount: dict[str, Any] = {"name": "package", "mountPath": given.package_target, "readOnly": True}
        if given.claim:
            claim = {"claimName": given.claim, "readOnly": True}
            volumes.append({"name": "package", "persistentVolumeClaim": claim})
            mount["subPath"] = f"sha256/{given.package_digest}/{given.package_part}".rstrip("/")
        else:
            volumes.append({"name": "package", "hostPath": {"path": given.package_folder, "type": "Directory"}})
        mounts.append(mount)
    limits: dict[str, Any] = {"cpu": f"{given.cpu:g}", "memory": f"{given.memory_mb}M"}
    if given.device in RESOURCES:
        limits[RESOURCES[given.device]] = given.devices
    probe = _probe(given.health)
    security: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    user = given.user.partition(":")[0]
    if user.isdigit() and user != "0":
        security |= {"runAsNonRoot": True, "runAsUser": int(user)}
    container = {
        "name": "model",
        "image": given.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": given.port}],
        "env": [{"name": name, "value": value} for name, value in sorted(given.environment.items())],
        "resources": {"requests": dict(limits), "limits": limits},
        "startupProbe": {
            **probe, "periodSeconds": _PROBE_PERIOD_S, "failureThreshold": int(-(-given.start_s // _PROBE_PERIOD_S)),
        },
        "readinessProbe": {**probe, "periodSeconds": _PROBE_PERIOD_S},
        "livenessProbe": {**probe, "periodSeconds": 4 * _PROBE_PERIOD_S, "failureThreshold": 6},
        "securityContext": security,
        "volumeMounts": mounts,
    }  # fmt: skip
    return {
        "terminationGracePeriodSeconds": STOP_S,
        "automountServiceAccountToken": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": volumes,
    }
