"""Small charts of bars, drawn on the server: numbers in, places in an SVG element out; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 300
HEIGHT: Final = 76
_FOOT: Final = 18
"""Room under the bars for the first and the last label."""
_LEAST: Final = 1.5
"""A bar of more than nothing is seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `odd` is drawn in the colour of trouble, and `told` is what it stands for."""

    x: float
    y: float
    width: float
    height: float
    odd: bool
    told: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Attributes:
        title: what is drawn.
        now: the last value, in words.
        told: what the chart shows, in words, for who does not see it.
        first, last: labels under both ends.
    """

    title: str
    now: str
    told: str
    bars: tuple[Bar, ...]
    first: str
    last: str
    width: int = WIDTH
    height: int = HEIGHT
    base: int = HEIGHT - _FOOT


def bars(
    values: Sequence[float], told: Sequence[str], odd: Sequence[bool], *, slots: int = 0
) -> tuple[Bar, ...]:
    """A bar for each value, the last one at the right.

    Args:
        values: zero or more each.
        told: what each stands for.
        odd: which are drawn as trouble.
        slots: for how many there is room at least, so that a few are not drawn as walls.
    """
    most = max(values, default=0.0)
    room = max(len(values), slots, 1)
    step = WIDTH / room
    height = HEIGHT - _FOOT - 2
    drawn = []
    for place, (value, words, strange) in enumerate(zip(values, told, odd, strict=True)):
        tall = 0.0 if most <= 0 or value <= 0 else max(_LEAST, value / most * height)
        drawn.append(
            Bar(
                round((room - len(values) + place) * step, 2),
                round(HEIGHT - _FOOT - tall, 2),
                round(step * 0.78, 2),
                round(tall, 2),
                strange,
                words,
            )
        )
    return tuple(drawn)
