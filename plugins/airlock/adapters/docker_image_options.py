"""How an image of the user's own and its relay are started, as pure functions: the same sandbox as for every test."""

from __future__ import annotations

from typing import Any

from docker.types import DriverConfig, Healthcheck, Mount

from airlock.adapters.docker_options import (
    DEFAULT_CPUS,
    MEGABYTE,
    SOCKET_FOLDER,
    HostDevices,
    device_options,
    labels,
    merge,
    sandbox,
)
from airlock.domain.health import COMMAND_CHECK, Health
from airlock.domain.user_image import MODEL_FOLDER, NOBODY, home_of, writable_folders
from airlock.ports.running_service import ImageLaunch

RELAY_MEMORY_BYTES = 128 * MEGABYTE
RELAY_CPUS = 1.0
_SECOND_NS = 1_000_000_000


def relay_options(launch: ImageLaunch, program: str, socket_folder: str) -> dict[str, Any]:
    """The arguments of the client's `containers.create` for a relay, without image.

    Args:
        launch: What it relays to.
        program: The relay's Python program.
        socket_folder: The folder on the host that its sockets appear in.
    """
    return {
        **sandbox(RELAY_CPUS, RELAY_MEMORY_BYTES),
        "entrypoint": ["python"],
        "command": ["-I", "-c", program, SOCKET_FOLDER, *map(str, launch.ports)],
        "working_dir": "/",
        "user": NOBODY,
        "init": True,
        "hostname": "localhost",
        "network_mode": "none",
        # The namespace's own rule, whoever joins it: nobody is root there, and images listen on port 80.
        "sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
        "healthcheck": Healthcheck(test=["NONE"]),
        "mounts": [Mount(SOCKET_FOLDER, socket_folder, type="bind")],
        "labels": labels(launch.run, launch.task, launch.attempt),
    }


def user_image_options(launch: ImageLaunch, *, relay: str, model_folder: str, host: HostDevices) -> dict[str, Any]:
    """The arguments of the client's `containers.create` for an image of the user's own, without image.

    Its entrypoint, its working directory and its environment are its own.

    Args:
        launch: What to start.
        relay: Identifier of the relay's container.
        model_folder: The package's `model/` on the host.
        host: What the host has.
    """
    memory = launch.memory_mb * MEGABYTE
    scratch = max(256 * MEGABYTE, memory // 2)
    marks = labels(launch.run, launch.task, launch.attempt)
    options: dict[str, Any] = {
        **sandbox(min(launch.cpus or DEFAULT_CPUS, host.cpus), memory),
        "user": launch.user,
        "network_mode": f"container:{relay}",
        "mounts": [
            Mount(MODEL_FOLDER, model_folder, type="bind", read_only=True),
            *(_in_memory(path, scratch, marks) for path in writable_folders(launch.image.own)),
        ],
        "healthcheck": _healthcheck(launch.health),
        "environment": home_of(launch.user),
        "labels": marks,
    }
    merge(options, device_options(launch.device, host))
    return options


def _in_memory(path: str, size_bytes: int, marks: dict[str, str]) -> Mount:
    """A folder in memory that every user can write to, removed with its container.

    It is a volume, because the engine gives a plain one (`tmpfs`) the permissions of the folder below it.
    """
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={size_bytes},mode=1777,nosuid,nodev"}
    return Mount(path, None, type="volume", no_copy=True, driver_config=DriverConfig("local", options), labels=marks)


def _healthcheck(health: Health) -> Healthcheck:
    """A command is run by the engine, in the container; the image's own check is not asked for."""
    if health.method != COMMAND_CHECK:
        return Healthcheck(test=["NONE"])
    return Healthcheck(
        test=["CMD-SHELL", health.command],
        interval=int(health.period_s * _SECOND_NS),
        timeout=int(health.timeout_s * _SECOND_NS),
        start_period=int(health.initial_delay_s * _SECOND_NS),
        retries=health.failures or 1,
    )
