"""A version as a cluster serves it: Kubernetes itself, and KServe on it."""

from __future__ import annotations

import math
from typing import Any

from airlock.domain.deployment.hand_off import STOP_S, HandOff
from airlock.domain.device import Device
from airlock.domain.health import COMMAND_CHECK, Health
from airlock.domain.health_check import SHELL

#: Kubernetes' names of the devices.
RESOURCES = {Device.GPU: "nvidia.com/gpu", Device.ASCEND: "huawei.com/Ascend910"}
_PROBE_PERIOD_S = 5


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
