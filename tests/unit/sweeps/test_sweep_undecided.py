"""What a sweep cannot decide, or somebody else decides meanwhile, makes no version unfit."""

from __future__ import annotations

from typing import Any

import pytest

from airlock.domain.catalogue import Catalogue
from airlock.domain.device import Device
from airlock.domain.revalidation import Checked, Outcome, Retest
from airlock.domain.sweeping import SweepState
from airlock.domain.version import RunRef, Status
from airlock.errors import VersionBusy
from tests.fakes.running_service import Behaviour
from tests.unit.given import CATALOGUE, IRIS_ANSWER
from tests.unit.sweeps.sweep_line import DRIFTED_ANSWER, SweepLine


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
