"""Clocks: aware, monotonic, and the school's own date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from config.clock import Clock, FixedClock, SystemClock, local_date, zone
from config.errors import ConfigurationError

START = datetime(2026, 7, 31, 21, 59, tzinfo=UTC)


def test_both_clocks_are_clocks_and_give_utc() -> None:
    clocks: list[Clock] = [SystemClock(), FixedClock(START)]
    for clock in clocks:
        assert clock.now().utcoffset() == timedelta()
        before = clock.monotonic()
        clock.sleep(timedelta(seconds=-1))
        assert clock.monotonic() >= before


def test_the_system_clock_sleeps_for_real() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(timedelta(milliseconds=2))
    assert clock.monotonic() - before >= 0.002


def test_sleeping_on_a_fixed_clock_moves_it() -> None:
    clock = FixedClock(START)
    clock.sleep(timedelta(minutes=2))
    clock.advance(timedelta(seconds=5))
    assert clock.now() == START + timedelta(minutes=2, seconds=5)
    assert clock.monotonic() == 125.0
    assert clock.slept == timedelta(minutes=2)


def test_a_fixed_clock_can_be_set_back_but_monotonic_cannot() -> None:
    clock = FixedClock(START)
    clock.set(START + timedelta(hours=1))
    clock.set(START - timedelta(days=1))
    assert clock.now() == START - timedelta(days=1)
    assert clock.monotonic() == 3600.0
    with pytest.raises(ValueError, match="negative"):
        clock.advance(timedelta(seconds=-1))


def test_a_naive_instant_is_refused() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    for use in (FixedClock, FixedClock(START).set, local_date):
        with pytest.raises(ValueError, match="time zone"):
            use(naive)


def test_an_instant_in_another_zone_is_turned_into_utc() -> None:
    clock = FixedClock(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    assert clock.now().tzinfo is UTC


def test_the_school_date_turns_at_midnight_in_amsterdam() -> None:
    assert local_date(START) == date(2026, 7, 31)
    assert local_date(START + timedelta(minutes=1)) == date(2026, 8, 1)
    assert local_date(datetime(2026, 1, 31, 23, 0, tzinfo=UTC)) == date(2026, 2, 1)
    assert local_date(START + timedelta(minutes=1), "UTC") == date(2026, 7, 31)


@pytest.mark.parametrize("name", ["Europe/Rotterdam", "../etc/passwd", "/etc/passwd", ""])
def test_an_unknown_zone_is_a_configuration_error_with_advice(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        zone(name)
    assert "Europe/Amsterdam" in caught.value.advice
