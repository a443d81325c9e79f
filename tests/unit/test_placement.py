"""Where the tests on devices run: queues, pools, and the pods of Kubernetes."""

from __future__ import annotations

from typing import Any

import pytest

from airlock.adapters.settings import PodRequest, load_settings
from airlock.errors import SettingInvalid
from airlock.operators import placement as module
from airlock.operators.placement import placement, pod_with


def given(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    monkeypatch.setattr(module, "from_airflow", lambda: load_settings(lambda key: settings.get(key, "")))


@pytest.mark.parametrize("device", ["cpu", "gpu", "ascend"])
def test_a_device_has_the_queue_of_its_name_and_nothing_else_by_default(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch)
    assert placement(device) == {"queue": device, "pool": "default_pool"}


BOTH = "gpu: nvidia.com/gpu=1 cpu=4 memory=16Gi; ascend: huawei.com/Ascend910=2 memory=8.5Gi"


@pytest.mark.parametrize(
    "device,asked",
    [
        ("gpu", {"nvidia.com/gpu": "1", "cpu": "4", "memory": "16Gi"}),
        ("ascend", {"huawei.com/Ascend910": "2", "memory": "8.5Gi"}),
    ],
)
def test_a_pod_asks_for_its_device(device: str, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from kubernetes.client import ApiClient

    given(monkeypatch, pod_requests=BOTH)
    pod = placement(device)["executor_config"]["pod_override"]
    assert ApiClient().sanitize_for_serialization(pod) == {
        "spec": {"containers": [{"name": "base", "resources": {"limits": asked, "requests": asked}}]}
    }
    assert "executor_config" not in placement("cpu")


def test_the_executor_lays_the_request_over_the_pod_template_and_keeps_everything_but_its_resources() -> None:
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
    from kubernetes.client import models

    template = models.V1Pod(
        metadata=models.V1ObjectMeta(name="task"),
        spec=models.V1PodSpec(
            containers=[
                models.V1Container(
                    name="base",
                    image="airlock:0.1.0",
                    resources=models.V1ResourceRequirements(limits={"memory": "4Gi"}),
                    volume_mounts=[models.V1VolumeMount(name="data", mount_path="/var/lib/airlock")],
                ),
            ],
            init_containers=[models.V1Container(name="engine", image="engine:1", restart_policy="Always")],
            tolerations=[models.V1Toleration(key="nvidia.com/gpu", operator="Exists")],
        ),
    )
    resources = (("nvidia.com/gpu", "1"), ("memory", "16Gi"))
    merged = PodGenerator.reconcile_pods(template, pod_with(PodRequest(device="gpu", resources=resources)))
    (base,) = merged.spec.containers
    assert (base.name, base.image, base.volume_mounts[0].mount_path) == ("base", "airlock:0.1.0", "/var/lib/airlock")
    assert base.resources.limits == {"nvidia.com/gpu": "1", "memory": "16Gi"}
    assert [each.name for each in merged.spec.init_containers] == ["engine"]
    assert [each.key for each in merged.spec.tolerations] == ["nvidia.com/gpu"]


@pytest.mark.parametrize(
    "settings,said",
    [
        ({"pod_requests": "gpu"}, "`[airlock] pod_requests` holds 'gpu'"),
        ({"pod_requests": "tpu: google.com/tpu=1"}, "holds 'tpu: google.com/tpu=1'"),
        ({"pod_requests": "gpu: memory=16Gi"}, "holds 'gpu: memory=16Gi'"),
        ({"pod_requests": "gpu: nvidia.com/gpu=one"}, "holds 'gpu: nvidia.com/gpu=one'"),
        ({"pod_requests": "gpu: nvidia.com/gpu=1; gpu: amd.com/gpu=1"}, "holds 'gpu: amd.com/gpu=1'"),
    ],
)
def test_a_setting_that_cannot_be_read_is_said(settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingInvalid) as raised:
        load_settings(lambda key: settings.get(key, ""))
    assert said in str(raised.value)
    assert "gpu" in raised.value.remedy


def test_the_dag_stays_there_when_a_setting_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise SettingInvalid("SET001", "no", "yes")

    monkeypatch.setattr(module, "from_airflow", refuse)
    assert placement("gpu") == {"queue": "gpu", "pool": "default_pool"}
