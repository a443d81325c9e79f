"""Which adapter stands behind which port in this installation. Heavy clients are imported when first needed."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airlock.adapters.clock import SystemClock
from airlock.adapters.settings import Settings
from airlock.domain.catalogue import Catalogue
from airlock.domain.metrics import Metric
from airlock.domain.package import FetchLimits
from airlock.domain.source import Scheme

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from airlock.adapters.mirroring import Mirroring
    from airlock.ports.clock import Clock
    from airlock.ports.dag_runs import DagRuns
    from airlock.ports.expectations import Expectations
    from airlock.ports.object_storage import ObjectStorage
    from airlock.ports.package_store import PackageStore
    from airlock.ports.registry import Registry
    from airlock.ports.reports import Reports
    from airlock.ports.runtime_backend import RuntimeBackend
    from airlock.registry_ports import RegistryEditor, RegistryReader, Sweeps

log = logging.getLogger(__name__)


class Wiring:
    """The adapters of one process.

    Args:
        settings: The installation's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock: Clock = SystemClock()

    @functools.cached_property
    def _registry_engine(self) -> Engine:
        from airlock.adapters.registry_schema import open_engine

        return open_engine(self.settings.registry_url)

    @functools.cached_property
    def registry(self) -> Registry:
        """The registry as importers see it."""
        from airlock.adapters.airflow_stats import count_status
        from airlock.adapters.notifying import Hook, NotifyingRegistry, airflow_hook
        from airlock.adapters.registry import SqlRegistry

        registry: Registry = SqlRegistry(self._registry_engine, self.clock)
        if self.mirroring is not None:
            from airlock.adapters.mirroring import MirroringRegistry

            registry = MirroringRegistry(registry, self.mirroring)
        hooks: list[Hook] = [count_status, *(airflow_hook(path) for path in self.settings.notifiers)]
        if self.settings.notify_connections:
            from airlock.adapters.registry_deliveries import SqlDeliveries
            from airlock.adapters.webhook import Webhook, receivers

            kept = SqlDeliveries(self._registry_engine, self.clock)
            hooks.append(Webhook(receivers(self.settings.notify_connections), kept.keep, self.clock).tell)
        return NotifyingRegistry(registry, hooks, self.clock)

    def measure(self, metric: Metric, value: float, tags: dict[str, str]) -> None:
        """Send one measurement: how many more, or seconds for a timer."""
        from airlock.adapters.airflow_stats import send

        send(metric, value, tags)

    def flush_measurements(self) -> None:
        """Send what a metrics client still holds: the last thing that a task does."""
        from airlock.adapters.airflow_stats import flush

        flush()

    @functools.cached_property
    def registry_reader(self) -> RegistryReader:
        """The registry for those who look."""
        from airlock.adapters.registry_reads import SqlRegistryReader

        return SqlRegistryReader(self._registry_engine, self.clock)

    @functools.cached_property
    def sweeps(self) -> Sweeps:
        """The registry for sweeps."""
        from airlock.adapters.registry_sweeps import SqlSweeps

        return SqlSweeps(self._registry_engine, self.clock)

    @functools.cached_property
    def registry_editor(self) -> RegistryEditor:
        """The registry for those who change models."""
        from airlock.adapters.registry_edits import SqlRegistryEditor

        editor: RegistryEditor = SqlRegistryEditor(self._registry_engine, self.clock)
        if self.mirroring is not None:
            from airlock.adapters.mirroring import MirroringEditor

            editor = MirroringEditor(editor, self.mirroring, self.registry_reader)
        return editor

    @functools.cached_property
    def mirroring(self) -> Mirroring | None:
        """Who tells the mirror of registered versions; None where there is none."""
        if not self.settings.mlflow_connection:
            return None
        from airlock.adapters.mirroring import Mirroring
        from airlock.adapters.mlflow_mirror import MlflowMirror
        from airlock.adapters.registry_mirror_states import SqlMirrorStates

        states = SqlMirrorStates(self._registry_engine, self.clock)
        return Mirroring(MlflowMirror(self.settings.mlflow_connection), states, self.registry_reader)

    @functools.cached_property
    def dag_runs(self) -> DagRuns:
        """Runs of DAGs; in Airflow's API server only."""
        from airlock.adapters.airflow_runs import AirflowRuns

        return AirflowRuns()

    @functools.cached_property
    def store(self) -> PackageStore:
        """The package store."""
        from airlock.adapters.package_store import PackageFolderStore

        return PackageFolderStore(self.settings.store, self.clock)

    @functools.cached_property
    def catalogue(self) -> Catalogue:
        """The known runtimes."""
        from airlock.adapters.catalogue_files import load_catalogue

        return load_catalogue(self.settings.include_dir)

    @functools.cached_property
    def config_schema(self) -> Mapping[str, Any]:
        """include/specs/config.schema.json."""
        schema: Mapping[str, Any] = json.loads(self._specification("config.schema.json").read_bytes())
        return schema

    @functools.cached_property
    def expectations(self) -> Expectations:
        """include/specs/expectations/*.json."""
        from airlock.adapters.expectations import ExpectationSuites
        from airlock.adapters.judge_host import JudgeHost

        host = JudgeHost(self.settings.judge_dir, self.settings.judge_idle_s)
        return ExpectationSuites(self._specification("expectations"), host, self.clock)

    @functools.cached_property
    def reports(self) -> Reports:
        """The reports of imports."""
        from airlock.adapters.report_files import ReportFolders

        return ReportFolders(self.settings.reports)

    def _specification(self, name: str) -> Path:
        return self.settings.include_dir / "specs" / name

    def storage(self, scheme: Scheme, connection_id: str) -> ObjectStorage:
        """The object storage behind a Connection, or the folders of this machine."""
        if scheme is Scheme.FILE:
            from airlock.adapters.folder_storage import FolderStorage

            return FolderStorage(self.settings.file_source_dirs, self.clock)
        from airlock.adapters.s3 import S3Storage

        return S3Storage(connection_id)

    @property
    def fetch_limits(self) -> FetchLimits:
        """How much one package may hold."""
        return FetchLimits(max_package_bytes=self.settings.max_package_bytes, max_objects=self.settings.max_objects)

    @functools.cached_property
    def backend(self) -> RuntimeBackend:
        """What builds and runs runtimes: the container engine where one answers, else child processes, loudly."""
        from airlock.adapters.docker_backend import DockerBackend, docker_answers
        from airlock.adapters.install_settings import InstallSettings

        settings = self.settings
        install = InstallSettings.from_settings(settings)
        if settings.backend == "docker" or (settings.backend == "auto" and docker_answers()):
            from airlock.adapters.image_credentials import from_connections

            return DockerBackend(
                settings=settings,
                install=install,
                package_folder=self.store.folder,
                clock=self.clock,
                credentials_of=from_connections(settings.image_connections),
            )
        from airlock.adapters.process_backend import ProcessBackend

        backend = ProcessBackend(settings=settings, install=install, package_folder=self.store.folder, clock=self.clock)
        log.warning(
            "No container engine is used (backend %s): models run as child processes, isolation %s.",
            settings.backend,
            backend.isolation.value,
        )
        return backend
