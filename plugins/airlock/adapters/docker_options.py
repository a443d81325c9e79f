"""How a service's container is started, as a pure function: the sandbox, and what each device adds to it.

Source: the engine's API reference; the accelerator makers' container toolkits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

import airlock
from airlock.adapters.docker_client import OWNER_LABEL, RUN_LABEL, TASK_LABEL, TRY_LABEL, VERSION_LABEL
from airlock.adapters.owner import this_process
from airlock.domain.device import Device
from airlock.domain.image import HOME_FOLDER, LAYER_LABEL, PACKAGE_FOLDER, SERVICE_USER
from airlock.domain.version import RunRef
from airlock.ports.running_service import Launch

SOCKET_FOLDER = "/run/airlock"
SOCKET_NAME = "http.sock"
DEFAULT_CPUS = 2.0
#: TensorFlow aborts with far fewer; a fork bomb ends here.
MAX_PROCESSES = 512
MAX_LOG = "10m"
MEGABYTE = 1_000_000
# Engines that write shared libraries to /tmp and load them from there.
_EXEC_TMP_ENGINES = frozenset({"Spark_MLlib"})

ASCEND_CONTROL_DEVICES = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
ASCEND_MOUNTS = (
    "/usr/local/Ascend/driver",
    "/usr/local/dcmi",
    "/usr/local/bin/npu-smi",
    "/etc/ascend_install.info",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDevices:
    """What the engine's host has.

    Attributes:
        cpus: Processors; the engine refuses a container that asks for more.
        gpu: How GPUs are asked for: `nvidia` (the toolkit's runtime), `cdi`, or empty where there is none.
        davinci: Ascend devices, `/dev/davinci0` and so on.
        ascend_runtime: Whether the engine has the Ascend runtime, which does the rest by itself.
        ascend_files: Which of the control devices and driver files exist.
        ascend_groups: Group ids that may use the devices.
    """

    cpus: float
    gpu: str = ""
    davinci: tuple[str, ...] = ()
    ascend_runtime: bool = False
    ascend_files: tuple[str, ...] = ()
    ascend_groups: tuple[int, ...] = ()

    def devices(self) -> frozenset[Device]:
        """The kinds that a service can be tested on."""
        found = {Device.CPU}
        if self.gpu:
            found.add(Device.GPU)
        if self.davinci:
            found.add(Device.ASCEND)
        return frozenset(found)


def container_options(launch: Launch, *, package_folder: str, socket_folder: str, host: HostDevices) -> dict[str, Any]:
    """The arguments of the client's `containers.create`, without image.

    Args:
        launch: What to start.
        package_folder: The folder on the host that contains `model/`.
        socket_folder: The folder on the host that the service's socket appears in.
        host: What the host has.
    """
    cpus = min(launch.cpus or DEFAULT_CPUS, host.cpus)
    memory = launch.memory_mb * MEGABYTE
    scratch = max(256 * MEGABYTE, memory // 2)
    tmp = "exec" if launch.runtime.engine in _EXEC_TMP_ENGINES else "noexec"
    options: dict[str, Any] = {
        **sandbox(cpus, memory),
        "hostname": "localhost",
        "user": f"{SERVICE_USER}:{SERVICE_USER}",
        "init": True,
        "network_mode": "none",
        "tmpfs": {
            "/tmp": f"rw,{tmp},nosuid,nodev,size={scratch},mode=1777",  # noqa: S108 - a path inside the container
            # Packages bring compiled modules, which must be loaded from where the package is laid out.
            HOME_FOLDER: f"rw,exec,nosuid,nodev,size={scratch},mode=1777",
        },
        "mounts": [
            # A baked image is tested with what is in it, and with nothing over it.
            *([] if launch.image.baked else [Mount(PACKAGE_FOLDER, package_folder, type="bind", read_only=True)]),
            Mount(SOCKET_FOLDER, socket_folder, type="bind"),
        ],
        "environment": {
            "AIRLOCK_BIND": f"unix:{SOCKET_FOLDER}/{SOCKET_NAME}",
            "AIRLOCK_MODEL_NAME": launch.model_name,
            # The libraries see all of the host's processors and would start a thread for each.
            "OMP_NUM_THREADS": str(max(1, math.ceil(cpus))),
            # Where NVIDIA's runtime is the engine's default, the base image's own value would bring in the GPUs.
            **({} if launch.device is Device.GPU else {"NVIDIA_VISIBLE_DEVICES": "void"}),
        },
        "labels": labels(launch.run, launch.task, launch.attempt),
    }
    merge(options, device_options(launch.device, host))
    # What the catalogue says of the engine comes last; the image has it too.
    options["environment"].update(dict(launch.runtime.environment))
    return options


def sandbox(cpus: float, memory_bytes: int) -> dict[str, Any]:
    """What every container of a test is started with, whoever made its image.

    Args:
        cpus: Cores.
        memory_bytes: Memory limit.
    """
    return {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": MAX_PROCESSES,
        "mem_limit": memory_bytes,
        # Equal limits mean no swap: a model that swaps would pass here and fail in service.
        "memswap_limit": memory_bytes,
        "nano_cpus": int(cpus * 1e9),
        "shm_size": min(1024 * MEGABYTE, max(64 * MEGABYTE, memory_bytes // 4)),
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": MAX_LOG, "max-file": "1"}),
    }


def labels(run: RunRef, task: str, attempt: int) -> dict[str, str]:
    """What a container is found by."""
    return {
        RUN_LABEL: str(run),
        TASK_LABEL: task,
        TRY_LABEL: str(attempt),
        OWNER_LABEL: this_process(),
        VERSION_LABEL: airlock.__version__,
        # An image's own label would make the container look like litter of a build.
        LAYER_LABEL: "",
    }


def device_options(device: Device, host: HostDevices) -> dict[str, Any]:
    """What a device adds.

    Raises:
        ValueError: The host has no such device; callers ask `HostDevices.devices` first.
    """
    if device not in host.devices():
        raise ValueError(f"no {device.value} on this host")
    if device is Device.GPU:
        if host.gpu == "cdi":
            return {"device_requests": [DeviceRequest(driver="cdi", device_ids=["nvidia.com/gpu=all"])]}
        return {"device_requests": [DeviceRequest(count=-1, capabilities=[["gpu", "compute", "utility"]])]}
    if device is Device.ASCEND:
        groups = [str(group) for group in host.ascend_groups]
        if host.ascend_runtime:
            numbers = ",".join(path.removeprefix("/dev/davinci") for path in host.davinci)
            return {"runtime": "ascend", "group_add": groups, "environment": {"ASCEND_VISIBLE_DEVICES": numbers}}
        control = [path for path in ASCEND_CONTROL_DEVICES if path in host.ascend_files]
        driver = [path for path in ASCEND_MOUNTS if path in host.ascend_files]
        return {
            "devices": [f"{path}:{path}:rwm" for path in (*host.davinci, *control)],
            "group_add": groups,
            "mounts": [Mount(path, path, type="bind", read_only=True) for path in driver],
        }
    return {}


def merge(options: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add options to those that are there."""
    for key, value in more.items():
        if isinstance(value, dict):
            options[key] = {**options.get(key, {}), **value}
        elif isinstance(value, list):
            options[key] = [*options.get(key, []), *value]
        else:
            options[key] = value
