"""Durations and schedules as a school's ICT person writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer

_PARTS: Final = re.compile(
    r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?"
).fullmatch
_EVERY: Final = re.compile(r"every\s+(\S+)").fullmatch
_CRON_FIELD: Final = re.compile(
    r"(?:\*|\d{1,2}(?:-\d{1,2})?)(?:/\d{1,2})?(?:,(?:\*|\d{1,2}(?:-\d{1,2})?)(?:/\d{1,2})?)*"
).fullmatch
_CRON_RANGES: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)
_WEEK: Final = (0, 7)
_LEAP_YEAR: Final = date(2024, 1, 1)


def parse_duration(text: object) -> timedelta:
    """Read `72h`, `30d`, `1h30m`, `45s`: days, hours, minutes and seconds, in that order.

    Raises: ValueError, without the text.
    """
    if isinstance(text, timedelta):
        return text
    match = _PARTS(text) if isinstance(text, str) else None
    if match is None or not any(match.groups()):
        message = "must be a duration such as 72h, 30d or 1h30m"
        raise ValueError(message)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """The same notation: `parse_duration(format_duration(d)) == d` for whole seconds."""
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((duration.days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")
]
"""A duration in a settings model."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a koppeling runs by itself: at the minutes of a crontab line, or at an interval.

    Attributes:
        cron: minute, hour, day of the month, month, day of the week as crontab has them (0 and 7
            are Sunday), in the time zone of the settings; None with an interval.
        every: the interval; None with a crontab line.
    """

    cron: tuple[str, str, str, str, str] | None = None
    every: timedelta | None = None

    @property
    def minutes(self) -> frozenset[int]:
        """The minutes of a crontab line; empty of an interval."""
        return self._values(0)

    @property
    def hours(self) -> frozenset[int]:
        """The hours of a crontab line."""
        return self._values(1)

    def falls_on(self, day: date) -> bool:
        """Whether a crontab line has that day.

        Where both the day of the month and the day of the week are given, one of them will do.
        """
        if day.month not in self._values(3):
            return False
        of_month = day.day in self._values(2)
        of_week = bool({day.isoweekday(), day.isoweekday() % 7} & self._values(4))
        if self.cron is not None and not any(self.cron[at].startswith("*") for at in (2, 4)):
            return of_month or of_week
        return of_month and of_week

    def _values(self, place: int) -> frozenset[int]:
        if self.cron is None:
            return frozenset()
        _, low, high = _CRON_RANGES[place]
        return _expanded(self.cron[place], low, high)

    def __str__(self) -> str:
        if self.every is not None:
            return f"every {format_duration(self.every)}"
        return " ".join(self.cron or ())


def parse_schedule(text: object) -> Schedule:
    """Read a crontab line (`15 2 * * 1-5`) or an interval (`every 6h`).

    Raises: ValueError, which names the field that is wrong.
    """
    if isinstance(text, Schedule):
        return text
    if not isinstance(text, str):
        message = "must be text: a crontab line or an interval such as `every 6h`"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into an error
    interval = _EVERY(text.strip())
    if interval is not None:
        every = parse_duration(interval[1])
        if every < timedelta(minutes=1):
            message = "an interval must be at least 1m"
            raise ValueError(message)
        return Schedule(every=every)
    fields = text.split()
    if len(fields) != len(_CRON_RANGES):
        message = "must be a crontab line of five fields, or an interval such as `every 6h`"
        raise ValueError(message)
    for field, (name, low, high) in zip(fields, _CRON_RANGES, strict=True):
        if not _is_cron_field(field, low, high):
            message = f"crontab: the {name} must lie between {low} and {high}"
            raise ValueError(message)
    minute, hour, day, month, weekday = fields
    made = Schedule(cron=(minute, hour, day, month, weekday))
    if not any(made.falls_on(_LEAP_YEAR + timedelta(days=number)) for number in range(366)):
        message = "crontab: no year has such a day"
        raise ValueError(message)
    return made


@cache
def _expanded(field: str, low: int, high: int) -> frozenset[int]:
    """Every number that a field of a crontab line stands for."""
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        begin = low if span == "*" else int(first)
        end = int(last) if last else (high if span == "*" or step else begin)
        if span == "*" and (low, high) == _WEEK:
            end = 6  # Sunday is there already
        found.update(range(begin, end + 1, int(step or 1)))
    return frozenset(found)


def _is_cron_field(field: str, low: int, high: int) -> bool:
    if not _CRON_FIELD(field):
        return False
    for item in field.split(","):
        span, _, step = item.partition("/")
        if step and not 1 <= int(step) <= high:
            return False
        if span != "*":
            first, _, last = span.partition("-")
            if not low <= int(first) <= int(last or first) <= high:
                return False
    return True


ScheduleText = Annotated[
    Schedule, BeforeValidator(parse_schedule), PlainSerializer(str, when_used="json")
]
"""A schedule in a settings model."""
