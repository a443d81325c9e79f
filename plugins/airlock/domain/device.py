"""The devices that a runtime is tested on."""

from __future__ import annotations

import enum


class Device(enum.StrEnum):
    """A kind of device."""

    CPU = "cpu"
    GPU = "gpu"
    ASCEND = "ascend"
