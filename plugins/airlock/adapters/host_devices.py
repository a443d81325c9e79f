"""Which devices this worker has, read off the machine and its container engine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airlock.adapters.docker_options import ASCEND_CONTROL_DEVICES, ASCEND_MOUNTS, HostDevices

_DAVINCI = re.compile(r"davinci[0-9]+")


def host_devices(info: Mapping[str, Any], ascend_access: str = "auto", root: Path = Path("/")) -> HostDevices:
    """The devices of an engine's host.

    Args:
        info: The engine's answer to `info`.
        ascend_access: How containers get Ascend devices: by the engine's `runtime` of that name, by their `devices` and
            driver files, or `auto`, by the runtime where the engine has it.
        root: Where the machine's files are; another place in tests.
    """
    runtimes = info.get("Runtimes") or {}
    files = tuple(path for path in (*ASCEND_CONTROL_DEVICES, *ASCEND_MOUNTS) if (root / path.lstrip("/")).exists())
    has_runtime = "ascend" in runtimes
    davinci = ascend_devices(root) if ascend_access != "runtime" or has_runtime else ()
    return HostDevices(
        cpus=float(info.get("NCPU") or os.cpu_count() or 1),
        gpu=_gpu_way(info, runtimes) if has_gpu(root) else "",
        davinci=davinci,
        ascend_runtime=has_runtime and ascend_access != "devices",
        ascend_files=files,
        ascend_groups=tuple(sorted({os.stat(root / path.lstrip("/")).st_gid for path in davinci})),
    )


def has_gpu(root: Path = Path("/")) -> bool:
    """Whether there is a GPU that compute libraries can use."""
    return any((root / "dev" / name).exists() for name in ("nvidia0", "nvidiactl", "dxg"))


def ascend_devices(root: Path = Path("/")) -> tuple[str, ...]:
    """The Ascend devices, `/dev/davinci0` and so on."""
    dev = root / "dev"
    names = sorted(entry.name for entry in dev.iterdir() if _DAVINCI.fullmatch(entry.name)) if dev.is_dir() else []
    return tuple(f"/dev/{name}" for name in names)


def _gpu_way(info: Mapping[str, Any], runtimes: Mapping[str, Any]) -> str:
    if "nvidia" in runtimes:
        return "nvidia"
    found = info.get("DiscoveredDevices") or []
    return "cdi" if any(str(device.get("ID", "")).startswith("nvidia.com/gpu") for device in found) else ""
