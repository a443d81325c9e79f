"""What sweeps make of versions over time: faults that come and go over thirty days, and answers that drift."""

from __future__ import annotations

from airlock.domain.revalidation import CHANGES, Outcome
from airlock.domain.version import Status
from tests.fakes.running_service import Behaviour
from tests.unit.given import IRIS_ANSWER
from tests.unit.sweeps.sweep_line import DRIFTED_ANSWER, SweepLine


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
