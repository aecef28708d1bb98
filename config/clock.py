"""The only source of "now": a protocol, the system's clock, and one that tests and the demo set."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Protocol
from zoneinfo import ZoneInfo

from config.errors import ConfigurationError

AMSTERDAM = "Europe/Amsterdam"


class Clock(Protocol):
    """What the hub may ask of time. Safe to share between threads."""

    def now(self) -> datetime:
        """This instant, aware, in UTC."""

    def sleep(self, duration: timedelta) -> None:
        """Wait; at once where the duration is zero or less."""

    def monotonic(self) -> float:
        """Seconds since an unknown moment, that never go back: for measuring and time-outs."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """This instant, aware, in UTC."""
        return datetime.now(UTC)

    def sleep(self, duration: timedelta) -> None:
        """Wait; at once where the duration is zero or less."""
        seconds = duration.total_seconds()
        if seconds > 0:
            time.sleep(seconds)

    def monotonic(self) -> float:
        """Seconds since an unknown moment."""
        return time.monotonic()


class FixedClock:
    """A clock that moves only when it is told to; sleeping moves it and returns at once.

    Args:
        at: where it starts, aware.

    Raises: ValueError if `at` is naive.
    """

    def __init__(self, at: datetime) -> None:
        self._lock = threading.Lock()
        self._now = _utc(at)
        self._elapsed = 0.0
        self._slept = timedelta()

    def now(self) -> datetime:
        """Where it stands, aware, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that it was moved forward, since it was made."""
        return self._elapsed

    def sleep(self, duration: timedelta) -> None:
        """Move forward by the duration, at once."""
        if duration > timedelta():
            with self._lock:
                self._slept += duration
            self.advance(duration)

    @property
    def slept(self) -> timedelta:
        """How long others slept on it, together."""
        return self._slept

    def advance(self, duration: timedelta) -> None:
        """Move forward.

        Raises: ValueError if the duration is negative: use `set` to go back.
        """
        if duration < timedelta():
            message = "a clock is not advanced by a negative duration"
            raise ValueError(message)
        with self._lock:
            self._now += duration
            self._elapsed += duration.total_seconds()

    def set(self, at: datetime) -> None:
        """Put it at an instant, before or after; what `monotonic` measures never goes back.

        Raises: ValueError if `at` is naive.
        """
        target = _utc(at)
        with self._lock:
            self._elapsed += max(0.0, (target - self._now).total_seconds())
            self._now = target


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        message = "an instant needs a time zone"
        raise ValueError(message)
    return at.astimezone(UTC)


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises: ConfigurationError if this machine does not know it.
    """
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as exc:
        raise ConfigurationError(
            "timezone: this machine knows no time zone of that name",
            advice="Gebruik een naam als Europe/Amsterdam; ontbreekt de tijdzonelijst op deze "
            "machine, installeer dan het pakket tzdata.",
        ) from exc


def local_date(now: datetime, name: str = AMSTERDAM) -> date:
    """The calendar date of an instant in a time zone: what schools call today.

    Raises: ValueError if `now` is naive; ConfigurationError if the zone is unknown.
    """
    return _utc(now).astimezone(zone(name)).date()


def local_minute(at: datetime, name: str = AMSTERDAM) -> str:
    """`2026-11-28 05:24`: an instant as people read it in a time zone, to the minute.

    Raises: ValueError if `at` is naive; ConfigurationError if the zone is unknown.
    """
    return f"{_utc(at).astimezone(zone(name)):%Y-%m-%d %H:%M}"
