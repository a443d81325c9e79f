"""What a smoke test's figures say of the minimum specifications that a request declares."""

from __future__ import annotations

import math

from airlock.domain.device import Device
from airlock.domain.findings import Finding, Place, Severity
from airlock.domain.request import MinimumSpecs
from airlock.domain.smoke import SuggestedSpecs

#: Room above what was measured: a service that runs for days meets larger requests than a test sends.
MEMORY_ROOM = 1.25
#: More than this share of the declared memory means that there is none.
FULL_SHARE = 0.9
_STEP_MB = 64


def suggested_specs(device: Device, peak_memory_bytes: int | None) -> SuggestedSpecs:
    """Minimum specifications for what was measured on a device.

    Args:
        device: Where.
        peak_memory_bytes: Highest memory seen.
    """
    memory_mb = None
    if peak_memory_bytes is not None:
        memory_mb = math.ceil(peak_memory_bytes * MEMORY_ROOM / 1e6 / _STEP_MB) * _STEP_MB
    return SuggestedSpecs(
        memory_mb=memory_mb,
        gpu=1 if device is Device.GPU else 0,
        ascend=1 if device is Device.ASCEND else 0,
    )


def specs_findings(
    device: Device, specs: MinimumSpecs, peak_memory_bytes: int | None, devices: tuple[Device, ...]
) -> tuple[Finding, ...]:
    """What is declared too small.

    Args:
        device: Where it was tested.
        specs: What the request declares.
        peak_memory_bytes: Highest memory seen.
        devices: What the runtime serves.
    """
    suggested = suggested_specs(device, peak_memory_bytes)
    found = []
    if (
        specs.memory_mb is not None
        and peak_memory_bytes is not None
        and peak_memory_bytes > FULL_SHARE * specs.memory_mb * 1e6
    ):
        found.append(
            _small(
                "min_memory_mb",
                f"On {device.value} the service used {peak_memory_bytes / 1e6:,.0f} of the declared "
                f"{specs.memory_mb:,} MB of memory.",
                f"Declare {suggested.memory_mb:,} MB or more.",
            )
        )
    declared = {Device.GPU: specs.gpu, Device.ASCEND: specs.ascend}
    # A model that runs on the CPU too needs no accelerator.
    if device in declared and declared[device] < 1 and Device.CPU not in devices:
        found.append(
            _small(
                f"min_{device.value}",
                f"The runtime serves {device.value} alone, and the request declares none.",
                "Declare 1 or more.",
            )
        )
    return tuple(found)


def _small(name: str, message: str, fix: str) -> Finding:
    return Finding(
        code="SMK030",
        severity=Severity.WARNING,
        message=message,
        place=Place(file="request", pointer=name),
        value="",
        fix=fix,
    )
