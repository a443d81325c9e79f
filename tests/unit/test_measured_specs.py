"""Measured figures beside declared minimum specifications."""

from __future__ import annotations

import pytest

from airlock.domain.device import Device
from airlock.domain.measured_specs import specs_findings, suggested_specs
from airlock.domain.request import MinimumSpecs


@pytest.mark.parametrize("peak_mb,suggested", [(0, 0), (1, 64), (51, 64), (52, 128), (1000, 1280)])
def test_the_suggestion_leaves_room_and_is_a_round_number(peak_mb: int, suggested: int) -> None:
    assert suggested_specs(Device.CPU, peak_mb * 1_000_000).memory_mb == suggested


def test_without_a_figure_nothing_is_suggested() -> None:
    found = suggested_specs(Device.GPU, None)
    assert (found.memory_mb, found.gpu, found.ascend) == (None, 1, 0)


@pytest.mark.parametrize("declared,codes", [(None, []), (1000, ["SMK030"]), (1112, [])])
def test_memory_that_is_nearly_full_is_declared_too_small(declared: int | None, codes: list[str]) -> None:
    found = specs_findings(Device.CPU, MinimumSpecs(memory_mb=declared), 1_000_000_000, (Device.CPU,))
    assert [finding.code for finding in found] == codes


def test_an_accelerator_that_the_runtime_needs_must_be_declared() -> None:
    (finding,) = specs_findings(Device.ASCEND, MinimumSpecs(), None, (Device.ASCEND,))
    assert str(finding.place) == "request min_ascend"
    assert specs_findings(Device.ASCEND, MinimumSpecs(ascend=1), None, (Device.ASCEND,)) == ()
    assert specs_findings(Device.GPU, MinimumSpecs(), None, (Device.CPU, Device.GPU)) == ()
