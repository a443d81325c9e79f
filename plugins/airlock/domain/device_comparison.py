"""The answers of one version on two devices, or at two times, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airlock.domain.device import Device
from airlock.domain.findings import shown
from airlock.domain.smoke import SmokeReport, Verdict

#: Numbers nearer to each other than this are the same, whatever their share: noise around zero.
ABSOLUTE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceComparison:
    """How far the answers of two devices are from each other.

    Attributes:
        device: The one.
        against: The other, which comes first in the order of devices.
        tolerance: The largest share by which two numbers may differ.
        compared: How many values were compared.
        largest: The largest share by which two numbers differ, at most 2; None where there are no numbers.
        place: Sample and place of that number, or of the first thing that is no number and differs.
        unlike: What differs that is no number, or that only one of the two has; empty where nothing does.
        note: Why nothing could be compared; else empty.
    """

    device: Device
    against: Device
    tolerance: float
    compared: int = 0
    largest: float | None = None
    place: str = ""
    unlike: str = ""
    note: str = ""

    @property
    def agrees(self) -> bool:
        """Whether everything that was compared is within the tolerance."""
        return not self.unlike and (self.largest or 0.0) <= self.tolerance

    def says(self) -> str:
        """The comparison as a sentence."""
        pair = f"The answers on {self.device.value} and {self.against.value}"
        if self.note:
            return f"{pair} were not compared: {self.note}."
        if self.unlike:
            return f"{pair} are unlike: {self.unlike} ({self.place})."
        if self.largest is None:
            return f"{pair} are the same in {self.compared} values."
        at = f" ({self.place})" if self.place else ""
        return f"{pair} differ by a share of {self.largest:.2g} at most in {self.compared} values{at}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two sets of answers to the same requests, side by side.

    Attributes:
        compared: How many values were compared.
        largest: The largest share by which two numbers differ, at most 2; None where there are no numbers.
        place: Sample and place of that number, or of the first thing that is no number and differs.
        unlike: What differs that is no number, or that only one of the two has; empty where nothing does.
        note: Why nothing could be compared; else empty.
    """

    compared: int = 0
    largest: float | None = None
    place: str = ""
    unlike: str = ""
    note: str = ""


def compare_devices(reports: Sequence[SmokeReport], tolerance: float) -> tuple[DeviceComparison, ...]:
    """Every device that passed against the first one that did, in the order of devices.

    Args:
        reports: Reports of one version.
        tolerance: The largest share by which two numbers may differ.
    """
    order = list(Device)
    passed = sorted(
        (report for report in reports if report.verdict is Verdict.PASSED), key=lambda one: order.index(one.device)
    )
    return tuple(_compare(report, passed[0], tolerance) for report in passed[1:])


def _compare(report: SmokeReport, other: SmokeReport, tolerance: float) -> DeviceComparison:
    found = compare_answers(report, other)
    return DeviceComparison(
        device=report.device,
        against=other.device,
        tolerance=tolerance,
        compared=found.compared,
        largest=found.largest,
        place=found.place,
        unlike=found.unlike,
        note=found.note,
    )


def compare_answers(report: SmokeReport, other: SmokeReport) -> Compared:
    """The kept answers of two tests of one version: on two devices, or at two times."""
    varying = list(dict.fromkeys(one.device.value for one in (report, other) if one.same_answers is False))
    if varying:
        return Compared(note=f"on {' and '.join(varying)} one request gets another answer each time")
    try:
        differences = [(at, one, two, _share(one, two)) for at, one, two in _both(report, other)]
    except RecursionError:
        return Compared(note="they are nested too deeply")
    if not differences:
        return Compared(note="no answer to the same request is kept of both")
    unlike = [(at, one, two) for at, one, two, share in differences if share is None and not _same(one, two)]
    shares = [(share, at) for at, _, _, share in differences if share is not None]
    largest, place = max(shares, default=(None, ""))
    result = Compared(compared=len(differences), largest=largest, place=shown(place, 200) if largest else "")
    if unlike:
        at, one, two = unlike[0]
        result = replace(result, unlike=f"{_shown(one)} and {_shown(two)}", place=shown(at, 200))
    return result


def _both(report: SmokeReport, other: SmokeReport) -> Iterator[tuple[str, Any, Any]]:
    """Every value of the answers to requests that both were sent: its place, and what each of the two has there."""
    answers = {(pair.sample, pair.request()): pair.answer_body() for pair in other.golden}
    for pair in report.golden:
        body = answers.get((pair.sample, pair.request()))
        if body is not None:
            for place, one, two in _pairs(_value(pair.answer_body()), _value(body), ""):
                yield f"{pair.sample} {place or '/'}", one, two


_MISSING = object()


def _pairs(one: Any, two: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """What stands at the same place of two JSON values, down to what holds nothing else."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            yield from _pairs(one.get(key, _MISSING), two.get(key, _MISSING), f"{place}/{key}")
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, (left, right) in enumerate(zip(one, two, strict=True)):
            yield from _pairs(left, right, f"{place}/{index}")
    else:
        yield place, one, two


def _share(one: Any, two: Any) -> float | None:
    """The share by which two numbers differ, None where they are not numbers both."""
    if not (_is_number(one) and _is_number(two)):
        return None
    try:
        distance = abs(one - two)
        return 0.0 if distance <= ABSOLUTE else float(distance / max(abs(one), abs(two)))
    except OverflowError:
        # An integer that no floating-point number can hold, beside a floating-point number.
        return 2.0


def _same(one: Any, two: Any) -> bool:
    return one is not _MISSING and type(one) is type(two) and bool(one == two)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _value(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.hex()


def _shown(value: Any) -> str:
    return "nothing" if value is _MISSING else shown(json.dumps(value, ensure_ascii=False))
