"""Durations and schedules: what is understood, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.duration import Schedule, format_duration, parse_duration, parse_schedule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("72h", timedelta(hours=72)),
        ("30d", timedelta(days=30)),
        ("1h30m", timedelta(minutes=90)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        (timedelta(minutes=1), timedelta(minutes=1)),
    ],
)
def test_a_duration_is_read(text: object, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "6", 6, "6 h", "-6h", "30m1h", "1w", None, "6hours"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="such as 72h"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_duration_is_read_back_as_it_was_written(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("text", ["15 2 * * *", "*/10 1-5 * * 1-5", "0,30 2 1,15 */2 7"])
def test_a_crontab_line_is_read(text: str) -> None:
    schedule = parse_schedule(text)
    assert schedule.cron == tuple(text.split())
    assert schedule.every is None
    assert parse_schedule(str(schedule)) == schedule
    assert parse_schedule(schedule) is schedule


def test_an_interval_is_read() -> None:
    schedule = parse_schedule("every 6h")
    assert schedule == Schedule(every=timedelta(hours=6))
    assert str(schedule) == "every 6h"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("15 2 * *", "five fields"),
        ("60 2 * * *", "minute"),
        ("15 24 * * *", "hour"),
        ("15 2 0 * *", "day of the month"),
        ("15 2 * 13 *", "month"),
        ("15 2 * * 8", "day of the week"),
        ("15 5-2 * * *", "hour"),
        ("*/0 2 * * *", "minute"),
        ("a 2 * * *", "minute"),
        ("every 5s", "at least 1m"),
        ("every day", "such as 72h"),
        (6, "must be text"),
    ],
)
def test_a_schedule_that_cannot_be_run_is_refused(text: object, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_schedule(text)
