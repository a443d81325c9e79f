"""The adapters that routes reach out with, one of each for the whole process; tests put others in their place."""

from __future__ import annotations

import functools
from typing import Annotated

from fastapi import Depends

from airlock.adapters.settings import from_airflow
from airlock.adapters.wiring import Wiring
from airlock.ports import Reports
from airlock.registry_ports import RegistryEditor, RegistryReader


@functools.cache
def _wiring() -> Wiring:
    # Not at import: settings that cannot be used shall not keep Airflow from starting.
    return Wiring(from_airflow())


def registry() -> RegistryReader:
    """The registry of this installation, for those who look."""
    return _wiring().registry_reader


def editor() -> RegistryEditor:
    """The registry of this installation, for those who change models."""
    return _wiring().registry_editor


def reports() -> Reports:
    """The reports of this installation's imports."""
    return _wiring().reports


WiredRegistry = Annotated[RegistryReader, Depends(registry)]
WiredEditor = Annotated[RegistryEditor, Depends(editor)]
WiredReports = Annotated[Reports, Depends(reports)]
