"""Latency and memory beside their own history."""

from __future__ import annotations

import pytest

from airlock.domain.device import Device
from airlock.domain.registered import HealthPoint
from airlock.domain.revalidation import costs_more
from airlock.domain.smoke import Latency, SmokeReport, Verdict
from airlock.domain.version import Status
from tests.fakes.running_service import Behaviour
from tests.unit.given import IRIS_ANSWER
from tests.unit.sweeps.sweep_line import SweepLine


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
