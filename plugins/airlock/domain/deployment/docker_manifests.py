"""A version as Docker and Compose serve it on one host."""

from __future__ import annotations

import shlex
from typing import Any

from airlock.domain.deployment.hand_off import STOP_S, HandOff
from airlock.domain.device import Device
from airlock.domain.health import COMMAND_CHECK, Health
from airlock.domain.health_check import SHELL, check_command

MEGABYTE = 1_000_000
MAX_PROCESSES = 512
#: Docker and Compose start a program each time that they ask.
_CHECK_PERIOD_S = 10
_CHECK_FAILURES = 3


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
    health = _asked_inside(given)
    if health is not None:
        check = check_command(health, given.port, own_image=given.own_image)
        # Docker hands the text to the container's shell.
        text = check[-1] if check[:2] == SHELL else shlex.join(check)
        argv += ["--health-cmd", text]
        for name, value in _check_times(given, health).items():
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


def _asked_inside(given: HandOff) -> Health | None:
    """The health that Docker and Compose can ask for, which they do with a command in the container.

    Without a shell that command would fail each time, and the engine call a service unhealthy that is not. A command of
    the author's own has passed in the test.
    """
    health = given.health
    return health if health is not None and (given.has_shell or health.method == COMMAND_CHECK) else None


def health_note(given: HandOff) -> str:
    """What whoever runs it with Docker or Compose must know of its health; empty where the engine asks for it."""
    health = given.health
    if health is None or _asked_inside(given) is not None:
        return ""
    url = f"{health.protocol}://127.0.0.1:{given.host_port}{health.url}"
    return (
        "No health check runs in the container: the image has no /bin/sh for one, as far as is known. "
        f"Ask from outside: GET {url} is answered with 200 while it is healthy."
    )


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
    health = _asked_inside(given)
    if health is not None:
        check = check_command(health, given.port, own_image=given.own_image)
        test = ["CMD", *map(_no_variable, check)]
        service["healthcheck"] = {"test": test, **_check_times(given, health)}
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
