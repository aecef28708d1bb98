"""Permitted hours of the day, by the clock on the wall, as the window that they leave: pure.

A window begins and ends at minutes of the day in a time zone. Where the clock goes back, what the
wall shows twice is inside twice; where it goes forward, a window that ends in the hour that there
is not ends when the clock has moved. Of blackouts, which have days, schedule/due.py judges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DAY: Final = 24 * 60
_MINUTE: Final = timedelta(minutes=1)
_STEPS: Final = 1000
"""More windows than a week can hold one after another."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day.

    Attributes:
        start: its first minute since midnight.
        end: the first minute after it; at or before `start` it is one of the next day.
    """

    start: int
    end: int

    @property
    def minutes(self) -> int:
        """How long it lasts by the clock on the wall."""
        return (self.end - self.start) % DAY or DAY

    def ends(self, wall: datetime) -> datetime | None:
        """When it ends by the clock on the wall, for a moment (naive) inside it; None outside."""
        for back in (0, 1):
            first = datetime.combine(wall.date(), time()) - timedelta(days=back)
            begins = first + timedelta(minutes=self.start)
            ends = begins + timedelta(minutes=self.minutes)
            if begins <= wall < ends:
                return ends
        return None


def outside(hours: tuple[int, int]) -> tuple[Window, ...]:
    """The window that permitted hours (from, up to) leave; none where they are the whole day."""
    first, last = (hour * 60 % DAY for hour in hours)
    return () if first == last else (Window(last, first),)


def open_from(now: datetime, windows: Iterable[Window], zone: ZoneInfo) -> datetime:
    """The first instant from now on, now included, that lies in none of these windows (UTC).

    Where there is none within some weeks, the last that was looked at.
    """
    at, listed = now.astimezone(UTC), tuple(windows)
    for _ in range(_STEPS):
        wall = _naive(at, zone)
        ends = [end for window in listed if (end := window.ends(wall)) is not None]
        if not ends:
            return at
        at = _instant(max(ends), zone, after=at)
    return at


def closes_at(now: datetime, windows: Iterable[Window], zone: ZoneInfo) -> datetime | None:
    """The first instant after now at which one of these windows begins (UTC); None without any."""
    today = now.astimezone(zone).date()
    begins = [
        datetime.combine(day, time()) + timedelta(minutes=window.start)
        for window in windows
        for day in (today + timedelta(days=days) for days in range(-1, 3))
    ]
    coming = [
        wall
        for wall in begins
        if any(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) > now for fold in (0, 1))
    ]
    return min((_instant(wall, zone, after=now) for wall in coming), default=None)


def _naive(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def _instant(wall: datetime, zone: ZoneInfo, *, after: datetime) -> datetime:
    """The first instant after another at which the clock shows this or, in a gap, later."""
    for fold in (0, 1):
        found = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if found <= after:
            continue
        while found.astimezone(zone).replace(tzinfo=None) > wall:  # the hour that is not there
            before = found - _MINUTE
            if before <= after or before.astimezone(zone).replace(tzinfo=None) < wall:
                break
            found = before
        return found
    return after + _MINUTE
