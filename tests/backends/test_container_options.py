"""How containers are started: the sandbox and the devices, without an engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backend_bench import TINY
from docker.types import DeviceRequest

from airlock.adapters.docker_options import HostDevices, container_options, device_options
from airlock.adapters.host_devices import host_devices
from airlock.domain.catalogue import Runtime, Variant
from airlock.domain.device import Device
from airlock.domain.image import BackendKind, Image, Isolation
from airlock.domain.version import RunRef
from airlock.ports.running_service import Launch

HOST = HostDevices(cpus=8)


def launch(**changes: Any) -> Launch:
    image = Image(
        backend=BackendKind.DOCKER,
        isolation=Isolation.CONTAINER,
        reference="airlock/base:x",
        digest="sha256:0",
        size_bytes=0,
        layers=(),
        log="",
    )
    made = Launch(
        image=image,
        runtime=TINY,
        package_digest="d",
        model_name="iris",
        device=Device.CPU,
        cpus=None,
        memory_mb=2000,
        run=RunRef(dag_id="import_model", run_id="manual__2026"),
        task="smoke_cpu",
        attempt=2,
    )
    return replace(made, **changes)


def options(host: HostDevices = HOST, **changes: Any) -> dict[str, Any]:
    return container_options(launch(**changes), package_folder="/store/p", socket_folder="/work/s", host=host)


def test_the_sandbox_has_every_bar() -> None:
    made = options()
    assert made["network_mode"] == "none"
    assert made["read_only"] is True
    assert made["cap_drop"] == ["ALL"]
    assert made["security_opt"] == ["no-new-privileges:true"]
    assert made["user"] == "65534:65534"
    assert made["pids_limit"] == 512
    assert made["mem_limit"] == made["memswap_limit"] == 2_000_000_000
    assert made["nano_cpus"] == 2_000_000_000
    assert made["init"] is True
    assert made["hostname"] == "localhost"
    assert made["log_config"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "1"}}
    assert made["ulimits"] == [{"Name": "core", "Soft": 0, "Hard": 0}]
    for key in ("privileged", "cap_add", "volumes", "ports", "devices", "device_requests", "pid_mode", "ipc_mode"):
        assert key not in made


def test_the_package_is_read_only_and_the_socket_folder_is_all_else_that_is_mounted() -> None:
    package, socket = options()["mounts"]
    assert (package["Source"], package["Target"], package["ReadOnly"]) == ("/store/p", "/opt/airlock/package", True)
    assert (socket["Source"], socket["Target"]) == ("/work/s", "/run/airlock")
    assert package["Type"] == socket["Type"] == "bind"


def test_what_can_be_written_has_a_size() -> None:
    tmpfs = options()["tmpfs"]
    assert tmpfs == {
        "/tmp": "rw,noexec,nosuid,nodev,size=1000000000,mode=1777",
        "/home/mind": "rw,exec,nosuid,nodev,size=1000000000,mode=1777",
    }
    assert "size=256000000" in options(memory_mb=64)["tmpfs"]["/tmp"]


def test_spark_may_load_what_it_writes_to_tmp() -> None:
    assert ",exec," in options(runtime=replace(TINY, engine="Spark_MLlib"))["tmpfs"]["/tmp"]


def test_the_environment_is_the_servers_and_the_catalogues_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    runtime: Runtime = replace(TINY, environment=(("SPARK_LOCAL_IP", "127.0.0.1"),))
    assert options(runtime=runtime)["environment"] == {
        "AIRLOCK_BIND": "unix:/run/airlock/http.sock",
        "AIRLOCK_MODEL_NAME": "iris",
        "OMP_NUM_THREADS": "2",
        "NVIDIA_VISIBLE_DEVICES": "void",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def test_labels_name_the_run_and_the_task_and_hide_the_images_own() -> None:
    labels = options()["labels"]
    assert labels["io.airlock.run"] == "import_model/manual__2026"
    assert labels["io.airlock.task"] == "smoke_cpu"
    assert labels["io.airlock.try"] == "2"
    assert labels["io.airlock.version"]
    assert labels["io.airlock.layer"] == ""


@pytest.mark.parametrize("asked, has, gets", [(None, 8, 2.0), (None, 1, 1.0), (4, 8, 4.0), (16, 8, 8.0), (0.5, 8, 0.5)])
def test_no_more_processors_are_asked_for_than_there_are(asked: float | None, has: int, gets: float) -> None:
    made = options(host=HostDevices(cpus=has), cpus=asked)
    assert made["nano_cpus"] == gets * 1e9
    assert made["environment"]["OMP_NUM_THREADS"] == str(max(1, int(gets)))


# ── devices ──────────────────────────────────────────────────────────────────────────────────────────────────────────

GPU = HostDevices(cpus=8, gpu="nvidia")
ASCEND = HostDevices(
    cpus=8,
    davinci=("/dev/davinci0", "/dev/davinci1"),
    ascend_files=("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc", "/usr/local/Ascend/driver"),
    ascend_groups=(1001,),
)


def test_a_cpu_test_gets_no_device() -> None:
    assert device_options(Device.CPU, GPU) == {}


def test_all_gpus_are_asked_for() -> None:
    (request,) = device_options(Device.GPU, GPU)["device_requests"]
    assert request["Count"] == -1
    assert request["Capabilities"] == [["gpu", "compute", "utility"]]
    (request,) = device_options(Device.GPU, replace(GPU, gpu="cdi"))["device_requests"]
    assert (request["Driver"], request["DeviceIDs"]) == ("cdi", ["nvidia.com/gpu=all"])


#: As the catalogue has it for TensorFlow 1: one distribution for each device.
BOTH_BUILDS = replace(
    TINY,
    engine="TensorFlow",
    name="python3.6",
    devices=(Device.CPU, Device.GPU),
    variants=(
        Variant(
            name="gpu",
            devices=(Device.GPU,),
            base_image="airlock-base/python:3.6-cuda9.0-cudnn7",
            base_recipe="ARG CUDA_IMAGE\n",
            system_packages=(),
            environment=(("TF_FORCE_GPU_ALLOW_GROWTH", "true"),),
            constraints="tensorflow-gpu==1.8.0\n",
        ),
    ),
)


@pytest.mark.parametrize(
    "way, request_for_gpus",
    [
        ("nvidia", DeviceRequest(count=-1, capabilities=[["gpu", "compute", "utility"]])),
        ("cdi", DeviceRequest(driver="cdi", device_ids=["nvidia.com/gpu=all"])),
    ],
)
def test_a_build_for_gpus_starts_in_the_same_sandbox_with_the_gpus_and_its_own_environment(
    way: str, request_for_gpus: DeviceRequest
) -> None:
    host = replace(GPU, gpu=way)
    cpu = options(host=host, runtime=BOTH_BUILDS)
    gpu = options(host=host, runtime=BOTH_BUILDS.as_variant("gpu"), device=Device.GPU, task="smoke_gpu")
    assert gpu.pop("device_requests") == [request_for_gpus]
    assert "device_requests" not in cpu
    assert gpu.pop("environment") == {
        "AIRLOCK_BIND": "unix:/run/airlock/http.sock",
        "AIRLOCK_MODEL_NAME": "iris",
        "OMP_NUM_THREADS": "2",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    assert cpu.pop("environment") == {
        "AIRLOCK_BIND": "unix:/run/airlock/http.sock",
        "AIRLOCK_MODEL_NAME": "iris",
        "OMP_NUM_THREADS": "2",
        "NVIDIA_VISIBLE_DEVICES": "void",
    }
    assert gpu.pop("labels").pop("io.airlock.task") == "smoke_gpu"
    cpu.pop("labels")
    assert gpu == cpu


def test_ascend_devices_come_with_their_driver_and_group() -> None:
    made = options(host=ASCEND, device=Device.ASCEND)
    assert made["devices"] == [
        "/dev/davinci0:/dev/davinci0:rwm",
        "/dev/davinci1:/dev/davinci1:rwm",
        "/dev/davinci_manager:/dev/davinci_manager:rwm",
        "/dev/devmm_svm:/dev/devmm_svm:rwm",
        "/dev/hisi_hdc:/dev/hisi_hdc:rwm",
    ]
    assert made["group_add"] == ["1001"]
    driver = made["mounts"][-1]
    assert (driver["Source"], driver["ReadOnly"]) == ("/usr/local/Ascend/driver", True)
    assert len(made["mounts"]) == 3
    assert made["network_mode"] == "none"


def test_the_ascend_runtime_does_the_rest_by_itself() -> None:
    made = options(host=replace(ASCEND, ascend_runtime=True), device=Device.ASCEND)
    assert made["runtime"] == "ascend"
    assert made["environment"]["ASCEND_VISIBLE_DEVICES"] == "0,1"
    assert "devices" not in made


@pytest.mark.parametrize("device", [Device.GPU, Device.ASCEND])
def test_a_device_that_is_not_there_is_a_callers_mistake(device: Device) -> None:
    with pytest.raises(ValueError, match=device.value):
        device_options(device, HOST)


def _machine(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def test_a_plain_machine_has_a_cpu(tmp_path: Path) -> None:
    found = host_devices({"NCPU": 4, "Runtimes": {"runc": {}}}, tmp_path)
    assert found == HostDevices(cpus=4.0)
    assert found.devices() == {Device.CPU}


def test_a_gpu_counts_where_the_engine_can_hand_it_on(tmp_path: Path) -> None:
    root = _machine(tmp_path, "/dev/nvidia0", "/dev/nvidiactl")
    assert host_devices({"NCPU": 4, "Runtimes": {"runc": {}}}, root=root).devices() == {Device.CPU}
    assert host_devices({"NCPU": 4, "Runtimes": {"runc": {}, "nvidia": {}}}, root=root).gpu == "nvidia"
    cdi = {"NCPU": 4, "Runtimes": {}, "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]}
    assert host_devices(cdi, root=root).gpu == "cdi"


def test_the_toolkit_without_a_gpu_is_no_device(tmp_path: Path) -> None:
    assert host_devices({"NCPU": 4, "Runtimes": {"nvidia": {}}}, tmp_path).devices() == {Device.CPU}


def test_ascend_devices_are_found_with_what_belongs_to_them(tmp_path: Path) -> None:
    root = _machine(
        tmp_path, "/dev/davinci0", "/dev/davinci10", "/dev/davinci_manager", "/usr/local/Ascend/driver/version.info"
    )
    found = host_devices({"NCPU": 4, "Runtimes": {"ascend": {}}}, root=root)
    assert found.davinci == ("/dev/davinci0", "/dev/davinci10")
    assert found.ascend_runtime
    assert found.ascend_files == ("/dev/davinci_manager", "/usr/local/Ascend/driver")
    assert found.devices() == {Device.CPU, Device.ASCEND}


@pytest.mark.parametrize(
    "access,runtimes,devices,by_runtime",
    [
        ("auto", {"ascend": {}}, 1, True),
        ("auto", {}, 1, False),
        ("devices", {"ascend": {}}, 1, False),
        ("runtime", {"ascend": {}}, 1, True),
        ("runtime", {}, 0, False),
    ],
)
def test_how_ascend_devices_are_handed_on_can_be_set(
    tmp_path: Path, access: str, runtimes: dict[str, Any], devices: int, by_runtime: bool
) -> None:
    found = host_devices({"Runtimes": runtimes}, access, _machine(tmp_path, "/dev/davinci0"))
    assert (len(found.davinci), found.ascend_runtime) == (devices, by_runtime)
    assert (Device.ASCEND in found.devices()) == bool(devices)
