"""Version numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.domain.version import FIRST_VERSION, VersionNumber, next_version

parts = st.integers(0, 99)
numbers = st.builds(VersionNumber, parts, parts, parts)


@given(numbers)
def test_a_number_survives_being_written_and_read(number: VersionNumber) -> None:
    assert VersionNumber.parse(str(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.0",
        "1.0.0.0",
        "1.0.100",
        "01.0.0",
        "1.0.00",
        "-1.0.0",
        "1.0.x",
        " 1.0.0",
        "1.0.0\n",
        "v1.0.0",
        "1,0,0",
        "1.0.٣",
    ],
)
def test_other_forms_are_no_version(text: str) -> None:
    assert VersionNumber.parse(text) is None


@given(numbers)
def test_the_next_number_is_the_least_that_is_higher(number: VersionNumber) -> None:
    following = number.next()
    if following is None:
        assert number == VersionNumber(99, 99, 99)
        return
    value = (number.major * 100 + number.minor) * 100 + number.patch
    assert (following.major * 100 + following.minor) * 100 + following.patch == value + 1


@pytest.mark.parametrize(
    "taken,following",
    [
        ([], "0.0.1"),
        (["0.0.1"], "0.0.2"),
        (["0.0.9", "0.0.10"], "0.0.11"),
        (["1.0.0", "0.0.5"], "1.0.1"),
        (["0.0.99"], "0.1.0"),
        (["0.99.99"], "1.0.0"),
        (["not a version", "0.0.3"], "0.0.4"),
        (["not a version"], "0.0.1"),
    ],
)
def test_the_default_is_the_next_patch_number_after_the_highest(taken: list[str], following: str) -> None:
    assert str(next_version(taken)) == following


def test_no_number_is_left_after_the_last() -> None:
    assert next_version(["99.99.99", "0.0.1"]) is None


def test_the_first_version_is_0_0_1() -> None:
    assert str(FIRST_VERSION) == "0.0.1"
