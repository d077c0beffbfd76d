"""Columns of a chart as rectangles, which a template writes as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a column, in the drawing's units from its top left; ``kind`` is its place in the column."""

    x: float
    y: float
    width: float
    height: float
    kind: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of ``width`` × ``height``; ``ticks`` are (y, number), ``slots`` the left edges of columns."""

    width: float
    height: float
    parts: Sequence[Part]
    ticks: Sequence[tuple[float, int]]
    slots: Sequence[float]


def stacked(columns: Sequence[Sequence[int]], width: float, height: float, gap: float = 0.25) -> Chart:
    """Columns of counts upon one another; ``gap`` is the free share of each one's place."""
    ticks = scale(max((sum(column) for column in columns), default=0))
    unit, place = height / ticks[-1], width / max(1, len(columns))
    parts = []
    for number, column in enumerate(columns):
        top = height
        for kind, count in enumerate(column):
            top -= count * unit
            if count:
                x = round((number + gap / 2) * place, 2)
                parts.append(
                    Part(x, round(top, 2), round(place * (1 - gap), 2), round(count * unit, 2), kind)
                )
    lines = [(round(height - tick * unit, 2), tick) for tick in ticks]
    return Chart(width, height, parts, lines, [round(number * place, 2) for number in range(len(columns))])


def scale(most: int) -> list[int]:
    """Round numbers from 0 up to ``most`` or above, three to six of them."""
    step = max(1.0, most / 4)
    power = 10 ** floor(log10(step))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step)
    return list(range(0, max(2, -(-most // int(step))) * int(step) + 1, int(step)))
