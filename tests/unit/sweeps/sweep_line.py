"""An installation to be swept, with a clock that passes days in no time: a real registry, the rest in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airlock.adapters.notifying import NotifyingRegistry
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_edits import SqlRegistryEditor
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import open_engine
from airlock.adapters.registry_sweeps import SqlSweeps
from airlock.domain.device import Device
from airlock.domain.notification import Notification
from airlock.domain.record import VersionRow
from airlock.domain.revalidation import Checked, Retest, SweepPart, SweepReport
from airlock.domain.sweep_request import parse_sweep
from airlock.domain.sweeping import SweepPlan
from airlock.domain.version import RunRef, Status
from airlock.steps.check_version import VersionChecks
from airlock.steps.judge_versions import judge_versions
from airlock.steps.plan_sweep import choose_versions
from airlock.steps.report_sweep import report_sweep
from airlock.steps.retest import retest
from tests.unit.given import config_schema, iris_files
from tests.unit.line import Line, passed

DAY_S = 86_400.0
DRIFTED_ANSWER = b'{"data": {"resp_data": [{"predictresult": 2}]}}'


class SweepLine(Line):
    """An installation with a real registry, whose versions are swept once a day."""

    registry: SqlRegistry  # type: ignore[assignment]

    def __init__(self, database: Path) -> None:
        super().__init__()
        self.engine = engine = open_engine(f"sqlite:///{database}")
        self.notified: list[Notification] = []
        plain = SqlRegistry(engine, self.clock)
        self.registry = NotifyingRegistry(plain, [self.notified.append], self.clock)  # type: ignore[assignment]
        self.reader = SqlRegistryReader(engine, self.clock)
        self.editor = SqlRegistryEditor(engine, self.clock)
        self.sweeps = SqlSweeps(engine, self.clock)
        self.release = "1"
        self.number = 0
        self.plan: SweepPlan | None = None
        self.killer = ""

    def import_as(self, *names: str, days: float = 1) -> None:
        """Import a package of its own under each of these names, iris and a file with the name in it, days ago."""
        for name in names:
            for path, data in {**iris_files(), "model/name.txt": name.encode()}.items():
                self.storage.buckets["models"][f"{name}/{path}"] = data
            source = f"s3://models/{name}/"
            self.import_model(
                RunRef(dag_id="import_model", run_id=f"of-{name}"), model_name=name, source_location=source
            )
        self.notified.clear()
        self.after(days)

    def sweep(self, **conf: Any) -> SweepReport:
        """One sweep as the DAG does it, its values passed on as JSON."""
        self.number += 1
        run = RunRef(dag_id="revalidate_models", run_id=f"sweep-{self.number}")
        request = parse_sweep(conf)
        shared: dict[str, Any] = {
            "sweeps": self.sweeps,
            "catalogue": self.catalogue,
            "schema": config_schema(),
            "release": self.release,
            "base_image_prefix": self.base_image_prefix,
            "clock": self.clock,
        }
        plan = self.plan = passed(choose_versions(request, **shared))
        parts: list[SweepPart] = []
        for batch in plan.batches:
            checks = VersionChecks(
                request,
                store=self.store,
                backend=self.backend,
                storage_of=lambda scheme, connection: self.storage,
                limits=self.limits,
                **shared,
            )
            found = [passed(checked) for checked in checks.check_batch(batch)]
            # A task that is killed says nothing of any of its versions.
            killed = any(checked.model_name == self.killer for checked in found if checked.devices)
            tested = [
                passed(self.retest(checked, device, run))
                for checked in (() if killed else found)
                for device in checked.devices
            ]
            for some in ([each for each in found if not each.devices], [each for each in found if each.devices]):
                part = judge_versions(
                    some,
                    tested,
                    run,
                    registry=self.registry,
                    sweeps=self.sweeps,
                    clock=self.clock,
                    log=self.told.append,
                )
                parts.append(passed(part))
        return passed(
            report_sweep(
                plan,
                parts,
                0,
                run,
                sweeps=self.sweeps,
                expectations=self.expectations,
                reports=self.reports,
                clock=self.clock,
                log=self.told.append,
            )
        )

    def retest(self, checked: Checked, device: Device, run: RunRef) -> Retest:
        return retest(
            checked,
            device,
            run,
            task=f"test_{device.value}",
            attempt=1,
            sweeps=self.sweeps,
            reader=self.reader,
            store=self.store,
            backend=self.backend,
            catalogue=self.catalogue,
            clock=self.clock,
            base_image_prefix=self.base_image_prefix,
            expectations=self.expectations,
            log=self.told.append,
        )

    def after(self, days: float) -> None:
        self.clock.sleep(days * DAY_S)

    def version(self, name: str = "iris") -> VersionRow:
        row = self.reader.find(name, "0.0.1")
        assert row is not None
        return row

    def standing(self, name: str = "iris") -> tuple[Status, str]:
        row = self.version(name)
        return row.status, row.reason

    def said(self, name: str = "iris") -> list[str]:
        return [event.text for event in self.version(name).events]

    def digest(self, name: str = "iris") -> str:
        return self.version(name).package_digest.partition(":")[2]
