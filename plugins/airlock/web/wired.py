"""The adapters that routes reach out with, one of each for the whole process; tests put others in their place."""

from __future__ import annotations

import functools
from typing import Annotated

from fastapi import Depends

from airlock.ports import Registry, Reports


@functools.cache
def registry() -> Registry:
    """The registry of this installation."""
    from airlock.adapters.settings import from_airflow
    from airlock.adapters.wiring import Wiring

    return Wiring(from_airflow()).registry


@functools.cache
def reports() -> Reports:
    """The reports of this installation's imports."""
    from airlock.adapters.settings import from_airflow
    from airlock.adapters.wiring import Wiring

    return Wiring(from_airflow()).reports


WiredReports = Annotated[Reports, Depends(reports)]
WiredRegistry = Annotated[Registry, Depends(registry)]
