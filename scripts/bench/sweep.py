"""Sweeps over registered versions that are as they were: real packages, sources, records and engine, no container."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
from sqlalchemy import func, insert, select

from airlock import __version__
from airlock.adapters.catalogue_files import load_catalogue
from airlock.adapters.docker_backend import DockerBackend
from airlock.adapters.docker_client import RUN_LABEL
from airlock.adapters.expectations import ExpectationSuites
from airlock.adapters.folder_storage import FolderStorage
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.judge_host import JudgeHost
from airlock.adapters.package_store import PackageFolderStore
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_schema import open_engine, upgrade
from airlock.adapters.registry_sweeps import SqlSweeps
from airlock.adapters.registry_tables import (
    health_points,
    model_versions,
    models,
    version_devices,
    version_records,
    version_search,
)
from airlock.adapters.report_files import ReportFolders
from airlock.adapters.settings import load_settings
from airlock.codec import encode
from airlock.domain.device import Device
from airlock.domain.image import BackendKind, Image, Isolation
from airlock.domain.package import FetchLimits
from airlock.domain.record import ModelVersion
from airlock.domain.revalidation import SweepReport
from airlock.domain.smoke import GoldenPair, HttpResponse, Latency, Sample, SmokeReport, Verdict
from airlock.domain.source import SourceLocation
from airlock.domain.sweep_request import parse_sweep
from airlock.domain.version import RunRef
from airlock.steps.accept import accept
from airlock.steps.check_version import VersionChecks
from airlock.steps.detect import detect
from airlock.steps.fetch import stage
from airlock.steps.judge_versions import judge_versions
from airlock.steps.plan_sweep import choose_versions
from airlock.steps.register import register
from airlock.steps.report_sweep import report_sweep
from airlock.steps.validate import validate
from scripts.bench.measure import RunFailed
from scripts.bench.smoke import REQUEST, RUNTIME
from scripts.bench.table import Row
from scripts.local_state import ROOT

TARGET_S = 60.0
#: Ten times as many versions may take so many times as long.
TARGET_TIMES = 12.0
COUNT, MANY = 1_000, 10_000
MODEL_BYTES = 20_000
DAY_S = 86_400.0
#: The judge of the sweeps ends by itself, so long after the last one.
JUDGE_IDLE_S = 60.0
DAG_ID = "revalidate_models"
#: The age of a file whose times tell everything.
_SETTLE_S = 2.5


class _Days:
    """The system's clock, some days later: what a sweep finds due depends on it."""

    def __init__(self) -> None:
        self.later_s = 0.0

    def now(self) -> float:
        return time.time() + self.later_s

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SweepBench:
    """A registry, a store and sources with as many versions as are asked for, on the machine's own engine.

    The versions name an image that is there, and the answers of a service that was never started: nothing of either is
    asked for in a sweep over unchanged versions.

    Args:
        folder: Where everything lies.
        tell: Takes a line of progress.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._clock = _Days()
        folder.mkdir(parents=True)
        values = {
            "store": str(folder / "store"),
            "work_dir": str(folder / "work"),
            "reports": str(folder / "reports"),
            "include_dir": str(ROOT / "include"),
            "file_source_dirs": str(folder / "sources"),
        }
        settings = load_settings(lambda key: values.get(key, ""))
        engine = self._engine = open_engine(f"sqlite:///{folder / 'registry.db'}")
        upgrade(engine)
        self._registry = SqlRegistry(engine, self._clock)
        self._sweeps = SqlSweeps(engine, self._clock)
        self._store = PackageFolderStore(settings.store, self._clock)
        self._storage = FolderStorage(settings.file_source_dirs, self._clock)
        self._reports = ReportFolders(settings.reports)
        self._catalogue = load_catalogue(settings.include_dir)
        self._schema = json.loads((settings.include_dir / "specs" / "config.schema.json").read_bytes())
        self._expectations = ExpectationSuites(
            settings.include_dir / "specs" / "expectations", JudgeHost(folder / "judge", JUDGE_IDLE_S), self._clock
        )
        self._limits = FetchLimits(max_package_bytes=settings.max_package_bytes, max_objects=settings.max_objects)
        self._client = docker.from_env()
        self._backend = DockerBackend(
            settings=settings,
            install=InstallSettings.from_settings(settings),
            package_folder=self._store.folder,
            clock=self._clock,
        )
        self._image = self._any_image()
        self._count = 0
        self._day = 0
        self._first: ModelVersion | None = None

    def grow(self, count: int) -> None:
        """Register versions until there are so many, each of a package of its own."""
        names = [f"model-{number:06d}" for number in range(self._count, count)]
        self._tell(f"registering {len(names)} versions …")
        self._clock.later_s = 0.0
        for name in names:
            model = self._folder / "sources" / name / "model"
            model.mkdir(parents=True)
            (model / "config.json").write_text(json.dumps(_config()), encoding="utf-8")
            # A pickle of some bytes, other ones in each package.
            body = (name.encode() * (MODEL_BYTES // len(name) + 1))[:MODEL_BYTES]
            (model / "model.m").write_bytes(b"\x80\x03B" + len(body).to_bytes(4, "little") + body + b".")
        time.sleep(_SETTLE_S)
        with _unsynced():
            if self._first is None:
                self._first = self._register(names[0])
                names = names[1:]
            self._copy(self._first, names)
        self._count = count

    def _copy(self, first: ModelVersion, names: Sequence[str]) -> None:
        """Stage each package, and register it as the first one was: row by row it would take longer than all sweeps."""
        held = first.accepted.reservation
        tables = (models, model_versions, version_search, version_records, version_devices, health_points)
        with self._engine.begin() as connection:
            template: dict[str, list[dict[str, Any]]] = {}
            for table in tables:
                named = table.c.name if table is models else None
                if table is model_versions:
                    named = table.c.model_name
                query = select(table)
                query = query.where(named == held.model_name) if named is not None else query
                if named is None:
                    query = query.where(table.c.version_id == 1)
                template[table.name] = [dict(row._mapping) for row in connection.execute(query)]
            free = connection.execute(select(func.max(model_versions.c.id))).scalar_one() + 1
            for version_id, name in enumerate(names, free):
                source = first.accepted.request.source
                package = stage(
                    SourceLocation(
                        bucket=source.bucket,
                        prefix=source.prefix.replace(held.model_name, name),
                        scheme=source.scheme,
                    ),
                    storage=self._storage,
                    store=self._store,
                    limits=self._limits,
                    scope=name,
                    log=_silent,
                )
                for table in tables:
                    for row in template[table.name]:
                        text = json.dumps(row)
                        for old, new in ((held.model_name, name), (first.package.digest, package.digest)):
                            text = text.replace(old, new)
                        own = json.loads(text)
                        if "version_id" in own:
                            own.pop("id", None)
                            own["version_id"] = version_id
                        elif table is model_versions:
                            own["id"] = version_id
                        elif table is models:
                            own["last_version_id"] = version_id
                        connection.execute(insert(table).values(own))

    def _register(self, name: str) -> ModelVersion:
        run = RunRef(dag_id="import_model", run_id=f"of-{name}")
        conf = {"model_name": name, "source_location": f"file://{self._folder / 'sources' / name}/"}
        accepted = accept(conf, run, registry=self._registry, clock=self._clock)
        package = stage(
            accepted.request.source,
            storage=self._storage,
            store=self._store,
            limits=self._limits,
            scope=str(run),
            log=_silent,
        )
        validated = validate(
            accepted,
            package,
            store=self._store,
            registry=self._registry,
            catalogue=self._catalogue,
            schema=self._schema,
            reports=self._reports,
            clock=self._clock,
            log=_silent,
        )
        detection = detect(
            accepted,
            package,
            validated,
            store=self._store,
            registry=self._registry,
            catalogue=self._catalogue,
        )
        return register(
            accepted,
            package,
            validated,
            detection,
            self._image,
            [self._report()],
            registry=self._registry,
            clock=self._clock,
            inventory=None,
            details_of=encode,
        )

    def sweep(self) -> tuple[float, SweepReport]:
        """One sweep, a day after the last one, as the DAG's tasks do it, one after the other in this process.

        Returns:
            Wall time in seconds, and what it did.

        Raises:
            RunFailed: Something was not as it was, or a service was to be tested.
        """
        self._day += 1
        self._clock.later_s = self._day * DAY_S
        run = RunRef(dag_id=DAG_ID, run_id=f"bench-{self._day}")
        request = parse_sweep({})
        shared: dict[str, Any] = {
            "sweeps": self._sweeps,
            "catalogue": self._catalogue,
            "schema": self._schema,
            "release": __version__,
            "base_image_prefix": "",
            "clock": self._clock,
        }
        began = time.perf_counter()
        plan = choose_versions(request, **shared)
        parts = []
        for batch in plan.batches:
            # What a task's versions share is asked anew in each task.
            checks = VersionChecks(
                request,
                store=self._store,
                backend=self._backend,
                storage_of=lambda scheme, connection: self._storage,
                limits=self._limits,
                **shared,
            )
            found = checks.check_batch(batch)
            parts.append(
                judge_versions(
                    found, (), run, registry=self._registry, sweeps=self._sweeps, clock=self._clock, log=_silent
                )
            )
            if any(checked.devices for checked in found):
                raise RunFailed("a version was to be tested: these sweeps are of versions that were tested lately")
        report = report_sweep(
            plan,
            parts,
            0,
            run,
            sweeps=self._sweeps,
            expectations=self._expectations,
            reports=self._reports,
            clock=self._clock,
            log=self._tell,
        )
        seconds = time.perf_counter() - began
        if report.looked_at != self._count or list(report.counts) != ["fit"]:
            raise RunFailed(f"{report.looked_at} of {self._count} were looked at: {dict(report.counts)}")
        if report.registry is None:
            raise RunFailed("the registry was not judged")
        return seconds, report

    def containers_since(self, began: datetime) -> int:
        """Containers that a sweep has made since then, by the engine's own account."""
        events = self._client.events(
            since=began,
            until=datetime.now(UTC),
            decode=True,
            filters={"type": "container", "event": "create", "label": RUN_LABEL},
        )
        return sum(event["Actor"]["Attributes"].get(RUN_LABEL, "").startswith(f"{DAG_ID}/") for event in events)

    def _any_image(self) -> Image:
        images = self._client.images.list()
        if not images:
            raise RunFailed("the engine has no image that versions could name (make base-images)")
        return Image(
            backend=BackendKind.DOCKER,
            isolation=Isolation.CONTAINER,
            reference=f"airlock/serving:{RUNTIME}-bench",
            digest=str(images[0].id),
            size_bytes=0,
            layers=(),
            log="",
        )

    def _report(self) -> SmokeReport:
        answer = HttpResponse(status=200, content_type="application/json", body=b'{"data": {}}', seconds=0.01)
        return SmokeReport(
            device=Device.CPU,
            verdict=Verdict.PASSED,
            isolation=Isolation.CONTAINER,
            image=self._image,
            checked=("generated",),
            start_s=0.5,
            load_s=0.5,
            ready_s=1.0,
            latency=Latency(p50=10.0, p95=11.0, p99=12.0, requests=100),
            golden=(GoldenPair.of(Sample(name="generated", request=REQUEST), answer),),
        )


def rows(bench: SweepBench, *, runs: int) -> Iterator[Row]:
    """Measure sweeps over a thousand versions and over ten thousand.

    Args:
        bench: Where.
        runs: How often each; the fastest counts, because what else the machine does is no cost of a sweep.
    """
    began = datetime.now(UTC)
    few = _fastest(bench, COUNT, runs)
    yield Row(name=f"sweep over {COUNT:,} unchanged versions", value=few, unit="s", target=TARGET_S)
    many = _fastest(bench, MANY, 1)
    yield Row(
        name=f"sweep over {MANY:,}, beside {COUNT:,}",
        value=many / few,
        unit="ratio",
        target=TARGET_TIMES,
        ours=many,
        anchor=few,
    )
    yield Row(
        name="containers that these sweeps started", value=bench.containers_since(began), unit="containers", target=0
    )


def _fastest(bench: SweepBench, count: int, runs: int) -> float:
    bench.grow(count)
    # The first sweep after the imports learns by which rules each version was found right.
    bench.sweep()
    # Each is a day later, and a week after their import all versions would be tested.
    return min(bench.sweep()[0] for _ in range(min(runs, 3)))


def _config() -> dict[str, Any]:
    return {
        "model_type": "Scikit_Learn",
        "model_algorithm": "sum",
        "runtime": RUNTIME,
        "metrics": {},
        "apis": [],
    }


@contextmanager
def _unsynced() -> Iterator[None]:
    """Without waiting for the disk: what is set up here is gone in some minutes."""
    sync, os.fsync = os.fsync, lambda fd: None
    try:
        yield
    finally:
        os.fsync = sync


def _silent(line: str) -> None:
    return
