"""The geometry of charts: values to places in a drawing, which templates draw as SVG without any script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line of the scale.

    Attributes:
        at: Its place in pixels.
        value: What it stands for.
    """

    at: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar that begins at the left edge.

    Attributes:
        label: What it measures.
        value: What was measured.
        length: In pixels.
    """

    label: str
    value: float
    length: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bars over one scale.

    Attributes:
        bars: From top to bottom.
        ticks: Of the scale, from left to right.
    """

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of a line.

    Attributes:
        x: In pixels from the left.
        y: In pixels from the top.
        at: When, seconds since 1970.
        value: What was measured.
    """

    x: float
    y: float
    at: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines over time on one scale.

    Attributes:
        lines: Name → its points, in order of time.
        ticks: Of the scale, from bottom to top.
    """

    lines: dict[str, tuple[Point, ...]]
    ticks: tuple[Tick, ...]


def round_scale(greatest: float, count: int = 4) -> list[float]:
    """Round values from 0 up to at least the greatest one.

    Args:
        greatest: The largest value that must fit.
        count: About how many steps.
    """
    # What is measured in milliseconds and is less than this is nothing.
    if not 1e-9 < greatest < math.inf:
        return [0.0, 1.0]
    rough = greatest / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    steps = math.ceil(greatest / step * (1 - 1e-9))
    # Twelve figures, so that 3 × 0.1 is 0.3.
    return [float(f"{index * step:.12g}") for index in range(steps + 1)]


def bars(values: Sequence[tuple[str, float]], width: float) -> Bars:
    """Bars of these values.

    Args:
        values: Label and value, from top to bottom; not empty.
        width: Of the scale, in pixels.
    """
    ticks = round_scale(max(value for _, value in values))
    return Bars(
        bars=tuple(
            Bar(label=label, value=value, length=round(max(value, 0) / ticks[-1] * width, 1)) for label, value in values
        ),
        ticks=tuple(Tick(at=round(value / ticks[-1] * width, 1), value=value) for value in ticks),
    )


def lines(series: dict[str, Sequence[tuple[float, float]]], width: float, height: float) -> Lines:
    """Lines of values over time, the earliest at the left.

    Args:
        series: Name → time in seconds since 1970 and value; not all empty.
        width: Of the drawing's inside, in pixels.
        height: Likewise.
    """
    times = [at for points in series.values() for at, _ in points]
    ticks = round_scale(max(value for points in series.values() for _, value in points))
    first, span = min(times), max(times) - min(times)

    def place(at: float, value: float) -> Point:
        x = (at - first) / span * width if span else width / 2
        return Point(x=round(x, 1), y=round(height - value / ticks[-1] * height, 1), at=at, value=value)

    return Lines(
        lines={name: tuple(place(at, value) for at, value in sorted(points)) for name, points in series.items()},
        ticks=tuple(Tick(at=round(height - value / ticks[-1] * height, 1), value=value) for value in ticks),
    )
