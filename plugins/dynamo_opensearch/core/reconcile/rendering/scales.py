"""From numbers to places in a chart: round steps, labels that differ, and where the columns are."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from dynamo_opensearch.core.reconcile.rendering.words import axis_number, duration

_WANTED_STEPS = 4
_STEPS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
LINEAR_S = 10
"""Durations up to this are drawn on an even axis."""
_TICKS_S = (0, 10, 60, 600, 3_600, 21_600, 86_400, 864_000, 8_640_000)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A vertical axis with labels at ``values``, which ascend, between the heights ``bottom`` and ``top``.

    ``place`` says how far up a value is, in any unit; its own value where nothing is said.
    """

    values: Sequence[float]
    top: float
    bottom: float
    label: Callable[[float], str]
    place: Callable[[float], float] = float

    @property
    def low(self) -> float:
        """Where the axis begins."""
        return self.values[0]

    def y(self, value: float) -> float:
        """The height of a value, from above."""
        low, high = self.place(self.low), self.place(self.values[-1])
        return round(self.bottom - (self.place(value) - low) / (high - low) * (self.bottom - self.top), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Heights and labels, from below."""
        return [(self.y(value), self.label(value)) for value in self.values]


def count_scale(counts: Sequence[int], top: float, bottom: float, *, from_zero: bool) -> Scale:
    """Whole numbers. Without ``from_zero`` it begins near the smallest, where much would be empty otherwise."""
    low, high = min(counts, default=0), max(counts, default=0)
    if from_zero or low <= 0.4 * high:
        low = 0
    step = _round_step((high - low) / _WANTED_STEPS)
    first = low // step * step
    if low == high:  # one number only: in the middle
        first = max(0, low - step)
    last = max(math.ceil(high / step) * step, first + step, (low + step) if first else 0)
    values = range(first, last + step, step)
    return Scale(values=values, top=top, bottom=bottom, label=lambda value: axis_number(value, step))


def time_scale(seconds: Sequence[float], top: float, bottom: float) -> Scale:
    """Durations from 0; from ten seconds on logarithmic, so that an hour does not hide the seconds."""
    high = max(seconds, default=0.0)
    if high <= LINEAR_S:
        step = next((one for one in _STEPS_S if one * (_WANTED_STEPS + 1) >= high), _STEPS_S[-1])
        values = [number * step for number in range(max(1, math.ceil(high / step)) + 1)]
        return Scale(values=values, top=top, bottom=bottom, label=duration)
    below = list(takewhile(lambda tick: tick < high, _TICKS_S))
    above = next((tick for tick in _TICKS_S if tick >= high), math.ceil(high))
    return Scale(values=[*below, above], top=top, bottom=bottom, label=duration, place=math.log1p)


def _round_step(wanted: float) -> int:
    """1, 2 or 5 times a power of ten, at least ``wanted``, and a whole number."""
    if wanted <= 1:
        return 1
    size = int(10 ** math.floor(math.log10(wanted)))
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= wanted)


@dataclass(frozen=True)
class Columns:
    """``count`` columns of one width from left to right, in percent of the chart's."""

    count: int

    @property
    def width(self) -> float:
        """Of one column."""
        return 100 / self.count

    def left(self, column: int) -> float:
        """Where a column begins."""
        return round(column * self.width, 3)

    def middle(self, column: int) -> float:
        """The middle of a column."""
        return round((column + 0.5) * self.width, 3)

    def labelled(self, most: int) -> list[int]:
        """The columns that get a label: the last one, and others at one distance before it."""
        distance = math.ceil(self.count / most)
        return list(range(self.count - 1, -1, -distance))[::-1]
