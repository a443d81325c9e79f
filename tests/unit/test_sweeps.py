"""Sweeps over registered versions, with a clock that passes days in no time: a real registry, the rest in memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import pytest

from airlock.adapters.notifying import NotifyingRegistry
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_edits import SqlRegistryEditor
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import open_engine, upgrade
from airlock.adapters.registry_sweeps import SqlSweeps
from airlock.codec import decode, encode
from airlock.domain.catalogue import Catalogue
from airlock.domain.device import Device
from airlock.domain.notification import Notification
from airlock.domain.package import FileEntry
from airlock.domain.record import VersionRow
from airlock.domain.registered import HealthPoint
from airlock.domain.revalidation import CHANGES, Checked, Outcome, Retest, SweepPart, SweepReport, costs_more
from airlock.domain.smoke import Latency, SmokeReport, Verdict
from airlock.domain.sweep_request import NUMBERS, SweepRequest, parse_sweep
from airlock.domain.sweeping import (
    ALONE,
    MAX_ALONE,
    Note,
    Standing,
    SweepPlan,
    SweepState,
    Why,
    next_sample,
    plan_sweep,
)
from airlock.domain.version import RunRef, Status
from airlock.errors import NoSuchVersion, RequestRejected, StorageUnavailable, VersionBusy
from airlock.operators.sweep import PlanSweepOperator
from airlock.steps.check_version import VersionChecks
from airlock.steps.judge_versions import judge_versions
from airlock.steps.plan_sweep import choose_versions
from airlock.steps.report_sweep import report_sweep
from airlock.steps.retest import retest
from tests.fakes.running_service import Behaviour
from tests.unit.given import CATALOGUE, IRIS_ANSWER, config_schema, iris_files, runtime
from tests.unit.line import Line

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


def a_standing(model_name: str, model_version: str = "0.0.1", **changes: Any) -> Standing:
    """A version that was imported very long ago."""
    plain = Standing(
        model_name=model_name, model_version=model_version, status=Status.NORMAL, reason="", engine="Scikit_Learn",
        runtime="r", build="b", package_digest="", image_digest="", measured_at=1.0, p50_ms=None, state=None,
    )  # fmt: skip
    return replace(plain, **changes)


def plan_of(versions: Iterable[Standing], request: SweepRequest, now: float) -> SweepPlan:
    """What a sweep does of these versions, where no rule and no runtime has changed."""
    return plan_sweep(versions, request, now, "", lambda standing: "")


def passed(value: Any) -> Any:
    """The value as the next task receives it."""
    received = decode(type(value), json.loads(json.dumps(encode(value))))
    assert received == value
    return received


@pytest.fixture(scope="module")
def empty_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry without versions; making its tables takes longer than a test."""
    path = tmp_path_factory.mktemp("registry") / "registry.db"
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def line(empty_tables: Path, tmp_path: Path) -> Iterator[SweepLine]:
    line = SweepLine(shutil.copyfile(empty_tables, tmp_path / "registry.db"))
    yield line
    line.engine.dispose()


# ── thirty days ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_over_thirty_days_every_fault_is_found_named_told_once_and_taken_back(line: SweepLine) -> None:
    line.import_as("steady", "rotting", "drifting", days=0)
    images = set(line.backend.tags)
    right = dict(line.store.packages[line.digest("rotting")])
    changes: dict[int, dict[str, str]] = {}
    started: dict[int, int] = {}
    for day in range(1, 31):
        line.after(1)
        if day == 3:
            line.store.packages[line.digest("rotting")]["model/iris.m"] = b"\x80\x02M."
        if day == 5:
            line.store.packages[line.digest("rotting")] = dict(right)
        if day == 9:
            line.backend.tags.clear()
        if day == 11:
            line.backend.tags |= images
        if day == 14:
            # The code asks something that is no dependency of it, and that has changed.
            line.backend.behaviour = Behaviour(answer=DRIFTED_ANSWER)
        if day == 23:
            line.backend.behaviour = Behaviour(answer=IRIS_ANSWER)
        before = len(line.backend.launches)
        report = line.sweep()
        assert (report.registered, report.looked_at, report.lost) == (3, 3, 0)
        if len(line.backend.launches) > before:
            started[day] = len(line.backend.launches) - before
        changed = {row.model_name: row.reason[:8] or "fit" for row in report.rows if row.outcome in CHANGES}
        if changed:
            changes[day] = changed
    three = ("drifting", "rotting", "steady")
    assert changes == {
        3: {"rotting": "[STO006]"},
        5: {"rotting": "fit"},
        9: dict.fromkeys(three, "[RVL002]"),
        11: dict.fromkeys(three, "fit"),
        # Nothing but a test can see it, and the next one is seven days after the last.
        18: dict.fromkeys(three, "[RVL001]"),
        23: dict.fromkeys(three, "fit"),
    }
    # The days on which services were started: the weekly tests, what is to come back, and twice where one fails.
    assert started == {5: 1, 7: 2, 11: 3, 18: 6, 19: 6, 20: 6, 21: 6, 22: 6, 23: 3, 30: 3}
    # One notification for each change, and for nothing else.
    assert len(line.notified) == sum(map(len, changes.values()))
    assert {(told.model_name, told.status.value, told.reason[:8]) for told in line.notified if told.reason} == {
        ("rotting", "Abnormal", "[STO006]"),
        *((name, "Abnormal", code) for name in three for code in ("[RVL002]", "[RVL001]")),
    }
    texts = [text for text in line.said("rotting") if text.startswith("Found")]
    assert texts[0].startswith("Found unfit: [STO006] model/iris.m of package")
    assert texts[1] == "Found fit again."
    assert [text[:22] for text in texts] == [
        "Found unfit: [STO006] ", "Found fit again.",
        "Found unfit: [RVL002] ", "Found fit again.",
        "Found unfit: [RVL001] ", "Found fit again.",
    ]  # fmt: skip
    assert [point.verdict for point in line.reader.health("rotting", "0.0.1")] == [
        "passed", "not run: STO006", "passed", "not run: RVL002", "passed",
        *["failed: RVL001"] * 5, "passed", "passed",
    ]  # fmt: skip
    assert line.standing("steady") == (Status.NORMAL, "")


def test_an_answer_that_drifts_is_named_with_its_place_and_both_values(line: SweepLine) -> None:
    line.import_as("iris")
    line.backend.behaviour = Behaviour(answer=DRIFTED_ANSWER)
    line.sweep(model_name="iris", model_version="0.0.1")
    status, reason = line.standing()
    assert status is Status.ABNORMAL
    assert reason.startswith(
        "[RVL001] The answers on cpu differ from those of the import by a share of 0.5 in 1 values"
    )
    assert "/data/resp_data/0/predictresult" in reason


def test_an_answer_within_the_tolerance_is_the_same_answer(line: SweepLine) -> None:
    line.backend.behaviour = Behaviour(answer=b'{"data": {"resp_data": [{"predictresult": 100000}]}}')
    line.import_as("iris")
    line.backend.behaviour = Behaviour(answer=b'{"data": {"resp_data": [{"predictresult": 100050}]}}')
    report = line.sweep(model_name="iris")
    assert (report.counts, line.standing()) == ({Outcome.FIT: 1}, (Status.NORMAL, ""))


def test_one_failed_test_is_not_believed_before_a_second_one_says_the_same(line: SweepLine) -> None:
    line.import_as("iris")
    before = len(line.backend.launches)
    line.backend.behaviour = Behaviour(
        answer=lambda request: DRIFTED_ANSWER if len(line.backend.launches) == before + 1 else IRIS_ANSWER
    )
    line.sweep(model_name="iris")
    assert len(line.backend.launches) == before + 2
    assert line.standing() == (Status.NORMAL, "")


# ── what is due, and in what order ───────────────────────────────────────────────────────────────────────────────────


def test_a_version_that_was_looked_at_today_is_left_alone(line: SweepLine) -> None:
    line.import_as("iris", days=0.5)
    assert line.sweep().looked_at == 0
    line.after(0.5)
    assert line.sweep().looked_at == 1
    line.after(0.5)
    report = line.sweep()
    assert (report.registered, report.due, report.looked_at) == (1, 0, 0)


def test_an_unchanged_version_costs_no_container_and_no_event(line: SweepLine) -> None:
    line.import_as("iris")
    line.after(1)
    line.sweep()
    before = (len(line.backend.launches), line.said(), line.version().updated_at)
    for _ in range(4):
        line.after(1)
        report = line.sweep()
        assert (report.counts, report.rows, report.tests) == ({Outcome.FIT: 1}, (), 0)
    assert (len(line.backend.launches), line.said(), line.version().updated_at) == before


def test_the_most_overdue_come_first_and_the_budget_is_kept(line: SweepLine) -> None:
    for name in ("oldest", "older", "young"):
        line.import_as(name)
    line.after(10)
    assert [row.model_name for row in line.sweep(max_tests=1).rows] == ["oldest"]
    assert line.plan is not None
    assert (line.plan.due, line.plan.later, line.plan.untested) == (3, 0, 2)
    line.after(1)
    assert [row.model_name for row in line.sweep(max_tests=1).rows] == ["older"]
    line.after(1)
    report = line.sweep(max_tests=1, max_versions=1)
    assert [row.model_name for row in report.rows] == ["young"]
    assert (report.due, report.later) == (3, 2)


def test_what_is_due_for_nothing_but_a_test_waits_for_its_turn(line: SweepLine) -> None:
    line.import_as("iris")
    line.after(7)
    line.sweep(max_tests=0)
    report = line.sweep(max_tests=0)
    assert (report.due, report.later, report.looked_at) == (1, 1, 0)


def test_a_version_that_cannot_be_decided_keeps_no_other_from_its_test(
    line: SweepLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.import_as("stuck", "good", days=0)
    of_good = line.sweeps.record

    def record(model_name: str, model_version: str) -> Any:
        if model_name == "stuck":
            raise VersionBusy("REG010", "The record was written by a release that this one cannot read.", "")
        return of_good(model_name, model_version)

    monkeypatch.setattr(line.sweeps, "record", record)
    before = len(line.backend.launches)
    for _ in range(9):
        line.after(1)
        line.sweep(max_tests=1)
    assert len(line.backend.launches) == before + 1


def test_a_version_that_ends_its_check_keeps_no_other_from_being_looked_at(
    line: SweepLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.import_as("stuck", "good", days=2)
    with monkeypatch.context() as broken:
        broken.setattr(line.sweeps, "record", create_autospec(line.sweeps.record, side_effect=MemoryError))
        with pytest.raises(MemoryError):
            line.sweep(max_versions=1)
    line.sweep(max_versions=1)
    assert line.plan is not None
    assert [due.model_name for batch in line.plan.batches for due in batch.versions] == ["good"]


def test_what_waits_for_a_test_and_is_checked_meanwhile_keeps_its_turn(line: SweepLine) -> None:
    line.import_as("old")
    line.import_as("young")
    line.after(8)
    assert [row.model_name for row in line.sweep(max_tests=1, test_after_days=1).rows] == ["old"]
    assert {each.model_name: bool(each.tried_at) for each in line.sweeps.standings()} == {"old": True, "young": False}
    # Each of them is due every day, and one of them is tested.
    for expected in ("young", "old", "young"):
        line.after(1.5)
        rows = line.sweep(max_tests=1, test_after_days=1).rows
        assert [row.model_name for row in rows if row.devices] == [expected]


def test_of_more_versions_than_are_tested_at_once_those_are_first_whose_test_is_the_oldest() -> None:
    request, tested, now = parse_sweep({"model_name": "m", "max_tests": 50}), {}, 2000.0
    for _ in range(2):
        now += 10
        versions = [
            a_standing("m", f"0.0.{number}", measured_at=1000.0, state=tested.get(f"0.0.{number}"))
            for number in range(60)
        ]
        for batch in plan_of(versions, request, now).batches:
            tested |= {
                due.model_version: SweepState(checked_at=now, tested_at=now) for due in batch.versions if due.test
            }
    assert len(tested) == 60


@pytest.mark.parametrize("alone", [0, 5_000])
def test_no_form_makes_more_batches_than_airflow_maps(alone: int) -> None:
    most = {name: high for name, (_, _, high) in NUMBERS.items() if name.startswith("max_")}
    noted = SweepState(checked_at=1.0, tested_at=1.0, notes=(Note(code=ALONE, text=""),))
    # Of equal names, because a hundred thousand of their own would take seconds to make.
    versions = [a_standing("a", state=noted)] * alone + [a_standing("b")] * (int(most["max_versions"]) - alone)
    plan = plan_of(versions, parse_sweep(most), 1e9)
    # `[core] max_map_length`, where nobody has set it.
    assert len(plan.batches) <= 1024
    assert sum(len(batch.versions) for batch in plan.batches) + plan.later == len(versions)
    lone = [batch for batch in plan.batches if batch.versions[0].alone and batch.versions[0].test]
    assert {len(batch.versions) for batch in lone} <= {1}
    assert len(lone) == min(alone, MAX_ALONE)


def test_a_clock_that_was_wrong_once_hides_no_version_for_ever(line: SweepLine) -> None:
    line.import_as("iris", days=0)
    line.after(3650)
    line.sweep()
    line.after(-3650)
    line.store.packages[line.digest()]["model/iris.m"] += b"rot"
    line.after(1)
    assert line.sweep().counts == {Outcome.UNFIT: 1}
    line.after(1)
    assert line.sweep(check_after_h=100).looked_at == 0, "what is written by a clock that is right is believed"


def test_a_version_that_is_asked_for_is_tested_now_and_no_other(line: SweepLine) -> None:
    line.import_as("iris", "rose")
    line.sweep()
    report = line.sweep(model_name="rose", model_version="0.0.1")
    (row,) = report.rows
    assert (row.model_name, row.why[0], row.devices, row.outcome) == (
        "rose", Why.REQUESTED, (Device.CPU,), Outcome.FIT,
    )  # fmt: skip
    # One version says nothing about the registry, which is not judged for it.
    assert (report.asked, report.registry) == ("rose 0.0.1", None)
    assert line.said("rose")[-1].startswith("Tested again. Answered 1 checked and ")


def test_a_version_that_cannot_be_tested_is_refused_when_it_is_asked_for(line: SweepLine) -> None:
    with pytest.raises(NoSuchVersion, match=r"REG008.*nobody 0\.0\.1"):
        line.sweep(model_name="nobody", model_version="0.0.1")


def test_a_runtime_whose_entry_changed_is_tested_again(line: SweepLine) -> None:
    line.import_as("iris")
    line.after(1)
    line.sweep()
    rows = {str(row): row for row in CATALOGUE.runtimes}
    key = "Scikit_Learn sklearn1.9-python3.11"
    rows[key] = runtime("Scikit_Learn", "sklearn1.9-python3.11", default=True, base_image="python:3.11-slim-trixie")
    line.catalogue = Catalogue.of(rows.values())
    report = line.sweep()
    (row,) = report.rows
    assert (Why.RUNTIME in row.why, row.devices) == (True, (Device.CPU,))
    assert line.sweep().due == 0


def test_rules_that_changed_are_applied_without_a_test_and_what_breaks_them_is_abnormal(line: SweepLine) -> None:
    line.import_as("iris", "rose")
    line.after(1)
    line.sweep()
    before = len(line.backend.launches)
    line.release = "2"
    # A rule of today: this runtime is gone from the catalogue that configurations are read by.
    digest = line.digest("rose")
    assert digest != line.digest("iris")
    report = line.sweep()
    assert report.looked_at == 2
    assert len(line.backend.launches) == before
    line.release = "3"
    line.catalogue = Catalogue.of(row for row in CATALOGUE.runtimes if str(row) != "Scikit_Learn sklearn1.9-python3.11")
    report = line.sweep()
    assert report.counts == {Outcome.UNFIT: 2}
    status, reason = line.standing()
    assert status is Status.ABNORMAL
    assert reason.startswith("[CFG008] 1 rule is broken in the package by the rules of today")
    line.catalogue = CATALOGUE
    line.after(1)
    assert line.sweep().counts == {Outcome.RETURNED: 2}


# ── bytes, sources, images ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_is_missing_or_has_another_length_is_found_at_the_next_check_sample_or_not(line: SweepLine) -> None:
    line.import_as("iris", "rose")
    del line.store.packages[line.digest("iris")]["model/iris.m"]
    line.store.packages[line.digest("rose")]["model/iris.m"] += b"?"
    line.sweep(sample_mb=0)
    for name in ("iris", "rose"):
        assert line.standing(name)[1].startswith("[STO003] model/iris.m of package")


def test_a_package_that_is_gone_is_named(line: SweepLine) -> None:
    line.import_as("iris")
    del line.store.packages[line.digest()]
    line.sweep()
    assert line.standing()[1].startswith("[STO001] The store has no package")
    assert line.reader.health("iris", "0.0.1")[-1].verdict == "not run: STO001"


def test_samples_read_every_byte_in_turn_and_save_up_for_what_is_larger_than_one() -> None:
    files = tuple(
        FileEntry(path=f"model/{name}", size_bytes=size, sha256="0" * 64)
        for name, size in (("a", 4), ("b", 25), ("c", 3), ("d", 10))
    )
    state, read = SweepState(), []
    for _ in range(8):
        chosen, next_file, credit = next_sample(files, state, 10)
        state = replace(state, next_file=next_file, credit_bytes=credit)
        read.append("".join(entry.path[-1] for entry in chosen))
    assert read == ["a", "", "b", "c", "da", "", "", "bc"]
    assert next_sample(files, SweepState(), 1000) == (files, 0, 0)
    assert next_sample((), SweepState(), 10) == ((), 0, 0)


def test_a_source_that_changed_or_went_is_told_once_and_fails_nothing(line: SweepLine) -> None:
    line.import_as("iris", "rose")
    line.storage.buckets["models"]["iris/model/iris.m"] = b"other"
    for key in [key for key in line.storage.buckets["models"] if key.startswith("rose/")]:
        del line.storage.buckets["models"][key]
    for _ in range(3):
        line.after(1)
        report = line.sweep()
        assert {row.model_name: [note.code for note in row.notes] for row in report.rows} == {
            "iris": ["RVL004"], "rose": ["RVL003"],
        }  # fmt: skip
    assert [text for text in line.said("iris") if "RVL" in text] == [
        "[RVL004] The source s3://models/iris/ is no longer what was imported; the store has the package as it was."
    ]
    assert line.standing("iris") == line.standing("rose") == (Status.NORMAL, "")
    assert line.notified == []


def test_a_storage_that_does_not_answer_is_asked_once_in_a_batch_and_changes_nothing(
    line: SweepLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.import_as("iris", "rose")
    asked = []

    def away(location: Any) -> Any:
        asked.append(location)
        raise StorageUnavailable("SRC004", "The storage does not answer.", "")

    monkeypatch.setattr(line.storage, "list", away)
    assert line.sweep().counts == {Outcome.FIT: 2}
    assert len(asked) == 1


def test_an_image_that_a_registry_still_has_is_no_fault(line: SweepLine) -> None:
    line.import_as("iris")
    line.backend.registry |= line.backend.tags
    line.backend.tags.clear()
    assert line.sweep().counts == {Outcome.FIT: 1}
    line.backend.registry.clear()
    line.after(1)
    assert line.sweep().counts == {Outcome.UNFIT: 1}
    assert line.standing()[1].startswith("[RVL002] The image airlock/serving:")


# ── what cannot be decided ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_engine_that_does_not_answer_makes_no_version_abnormal_and_leaves_it_due(line: SweepLine) -> None:
    line.import_as("iris")
    line.after(1)
    line.backend.away = True
    report = line.sweep()
    assert report.counts == {Outcome.UNDECIDED: 1}
    assert "does not answer" in report.rows[0].reason
    assert line.standing() == (Status.NORMAL, "")
    line.backend.away = False
    assert line.sweep().counts == {Outcome.FIT: 1}


def test_bytes_that_are_wrong_are_told_without_the_engine(line: SweepLine) -> None:
    line.import_as("iris")
    line.backend.away = True
    line.store.packages[line.digest()]["model/iris.m"] += b"?"
    assert line.sweep().counts == {Outcome.UNFIT: 1}
    assert line.standing()[1].startswith("[STO003]")


def test_a_runtime_that_the_catalogue_has_lost_is_named(line: SweepLine) -> None:
    line.import_as("iris")
    line.catalogue = Catalogue.of(row for row in CATALOGUE.runtimes if row.engine != "Scikit_Learn")
    checked = Checked(
        model_name="iris", model_version="0.0.1", status=Status.NORMAL, reason="", image_digest="", why=(),
        devices=(Device.CPU,), state=SweepState(),
    )  # fmt: skip
    found = line.retest(checked, Device.CPU, RunRef(dag_id="revalidate_models", run_id="r"))
    assert found.problem is not None
    assert str(found.problem).startswith("[BLD001] This worker's catalogue has no Scikit_Learn sklearn1.9-python3.11.")


def test_a_record_that_another_release_wrote_decides_nothing(line: SweepLine, monkeypatch: pytest.MonkeyPatch) -> None:
    line.import_as("iris")

    def unreadable(model_name: str, model_version: str) -> Any:
        raise VersionBusy("REG010", "The record was written by a release that this one cannot read.", "")

    monkeypatch.setattr(line.sweeps, "record", unreadable)
    assert line.sweep().counts == {Outcome.UNDECIDED: 1}
    assert line.standing() == (Status.NORMAL, "")


def test_a_test_whose_task_was_killed_decides_nothing(line: SweepLine) -> None:
    line.import_as("iris")
    line.after(8)
    line.killer = "iris"
    report = line.sweep()
    assert report.counts == {Outcome.UNDECIDED: 1}
    assert report.rows[0].reason == "Its test on cpu ended without a word."
    assert line.standing() == (Status.NORMAL, "")


def test_a_version_that_kills_its_task_keeps_no_other_from_being_tested_next_time(line: SweepLine) -> None:
    def batches() -> list[list[str]]:
        assert line.plan is not None
        return [[due.model_name for due in batch.versions] for batch in line.plan.batches]

    def noted() -> set[str]:
        return {standing.model_name for standing in line.sweeps.standings() if standing.state and standing.state.alone}

    line.import_as("first", "iris", "last")
    line.after(8)
    line.killer = "iris"
    assert line.sweep().counts == {Outcome.UNDECIDED: 3}
    assert batches() == [["first", "iris", "last"]]
    assert noted() == {"first", "iris", "last"}

    assert line.sweep().counts == {Outcome.FIT: 2, Outcome.UNDECIDED: 1}
    assert batches() == [["first"], ["iris"], ["last"]]
    assert noted() == {"iris"}

    line.after(8)
    assert line.sweep().counts == {Outcome.FIT: 2, Outcome.UNDECIDED: 1}
    assert batches() == [["first", "last"], ["iris"]]

    line.killer = ""
    assert line.sweep().counts == {Outcome.FIT: 1}
    assert (batches(), noted()) == ([["iris"]], set())


def test_an_abnormal_version_is_not_fit_again_by_a_check_alone(line: SweepLine) -> None:
    line.import_as("iris")
    line.backend.behaviour = Behaviour(answer=DRIFTED_ANSWER)
    line.sweep(model_name="iris")
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER)
    line.after(1)
    assert line.sweep(max_tests=0).counts == {Outcome.STILL_UNFIT: 1}
    assert line.standing()[1].startswith("[RVL001]")
    assert line.sweep().counts == {Outcome.RETURNED: 1}


def test_a_device_that_no_worker_has_any_more_is_told_and_brings_nothing_back(line: SweepLine) -> None:
    line.import_as("iris")
    line.backend.on = frozenset()
    report = line.sweep(model_name="iris")
    assert report.counts == {Outcome.FIT: 1}
    assert [note.text for note in report.rows[0].notes] == ["Not tested again on cpu: no device."]
    line.registry.judge("iris", "0.0.1", RunRef(dag_id="d", run_id="r"), [], "[SMK010] It ended.")
    assert line.sweep(model_name="iris").counts == {Outcome.STILL_UNFIT: 1}


def test_what_another_sweep_has_found_meanwhile_is_not_taken_back(
    line: SweepLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.import_as("iris", days=8)
    test = line.retest

    def and_rot(checked: Checked, device: Device, run: RunRef) -> Retest:
        tested = test(checked, device, run)
        monkeypatch.setattr(line, "retest", test)
        line.store.packages[line.digest()]["model/iris.m"] += b"rot"
        assert line.sweep(model_name="iris", model_version="0.0.1").counts == {Outcome.UNFIT: 1}
        return tested

    monkeypatch.setattr(line, "retest", and_rot)
    assert line.sweep().counts == {Outcome.OVERTAKEN: 1}
    status, reason = line.standing()
    assert (status, reason[:8]) == (Status.ABNORMAL, "[STO003]")
    assert [point.verdict for point in line.reader.health("iris", "0.0.1")] == ["passed", "not run: STO003"]


def test_a_version_that_is_deleted_or_made_again_meanwhile_is_left_to_whoever_did_it(
    line: SweepLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.import_as("iris")
    line.backend.behaviour = Behaviour(answer=DRIFTED_ANSWER)
    test = line.retest

    def and_delete(checked: Checked, device: Device, run: RunRef) -> Retest:
        tested = test(checked, device, run)
        line.editor.delete("iris", "0.0.1", "ada")
        return tested

    monkeypatch.setattr(line, "retest", and_delete)
    report = line.sweep(model_name="iris")
    assert report.counts == {Outcome.OVERTAKEN: 1}
    assert line.standing()[0] is Status.DELETED
    assert line.sweep().registered == 0


# ── figures over time ────────────────────────────────────────────────────────────────────────────────────────────────


def test_latency_and_memory_far_above_their_history_are_told_and_fail_nothing(line: SweepLine) -> None:
    line.import_as("iris")
    for _ in range(3):
        line.after(7)
        line.sweep()
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER, seconds=0.2, peak_memory_bytes=200_000_000)
    line.after(7)
    (row,) = line.sweep().rows
    assert [note.code for note in row.notes] == ["RVL005", "RVL006"]
    assert row.notes[0].text == ("An answer on cpu took 200.0 ms at the median; it was 10.0 ms in 4 tests before.")
    assert line.standing() == (Status.NORMAL, "")
    line.backend.behaviour = Behaviour(answer=IRIS_ANSWER)
    line.after(1)
    (row,) = line.sweep().rows
    assert [note.code for note in row.notes] == ["RVL005", "RVL006"], "a check says nothing new about a test"
    line.after(7)
    (row,) = line.sweep().rows
    assert row.notes == ()


@pytest.mark.parametrize(
    "history,told",
    [([], False), ([10.0], True), ([10.0, 60.0, 70.0], False), ([95.0] * 40, False), ([0.5] * 3, True)],
    ids=["none", "one", "wild", "steady", "fast"],
)
def test_a_median_is_told_beside_the_median_of_those_before(history: list[float], told: bool) -> None:
    report = SmokeReport(
        device=Device.CPU,
        verdict=Verdict.PASSED,
        isolation="container",  # type: ignore[arg-type]
        latency=Latency(p50=100.0, p95=100.0, p99=100.0, requests=5),
    )
    points = [
        HealthPoint(
            at=float(number), device=device, verdict="passed", p50_ms=p50, p99_ms=None, ready_s=1.0,
            peak_memory_bytes=None, run="r",
        )
        for number, p50 in enumerate(history)
        for device in (Device.CPU, Device.GPU)
    ]  # fmt: skip
    assert bool(costs_more(report, points)) is told


# ── the form and the summary ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "conf,codes",
    [
        ({"nonsense": 1}, ["REQ001"]),
        ({"model_version": "0.0.1"}, ["REQ002"]),
        ({"model_name": "iris", "model_version": "one"}, ["REQ003"]),
        ({"max_tests": -1, "max_versions": 1.5, "bytes": "some", "sample_mb": True}, ["REQ003"] * 4),
        ({"model_name": 1}, ["REQ003"]),
    ],
)
def test_a_form_that_breaks_rules_names_them_all(conf: Mapping[str, Any], codes: list[str]) -> None:
    with pytest.raises(RequestRejected) as refused:
        parse_sweep(conf)
    assert [finding.code for finding in refused.value.findings] == codes


def test_the_summary_is_kept_with_the_registry_as_a_table_judged(line: SweepLine) -> None:
    line.import_as("iris", "rose")
    line.after(9)
    line.store.packages[line.digest("rose")]["model/iris.m"] += b"?"
    report = line.sweep()
    assert [row.model_name for row in report.rows] == ["rose", "iris"], "what changed stands first"
    table = {row["model_name"]: row for row in line.expectations.tables["sweep"]}
    assert {name: (row["status"], row["days_since_check"], row["days_since_test"]) for name, row in table.items()} == {
        "iris": ("Normal", 0.0, 0.0), "rose": ("Abnormal", 0.0, 0.0),
    }  # fmt: skip
    assert report.registry is not None
    kept = line.reports.find(RunRef(dag_id="revalidate_models", run_id="sweep-1")).sweep
    assert kept == report


def test_a_folder_of_reports_that_cannot_be_written_loses_the_summary_and_nothing_else(line: SweepLine) -> None:
    line.import_as("iris")
    line.reports.away = True
    assert line.sweep().counts == {Outcome.FIT: 1}
    assert line.told[-1].startswith("The sweep's summary is not kept: [RPT001]")


# ── sweeps beside sweeps ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "own,before,hours,looks",
    [
        ("scheduled", None, 0, True),
        ("scheduled", "scheduled", 25, False),
        ("scheduled", "scheduled", 80, True),
        ("scheduled", "manual", 25, True),
        ("manual", "scheduled", 1, True),
    ],
    ids=["alone", "beside another", "beside one that never ends", "beside one that was asked for", "asked for"],
)
def test_a_scheduled_sweep_leaves_what_is_due_to_the_one_that_is_still_at_it(
    line: SweepLine, own: str, before: str | None, hours: float, looks: bool
) -> None:
    line.import_as("iris", days=8)
    began = datetime.fromtimestamp(line.clock.now() - hours * 3600, UTC)
    other = before and SimpleNamespace(run_id="the-other", run_type=before, start_date=began)
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        get_previous_dagrun=lambda state: other if state == "running" else None,
        xcom_push=lambda key, value: pushed.update({key: value}),
    )
    wiring: Any = SimpleNamespace(
        sweeps=line.sweeps, catalogue=line.catalogue, config_schema=config_schema(), clock=line.clock,
        settings=SimpleNamespace(base_image_prefix=""),
    )  # fmt: skip
    context: Any = {"ti": ti, "dag_run": SimpleNamespace(run_type=own, conf={}), "params": {}}
    batches = PlanSweepOperator(task_id="plan").run_step(wiring, context)
    assert bool(batches) is looks
    figures = decode(SweepPlan, pushed["plan"]["plan"])
    assert (figures.due, figures.later) == (1, 0 if looks else 1)
