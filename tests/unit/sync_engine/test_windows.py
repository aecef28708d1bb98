"""Permitted hours, and the part of the day that they leave, at both clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import AMSTERDAM, zone
from sync_engine.windows import Window, closes_at, open_from, outside

HERE = zone(AMSTERDAM)
NIGHT = outside((1, 5))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opens(now: str, windows: tuple[Window, ...]) -> datetime:
    return open_from(at(now), windows, HERE)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-28 00:00", "2026-11-28 00:00"),  # 01:00 on the wall
        ("2026-11-28 03:59", "2026-11-28 03:59"),
        ("2026-11-28 04:00", "2026-11-29 00:00"),
        ("2026-07-01 03:00", "2026-07-01 23:00"),  # 05:00 in summer
        ("2026-03-28 12:00", "2026-03-29 00:00"),  # the night that has no 02:00
        ("2026-03-29 01:30", "2026-03-29 01:30"),  # 03:30 in summer time
        ("2026-03-29 03:00", "2026-03-29 23:00"),
        ("2026-10-24 12:00", "2026-10-24 23:00"),  # the night that has 02:00 twice
        ("2026-10-25 03:59", "2026-10-25 03:59"),  # 04:59 in winter time
        ("2026-10-25 04:00", "2026-10-26 00:00"),
    ],
)
def test_permitted_hours_are_those_of_the_wall_clock(now: str, expected: str) -> None:
    assert opens(now, NIGHT) == at(expected)


def test_hours_that_begin_in_the_hour_that_is_not_there_begin_when_the_clock_has_moved() -> None:
    assert opens("2026-03-28 23:30", outside((2, 6))) == at("2026-03-29 01:00")


def test_an_hour_that_is_not_there_at_all_waits_for_the_next_day() -> None:
    assert opens("2026-03-29 00:30", outside((2, 3))) == at("2026-03-30 00:00")


def test_an_hour_that_comes_twice_is_permitted_twice() -> None:
    twice = outside((2, 3))
    assert opens("2026-10-25 00:10", twice) == at("2026-10-25 00:10")
    assert opens("2026-10-25 01:10", twice) == at("2026-10-25 01:10")
    assert opens("2026-10-25 02:00", twice) == at("2026-10-26 01:00")


def test_hours_may_go_past_midnight() -> None:
    assert opens("2026-11-28 12:00", outside((22, 6))) == at("2026-11-28 21:00")
    assert opens("2026-11-28 22:30", outside((22, 6))) == at("2026-11-28 22:30")
    assert opens("2026-11-29 04:59", outside((22, 6))) == at("2026-11-29 04:59")


def test_a_whole_day_leaves_no_window() -> None:
    assert outside((0, 24)) == ()


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-28 00:00", "2026-11-28 04:00"),
        ("2026-03-29 00:30", "2026-03-29 03:00"),  # three hours long, that night
        ("2026-10-24 23:30", "2026-10-25 04:00"),  # and five
    ],
)
def test_a_run_ends_where_its_permitted_hours_do(now: str, expected: str) -> None:
    assert closes_at(at(now), NIGHT, HERE) == at(expected)


def test_what_begins_in_an_hour_that_comes_twice_begins_twice() -> None:
    dark = (Window(2 * 60 + 15, 2 * 60 + 30),)
    assert closes_at(at("2026-10-25 00:00"), dark, HERE) == at("2026-10-25 00:15")
    assert closes_at(at("2026-10-25 00:30"), dark, HERE) == at("2026-10-25 01:15")
    assert closes_at(at("2026-03-29 00:30"), dark, HERE) == at("2026-03-29 01:00")
    assert closes_at(at("2026-10-25 00:00"), (), HERE) is None


@given(
    begin=st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 12, 31)),  # noqa: DTZ001
    windows=st.lists(
        st.builds(
            Window,
            st.integers(0, 1439),
            st.integers(1, 1440),
        ).filter(lambda window: window.start != window.end),
        max_size=3,
    ),
)
def test_nothing_begins_inside_a_window_and_nothing_waits_longer_than_it_must(
    begin: datetime, windows: list[Window]
) -> None:
    now = begin.replace(tzinfo=UTC)
    found = open_from(now, windows, HERE)

    def is_closed(moment: datetime) -> bool:
        wall = moment.astimezone(HERE).replace(tzinfo=None, fold=0)
        return any(window.ends(wall) is not None for window in windows)

    assert found >= now
    assert not is_closed(found) or found > now + timedelta(days=14)
    if found > now:
        assert is_closed(now)
        assert is_closed(found - timedelta(minutes=1)) or found - timedelta(minutes=1) < now
