"""When koppelingen run by themselves: spread, blackout windows, workers, what was missed."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from config.duration import Duration
from config.frozen import Frozen

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Days of the week as the configuration names them; the place is that of `date.weekday`."""
DAY_MINUTES: Final = 24 * 60


def parse_days(text: object) -> frozenset[int]:
    """Read `mon-fri`, `sat,sun` or `fri-mon`: days of the week, Monday is 0.

    Raises: ValueError, without the text.
    """
    if isinstance(text, frozenset):
        return text
    message = "must name days, such as mon-fri or sat,sun"
    if not isinstance(text, str):
        raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into an error
    found: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (name.strip() for name in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(message)
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        found.update((begin + step) % len(DAYS) for step in range((end - begin) % len(DAYS) + 1))
    return frozenset(found)


def format_days(days: frozenset[int]) -> str:
    """The same notation, one by one."""
    return ",".join(DAYS[day] for day in sorted(days))


def parse_minute(text: object) -> int:
    """Read `08:00` to `24:00` as minutes since midnight.

    Raises: ValueError, without the text.
    """
    if isinstance(text, int):
        return text
    hours, colon, minutes = text.partition(":") if isinstance(text, str) else ("", "", "")
    shape = colon and len(hours) == len(minutes) == len("00")
    if not (shape and hours.isdecimal() and minutes.isdecimal() and int(minutes) < 60):
        message = "must be a time of the day, such as 08:00"
        raise ValueError(message)
    minute = int(hours) * 60 + int(minutes)
    if minute > DAY_MINUTES:
        message = "must be a time of the day, at most 24:00"
        raise ValueError(message)
    return minute


def format_minute(minute: int) -> str:
    """The same notation."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


Minute = Annotated[
    int, BeforeValidator(parse_minute), PlainSerializer(format_minute, when_used="json")
]
Days = Annotated[
    frozenset[int], BeforeValidator(parse_days), PlainSerializer(format_days, when_used="json")
]


class Blackout(Frozen):
    """A part of the day in which nothing begins by itself, in the time zone of the settings.

    Attributes:
        start: its first minute (`from`).
        end: the first minute after it (`to`); before `start` it is one of the next day.
        days: the days of the week on which it begins.
    """

    start: Minute = Field(alias="from")
    end: Minute = Field(alias="to")
    days: Days = frozenset(range(7))

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.start == self.end or self.start == DAY_MINUTES:
            message = "from and to must differ, and from is before 24:00"
            raise ValueError(message)
        return self

    @property
    def minutes(self) -> int:
        """How long it lasts by the clock on the wall."""
        return (self.end - self.start) % DAY_MINUTES or DAY_MINUTES


def _leave_room(windows: tuple[Blackout, ...]) -> tuple[Blackout, ...]:
    """Refuse windows that leave no minute of the week free."""
    week = len(DAYS) * DAY_MINUTES
    taken = bytearray(week)
    for window in windows:
        for day in window.days:
            for minute in range(window.minutes):
                taken[(day * DAY_MINUTES + window.start + minute) % week] = 1
    if all(taken):
        message = "blackout leaves no minute of the week"
        raise ValueError(message)
    return windows


Blackouts = Annotated[tuple[Blackout, ...], AfterValidator(_leave_room)]


class Scheduling(Frozen):
    """How the clock works for all koppelingen.

    Attributes:
        jitter: koppelingen are spread over so much time after the moment of their schedule.
        blackout: when nothing begins by itself; a koppeling may have windows of its own.
        workers: runs at once in `koppelhub serve` on SQLite; `koppelhub worker` has its own option.
        catch_up: what was missed is caught up, once, when it is no older than this.
        tick: how often is looked what is due.
        heartbeat: how often a process says that it is there.
        stalled_after: without a heartbeat for so long a worker is taken for dead.
    """

    jitter: Duration
    blackout: Blackouts
    workers: Annotated[int, Field(ge=1, le=64)]
    catch_up: Duration
    tick: Duration
    heartbeat: Duration
    stalled_after: Duration

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if not timedelta() <= self.jitter <= timedelta(hours=12):
            message = "jitter must be at most 12h"
            raise ValueError(message)
        if min(self.tick, self.heartbeat) < timedelta(seconds=1):
            message = "tick and heartbeat must be at least 1s"
            raise ValueError(message)
        if self.stalled_after < 2 * self.heartbeat:
            message = "stalled_after must be at least twice the heartbeat"
            raise ValueError(message)
        return self
