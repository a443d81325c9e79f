"""How many requests of a copy are under way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airlock.adapters.pace import FEWEST, MOST, Pace, Reached

Look = Callable[..., bool]


@pytest.fixture
def pace() -> Pace:
    return Pace(reached(0.0))


@pytest.fixture
def look(pace: Pace) -> Look:
    """Looks again a tenth of a second later; tells what came and what this process did meanwhile."""
    wall, come, cpu, writing = 0.0, 0, 0.0, 0.0

    def again(*, objects: int, cpu_s: float = 0.01, writing_s: float = 0.0) -> bool:
        nonlocal wall, come, cpu, writing
        wall, come, cpu, writing = wall + 0.1, come + objects, cpu + cpu_s, writing + writing_s
        return pace.look(reached(wall, come, cpu, writing))

    return again


def reached(wall_s: float, objects: int = 0, cpu_s: float = 0.0, writing_s: float = 0.0) -> Reached:
    return Reached(bytes=objects * 20_000, objects=objects, wall_s=wall_s, cpu_s=cpu_s, writing_s=writing_s)


def test_more_are_sent_while_all_wait_for_the_storage_and_more_of_them_help(pace: Pace, look: Look) -> None:
    grown = [pace.at_a_time]
    for _ in range(40):
        # A storage that is so far away that each request takes 50 ms.
        if look(objects=2 * pace.at_a_time):
            grown.append(pace.at_a_time)

    assert grown == [FEWEST, 2 * FEWEST, 4 * FEWEST, 8 * FEWEST, MOST]


def test_no_more_are_sent_when_more_of_them_brought_nothing(pace: Pace, look: Look) -> None:
    for _ in range(40):
        look(objects=20)

    assert pace.at_a_time == 2 * FEWEST


@pytest.mark.parametrize("what", [{"cpu_s": 0.1}, {"writing_s": 0.2}], ids=["the processor", "the disk"])
def test_no_more_are_sent_when_something_else_is_the_bottleneck(pace: Pace, look: Look, what: dict[str, float]) -> None:
    for _ in range(40):
        assert not look(objects=100, **what)

    assert pace.at_a_time == FEWEST


def test_a_pause_of_a_moment_says_nothing(pace: Pace, look: Look) -> None:
    for number in range(40):
        assert not look(objects=100, cpu_s=0.0 if number % 3 else 0.1)

    assert pace.at_a_time == FEWEST


def test_never_more_than_allowed() -> None:
    assert Pace(reached(0.0), most=2).at_a_time == 2
