"""Where the test on a device runs: its queue, its pool, and on Kubernetes what its pod asks for.

Read while the DAG's file is parsed, so Kubernetes' own models are loaded only where pods are asked for.
"""

from __future__ import annotations

from typing import Any

from airlock.adapters.settings import PodRequest, from_airflow
from airlock.errors import SettingInvalid
from airlock.operators.pools import pool_of

#: The container of a task's pod, as KubernetesExecutor names it.
POD_CONTAINER = "base"


def placement(device: str) -> dict[str, Any]:
    """The operator's arguments for a device's test.

    Args:
        device: `cpu`, `gpu` or `ascend`. The queue of its workers has the same name.

    Returns:
        `queue`, `pool`, and where `[airlock] pod_requests` names the device `executor_config`.
    """
    chosen: dict[str, Any] = {"queue": device, "pool": pool_of(device)}
    try:
        settings = from_airflow()
    except SettingInvalid:
        # Every task of a run says which setting it is; a DAG that is not there would say nothing.
        return chosen
    request = next((each for each in settings.pod_requests if each.device == device), None)
    if request is not None:
        chosen["executor_config"] = {"pod_override": pod_with(request)}
    return chosen


def pod_with(request: PodRequest) -> Any:
    """What is laid over the installation's pod template, as KubernetesExecutor takes it.

    The executor puts it in the place of the template's own resources, tolerations and the like, whole: so it holds
    resources and nothing else, and those of the setting must be all that the pod needs.

    Args:
        request: The resources.
    """
    from kubernetes.client import models

    # Kubernetes allows no other request of a device than its limit; the rest is guaranteed likewise.
    resources = models.V1ResourceRequirements(limits=dict(request.resources), requests=dict(request.resources))
    container = models.V1Container(name=POD_CONTAINER, resources=resources)
    return models.V1Pod(spec=models.V1PodSpec(containers=[container]))
