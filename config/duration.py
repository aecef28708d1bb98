"""Durations and schedules as a school's ICT person writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
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
    return Schedule(cron=(minute, hour, day, month, weekday))


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
