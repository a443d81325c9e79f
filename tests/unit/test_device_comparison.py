"""The answers of two devices side by side, and what a difference does to an import."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airlock.domain.device import Device
from airlock.domain.device_comparison import DeviceComparison, compare_devices
from airlock.domain.image import Isolation
from airlock.domain.smoke import GoldenPair, HttpRequest, HttpResponse, Sample, SmokeReport, Verdict
from airlock.errors import SmokeFailed
from tests.unit.given import IRIS_ANSWER
from tests.unit.line import Line
from tests.unit.test_builds_of_a_row import BOTH, CUDA, WITH_GPU_BUILD


def a_report(device: Device, *answers: Any, same: bool = True, body: bytes = b"{}") -> SmokeReport:
    pairs = []
    for number, answer in enumerate(answers):
        request = HttpRequest(method="POST", path="/", content_type="application/json", body=body)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        response = HttpResponse(status=200, content_type="application/json", body=data, seconds=0.1)
        pairs.append(GoldenPair.of(Sample(name=f"{number}.json", request=request), response))
    return SmokeReport(
        device=device,
        verdict=Verdict.PASSED,
        isolation=Isolation.CONTAINER,
        golden=tuple(pairs),
        same_answers=same,
    )


def compared(one: Any, two: Any, tolerance: float = 1e-3) -> DeviceComparison:
    (found,) = compare_devices([a_report(Device.GPU, two), a_report(Device.CPU, one)], tolerance)
    assert (found.device, found.against) == (Device.GPU, Device.CPU)
    return found


def test_equal_answers_agree() -> None:
    found = compared({"a": [1, 2.5], "b": "x", "c": None}, {"a": [1, 2.5], "b": "x", "c": None})
    assert found.agrees
    assert (found.largest, found.compared, found.unlike) == (0.0, 4, "")


@pytest.mark.parametrize("factor,agrees", [(1.0005, True), (1.01, False)])
def test_the_largest_difference_is_recorded_with_its_place(factor: float, agrees: bool) -> None:
    found = compared({"p": [0.5, 0.25, 0.25]}, {"p": [0.5, 0.25 * factor, 0.25]})
    assert found.agrees is agrees
    assert found.largest == pytest.approx((factor - 1) / factor)
    assert found.place == "0.json /p/1"


def test_noise_around_zero_is_no_difference() -> None:
    assert compared([0.0, 1e-9], [1e-8, -1e-9]).largest == 0.0


@pytest.mark.parametrize(
    "one,two,unlike",
    [
        ("cat", "dog", '"dog" and "cat"'),
        (1, "1", '"1" and 1'),
        (True, 1, "1 and true"),
        ([1], [1, 2], "[1, 2] and [1]"),
        ({"a": 1}, {"b": 1}, "nothing and 1"),
        (1, None, "null and 1"),
    ],
)
def test_what_is_no_number_must_be_equal(one: Any, two: Any, unlike: str) -> None:
    found = compared(one, two)
    assert found.unlike == unlike
    assert not found.agrees


def test_numbers_of_any_size_are_compared() -> None:
    assert compared(10**400, 10**400).agrees
    assert not compared(10**400, 1.5).agrees


def test_answers_that_are_not_json_are_compared_byte_by_byte() -> None:
    assert compared(b"\x89PNG", b"\x89PNG").agrees
    assert not compared(b"\x89PNG", b"\x89PNH").agrees


def test_a_model_that_draws_by_chance_is_not_compared() -> None:
    reports = [a_report(Device.CPU, 1), a_report(Device.GPU, 2, same=False)]
    (found,) = compare_devices(reports, 1e-3)
    assert found.agrees
    assert found.says() == (
        "The answers on gpu and cpu were not compared: on gpu one request gets another answer each time."
    )


def test_only_answers_to_the_same_request_are_compared() -> None:
    reports = [a_report(Device.CPU, 1), a_report(Device.GPU, 2, body=b"[]")]
    (found,) = compare_devices(reports, 1e-3)
    assert found.note == "no answer to the same request is kept of both"


def test_answers_nested_too_deeply_are_not_compared() -> None:
    deep = b"[" * 900 + b"]" * 900
    (found,) = compare_devices([a_report(Device.CPU, deep), a_report(Device.GPU, deep)], 1e-3)
    assert found.agrees


def test_one_device_is_compared_with_nothing() -> None:
    skipped = SmokeReport(device=Device.GPU, verdict=Verdict.NO_DEVICE, isolation=Isolation.CONTAINER)
    assert compare_devices([a_report(Device.CPU, 1), skipped], 1e-3) == ()


# ── register ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def a_line_with_two_devices(gpu_says: bytes) -> tuple[Line, Any, list[SmokeReport]]:
    from airlock.domain.catalogue import Catalogue

    line = Line(catalogue=Catalogue.of([WITH_GPU_BUILD]))
    line.backend.on, line.backend.bases = frozenset(BOTH), frozenset({CUDA})
    built = line.until_built(**({} if gpu_says != b"recorded" else {"device_tolerance": 1}))
    cpu = line.smoke(built)
    line.backend.behaviour.answer = IRIS_ANSWER.replace(b"1", b"2")
    if gpu_says == b"equal":
        line.backend.behaviour.answer = IRIS_ANSWER
    return line, built, [cpu, line.smoke(built, Device.GPU)]


def test_devices_that_agree_are_recorded_with_the_version() -> None:
    line, built, reports = a_line_with_two_devices(b"equal")
    (comparison,) = line.register(built, *reports).comparisons
    assert (comparison.largest, comparison.compared) == (0.0, 1)
    assert any("differ by a share of 0 at most in 1 values" in text for text in line.events())


def test_devices_that_differ_fail_the_import() -> None:
    line, built, reports = a_line_with_two_devices(b"unequal")
    with pytest.raises(SmokeFailed, match=r"gpu and cpu differ by a share of 0\.5 at most") as caught:
        line.register(built, *reports)
    assert caught.value.code == "SMK040"
    assert "device_tolerance" in caught.value.remedy


def test_a_request_may_have_differences_recorded_only() -> None:
    line, built, reports = a_line_with_two_devices(b"recorded")
    (comparison,) = line.register(built, *reports).comparisons
    assert comparison.largest == 0.5
    assert line.row().details["comparisons"][0]["largest"] == 0.5
