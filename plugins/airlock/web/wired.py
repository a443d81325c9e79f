"""The adapters that routes reach out with, one of each for the whole process; tests put others in their place."""

from __future__ import annotations

import functools
from typing import Annotated

from fastapi import Depends

from airlock.adapters.settings import from_airflow
from airlock.adapters.wiring import Wiring
from airlock.ports.dag_runs import DagRuns
from airlock.ports.package_store import PackageStore
from airlock.ports.registry import Registry
from airlock.ports.reports import Reports
from airlock.registry_ports import RegistryEditor, RegistryReader, Sweeps


@functools.cache
def wiring() -> Wiring:
    """This process's adapters."""
    # Not at import: settings that cannot be used shall not keep Airflow from starting.
    return Wiring(from_airflow())


def registry() -> RegistryReader:
    """The registry of this installation, for those who look."""
    return wiring().registry_reader


def sweeps() -> Sweeps:
    """The registry of this installation as sweeps see it: what they remember of a version."""
    return wiring().sweeps


def editor() -> RegistryEditor:
    """The registry of this installation, for those who change models."""
    return wiring().registry_editor


def importers() -> Registry:
    """The registry of this installation as runs see it: who holds which version."""
    return wiring().registry


def reports() -> Reports:
    """The reports of this installation's imports."""
    return wiring().reports


def packages() -> PackageStore:
    """The package store, for where a package lies."""
    return wiring().store


def runs() -> DagRuns:
    """Runs of DAGs."""
    return wiring().dag_runs


WiredRegistry = Annotated[RegistryReader, Depends(registry)]
WiredSweeps = Annotated[Sweeps, Depends(sweeps)]
WiredEditor = Annotated[RegistryEditor, Depends(editor)]
WiredImporters = Annotated[Registry, Depends(importers)]
WiredReports = Annotated[Reports, Depends(reports)]
WiredRuns = Annotated[DagRuns, Depends(runs)]
WiredAdapters = Annotated[Wiring, Depends(wiring)]
WiredPackages = Annotated[PackageStore, Depends(packages)]
