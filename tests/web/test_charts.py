from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.web.charts import bars, lines, round_scale

VALUES = st.floats(min_value=0, max_value=1e12, allow_nan=False)


@pytest.mark.parametrize(
    "greatest,ticks",
    [
        (10, [0, 2.5, 5, 7.5, 10]),
        (9.9, [0, 2.5, 5, 7.5, 10]),
        (3, [0, 1, 2, 3]),
        (0.07, [0, 0.02, 0.04, 0.06, 0.08]),
        (0, [0, 1]),
        (math.inf, [0, 1]),
    ],
)
def test_a_scale_has_round_values(greatest: float, ticks: list[float]) -> None:
    assert round_scale(greatest) == ticks


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_a_scale_reaches_the_greatest_value_and_not_far_beyond(greatest: float) -> None:
    ticks = round_scale(greatest)
    assert 3 <= len(ticks) <= 6
    assert ticks[-1] >= greatest * (1 - 1e-6)
    assert ticks[-2] < greatest


@given(st.lists(st.tuples(st.text(max_size=3), VALUES), min_size=1, max_size=20))
def test_bars_lie_within_the_drawing_and_keep_their_order(values: list[tuple[str, float]]) -> None:
    chart = bars(values, 500)
    assert [bar.label for bar in chart.bars] == [label for label, _ in values]
    assert all(0 <= bar.length <= 500.1 for bar in chart.bars)
    assert chart.ticks[-1].at == 500


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=2e9), VALUES), min_size=1, max_size=20))
def test_points_lie_within_the_drawing_from_left_to_right(points: list[tuple[float, float]]) -> None:
    (drawn,) = lines({"median": points}, 700, 200).lines.values()
    assert [point.x for point in drawn] == sorted(point.x for point in drawn)
    assert all(0 <= point.x <= 700 and -0.1 <= point.y <= 200 for point in drawn)


def test_one_point_stands_in_the_middle() -> None:
    chart = lines({"median": [(5.0, 2.0)]}, 100, 100)
    assert [(point.x, point.y) for point in chart.lines["median"]] == [(50, 0)]
