"""When a schedule is due: pure; a crontab line by the clock on the wall, an interval in real time.

A due instant is the moment of the schedule plus the koppeling's own offset; one that falls in a
blackout waits until that is over, plus the offset once more, so that not all begin at its end.

APScheduler runs its timers and threads (embedded.py) but does not judge crontab lines: it runs a
line of 02:15 twice where the clock is put back, counts Monday as day 0, wants both the day of the
month and the day of the week to fit, and refuses `*/12` as a month. Here a time that the clock
skips is taken an hour later, one that it shows twice only the first time; a line of every hour
counts each of the hours that really pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from config.clock import zone as zone_of
from config.duration import Schedule
from config.scheduling import Blackout

_NONE: Final = timedelta()
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS_OF_A_DAY: Final = 24
_FARTHEST: Final = timedelta(days=366 * 9)
"""29 February may be eight years away."""


def offset_of(name: str, jitter: timedelta) -> timedelta:
    """The offset of a koppeling: always the same, whole seconds, less than the jitter."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"koppelhub-jitter").digest()
    seconds = int(jitter.total_seconds())
    return timedelta(seconds=int.from_bytes(digest, "big") * seconds >> 64)


def next_due(
    schedule: Schedule,
    *,
    after: datetime,
    zone: str,
    offset: timedelta = _NONE,
    blackout: Sequence[Blackout] = (),
) -> datetime:
    """The first due instant after another.

    Args:
        schedule: a crontab line or an interval.
        after: not this one itself.
        zone: of the crontab line and of the blackout.
        offset: of the koppeling.
        blackout: when nothing begins.

    Raises: ValueError if it is never due; a schedule of the configuration is.
    """
    calendar = _Calendar(blackout, zone_of(zone), offset)
    low = calendar.begin_of(after) - offset
    for moment in _forward(schedule, low, calendar.zone):
        due = calendar.free(moment + offset)
        if due > after:
            return due
    message = "this schedule is never due"
    raise ValueError(message)


def missed(
    schedule: Schedule,
    *,
    handled: datetime,
    now: datetime,
    zone: str,
    offset: timedelta = _NONE,
    blackout: Sequence[Blackout] = (),
    catch_up: timedelta = _DAY,
) -> datetime | None:
    """The last due instant that came after `handled`; None where none did, or only too long ago.

    However many came, one run answers them all. Arguments as of `next_due`.
    """
    calendar = _Calendar(blackout, zone_of(zone), offset)
    floor = max(handled, now - catch_up)
    low = calendar.begin_of(floor) - offset
    for moment in _backward(schedule, now - offset, low, calendar.zone):
        due = calendar.free(moment + offset)
        if due <= now:
            return due if due > handled and due >= now - catch_up else None
    return None


def free_from(at: datetime, *, zone: str, blackout: Sequence[Blackout]) -> datetime:
    """That instant, or the end of the blackout in which it lies."""
    return _Calendar(blackout, zone_of(zone), _NONE).free(at)


# -- the moments of a schedule ---------------------------------------------------------------------


def _forward(schedule: Schedule, low: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Moments from `low` on, itself included, in order."""
    if schedule.every is not None:
        number = -((_EPOCH - low) // schedule.every)
        while True:
            yield _EPOCH + number * schedule.every
            number += 1
    day, last = _first_day(low, zone), _first_day(low + _FARTHEST, zone)
    while day <= last:
        yield from (moment for moment in _on(schedule, day, zone) if moment >= low)
        day += _DAY


def _backward(
    schedule: Schedule, high: datetime, low: datetime, zone: ZoneInfo
) -> Iterator[datetime]:
    """Moments from `high` down to `low`, both included."""
    if schedule.every is not None:
        moment = _EPOCH + (high - _EPOCH) // schedule.every * schedule.every
        while moment >= low:
            yield moment
            moment -= schedule.every
        return
    day, first = high.astimezone(zone).date(), _first_day(low, zone)
    while day >= first:
        yield from (m for m in reversed(_on(schedule, day, zone)) if low <= m <= high)
        day -= _DAY


def _first_day(at: datetime, zone: ZoneInfo) -> date:
    """The day before: a time that the clock skipped comes later than it stands."""
    return at.astimezone(zone).date() - _DAY


def _on(schedule: Schedule, day: date, zone: ZoneInfo) -> list[datetime]:
    """The moments of a crontab line on one day, in order."""
    if not schedule.falls_on(day):
        return []
    hours, minutes = schedule.hours, schedule.minutes
    found = {_instant(day, hour * 60 + minute, zone) for hour in hours for minute in minutes}
    if len(hours) == _HOURS_OF_A_DAY:
        found |= {
            _instant(day, hour * 60 + minute, zone, last=True)
            for hour in hours
            for minute in minutes
        }
    return sorted(found)


def _instant(day: date, minute: int, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """When the clock on the wall shows that minute of that day, which may be past 24:00.

    One that is skipped is that much after the skip; of one that comes twice, the first or last.
    """
    wall = datetime.combine(day, time()) + timedelta(minutes=minute)
    shown = wall.replace(tzinfo=zone, fold=int(last)).astimezone(UTC)
    if last and shown < wall.replace(tzinfo=zone).astimezone(UTC):  # it is skipped
        return wall.replace(tzinfo=zone).astimezone(UTC)
    return shown


# -- blackout --------------------------------------------------------------------------------------


def _edge(day: date, minute: int, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """When a window begins or ends; at a time that is skipped, that is when the clock moves."""
    wall = datetime.combine(day, time()) + timedelta(minutes=minute)
    found = _instant(day, minute, zone, last=last)
    while (before := found - _MINUTE).astimezone(zone).replace(tzinfo=None) >= wall:
        found = before
    return found


class _Calendar:
    """When nothing begins: the windows, and after each of them the offset of the koppeling.

    After a window no offset is waited for where that would lie in the next one.
    """

    def __init__(self, windows: Sequence[Blackout], zone: ZoneInfo, offset: timedelta) -> None:
        self.zone = zone
        self._windows, self._offset = tuple(windows), offset

    def free(self, at: datetime) -> datetime:
        """That instant, or the first one after it at which something may begin."""
        while (closed := self._closed(at)) is not None:
            at = closed[1]
        return at

    def begin_of(self, at: datetime) -> datetime:
        """That instant, or the first one of the time before it in which nothing begins."""
        while (closed := self._closed(at)) is not None:
            at = closed[0]
            if self._closed(at - timedelta.resolution) is None:
                return at
            at -= timedelta.resolution
        return at

    def _closed(self, at: datetime) -> tuple[datetime, datetime] | None:
        """A stretch around an instant in which nothing begins."""
        near = self._near(at)
        for begin, end in near:
            if begin <= at < end:
                return begin, end
        for begin, end in near:
            if end <= at < end + self._offset and not self._in_window(end + self._offset):
                return begin, end + self._offset
        return None

    def _in_window(self, at: datetime) -> bool:
        return any(begin <= at < end for begin, end in self._near(at))

    def _near(self, at: datetime) -> tuple[tuple[datetime, datetime], ...]:
        """The windows that began since the day before yesterday."""
        return _stretches(self._windows, at.astimezone(self.zone).date(), self.zone)


@lru_cache(maxsize=256)
def _stretches(
    windows: tuple[Blackout, ...], today: date, zone: ZoneInfo
) -> tuple[tuple[datetime, datetime], ...]:
    """(begin, end) of the windows that began since the day before yesterday.

    Kept: thousands of koppelingen have the same few windows and are looked at all the time.
    """
    return tuple(
        (
            _edge(day, window.start, zone),
            _edge(day, window.start + window.minutes, zone, last=True),
        )
        for day in (today - 2 * _DAY, today - _DAY, today)
        for window in windows
        if day.weekday() in window.days
    )
