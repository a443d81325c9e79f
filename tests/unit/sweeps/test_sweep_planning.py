"""What a sweep is asked for, which versions are due in it, in what order, and which it leaves to another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import pytest

from airlock.codec import decode
from airlock.domain.catalogue import Catalogue
from airlock.domain.device import Device
from airlock.domain.revalidation import Outcome
from airlock.domain.sweep_request import NUMBERS, SweepRequest, parse_sweep
from airlock.domain.sweeping import ALONE, MAX_ALONE, Note, Standing, SweepPlan, SweepState, Why, plan_sweep
from airlock.domain.version import Status
from airlock.errors import NoSuchVersion, RequestRejected, VersionBusy
from airlock.operators.sweep import PlanSweepOperator
from tests.unit.given import CATALOGUE, config_schema, runtime
from tests.unit.sweeps.sweep_line import SweepLine


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
