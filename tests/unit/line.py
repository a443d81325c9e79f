"""The straight line of steps on fakes, each value passed on as JSON, as between tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from airlock.codec import decode, encode
from airlock.domain.catalogue import Catalogue
from airlock.domain.detection import Detection
from airlock.domain.device import Device
from airlock.domain.image import Image
from airlock.domain.package import FetchLimits, Package
from airlock.domain.record import Accepted, ModelVersion, Validated, VersionRow
from airlock.domain.smoke import SmokeReport
from airlock.domain.version import RunRef
from airlock.steps.accept import accept
from airlock.steps.build import build
from airlock.steps.close import close
from airlock.steps.detect import detect
from airlock.steps.fetch import fetch
from airlock.steps.register import register
from airlock.steps.reporting import ReportingExpectations, judged_files, refusal_reported
from airlock.steps.smoke import smoke
from airlock.steps.validate import validate
from tests.fakes.clock import FakeClock
from tests.fakes.expectations import FakeExpectations
from tests.fakes.object_storage import FakeStorage
from tests.fakes.package_store import FakeStore
from tests.fakes.registry import FakeRegistry
from tests.fakes.reports import FakeReports
from tests.fakes.running_service import Behaviour
from tests.fakes.runtime_backend import FakeBackend
from tests.unit.given import CATALOGUE, CONF, IRIS_ANSWER, RUN, config_schema, iris_files

Value = TypeVar("Value")


class Line:
    """A whole installation in memory, with the package that a test gives in `s3://models/iris/`.

    A test of what is made of a registry may give a real one.
    """

    def __init__(
        self, files: Mapping[str, bytes] | None = None, catalogue: Catalogue = CATALOGUE, registry: Any = None
    ) -> None:
        self.clock = FakeClock()
        content = iris_files() if files is None else files
        self.storage = FakeStorage({"models": {f"iris/{path}": data for path, data in content.items()}})
        self.store = FakeStore()
        self.registry = registry or FakeRegistry(self.clock)
        self.backend = FakeBackend(self.clock, Behaviour(answer=IRIS_ANSWER))
        self.catalogue = catalogue
        self.limits = FetchLimits(max_package_bytes=1_000_000, max_objects=50)
        self.expectations = FakeExpectations()
        self.reports = FakeReports()
        self.told: list[str] = []
        self.build_log: list[str] = []
        self.base_image_prefix = ""

    def accept(self, run: RunRef = RUN, **conf: Any) -> Accepted:
        return passed(accept({**CONF, **conf}, run, registry=self.registry, clock=self.clock))

    def fetch(self, accepted: Accepted) -> Package:
        with refusal_reported(accepted, reports=self.reports, clock=self.clock, log=self.told.append):
            package = fetch(
                accepted,
                storage=self.storage,
                store=self.store,
                registry=self.registry,
                limits=self.limits,
                log=lambda line: None,
            )
        return passed(package)

    def validate(self, accepted: Accepted, package: Package) -> Validated:
        validated = validate(
            accepted,
            package,
            store=self.store,
            registry=self.registry,
            catalogue=self.catalogue,
            schema=config_schema(),
            reports=self.reports,
            clock=self.clock,
            log=self.told.append,
        )
        return passed(validated)

    def detect(self, accepted: Accepted, package: Package, validated: Validated) -> Detection:
        detection = detect(
            accepted, package, validated, store=self.store, registry=self.registry, catalogue=self.catalogue
        )
        return passed(detection)

    def build(self, accepted: Accepted, package: Package, validated: Validated, detection: Detection) -> Image:
        image = build(
            accepted,
            package,
            validated,
            detection,
            store=self.store,
            backend=self.backend,
            registry=self.registry,
            catalogue=self.catalogue,
            base_image_prefix=self.base_image_prefix,
            log=self.build_log.append,
        )
        return passed(image)

    def until_built(self, **conf: Any) -> tuple[Accepted, Package, Validated, Detection, Image]:
        accepted = self.accept(**conf)
        package = self.fetch(accepted)
        validated = self.validate(accepted, package)
        detection = self.detect(accepted, package, validated)
        return accepted, package, validated, detection, self.build(accepted, package, validated, detection)

    def smoke(
        self, built: tuple[Accepted, Package, Validated, Detection, Image], device: Device = Device.CPU
    ) -> SmokeReport:
        report = smoke(
            device,
            *built,
            task=f"smoke_{device.value}",
            attempt=1,
            store=self.store,
            backend=self.backend,
            registry=self.registry,
            catalogue=self.catalogue,
            clock=self.clock,
            base_image_prefix=self.base_image_prefix,
            expectations=ReportingExpectations(
                self.expectations,
                reports=self.reports,
                run=built[0].reservation.run,
                task=f"smoke_{device.value}",
                log=self.told.append,
            ),
            log=self.build_log.append,
        )
        return passed(report)

    def register(
        self, built: tuple[Accepted, Package, Validated, Detection, Image], *reports: SmokeReport
    ) -> ModelVersion:
        return register(
            *built,
            reports,
            registry=self.registry,
            clock=self.clock,
            inventory=judged_files(self.reports, built[0].reservation.run, self.told.append),
            details_of=lambda version: encode(version),
        )

    def close(self, run: RunRef = RUN, ended: str = "failed") -> int:
        return close(run, step="close", registry=self.registry, backend=self.backend, ended=ended)

    def import_model(self, run: RunRef = RUN, **conf: Any) -> ModelVersion:
        """The whole line."""
        built = self.until_built(run=run, **conf)
        reports = [self.smoke(built, device) for device in Device]
        return self.register(built, *reports)

    def row(self, version: str = "0.0.1") -> VersionRow:
        row = self.registry.find("iris", version)
        assert row is not None
        return row

    def events(self, version: str = "0.0.1") -> list[str]:
        return [event.text for event in self.row(version).events]


def passed(value: Value) -> Value:
    """The value as the next task receives it."""
    received = decode(type(value), json.loads(json.dumps(encode(value))))
    assert received == value
    return received
