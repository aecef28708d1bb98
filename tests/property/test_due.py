"""When schedules are due: over years and both changes of the clock, with offsets and blackouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import AMSTERDAM, zone
from config.duration import Schedule, parse_schedule
from config.scheduling import Blackout
from sync_engine.schedule import due as due_module
from sync_engine.schedule.due import free_from, missed, next_due, offset_of

LOCAL = zone(AMSTERDAM)
SPRING, AUTUMN = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
SCHOOL_DAY = Blackout.model_validate({"from": "08:00", "to": "16:30", "days": "mon-fri"})
NIGHT = Blackout.model_validate({"from": "22:00", "to": "01:30"})

instants = st.integers(0, 6 * 525_960).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
near_a_change = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes),
    st.sampled_from([SPRING, AUTUMN]),
    st.integers(-3_000, 3_000),
)
offsets = st.integers(0, 1_799).map(lambda seconds: timedelta(seconds=seconds))
windows = st.sampled_from([(), (SCHOOL_DAY,), (NIGHT,), (SCHOOL_DAY, NIGHT)])
times = st.tuples(st.integers(0, 59), st.integers(0, 23))
lines = st.sampled_from(
    [
        *("every 1h", "every 7m", "every 25h", "15 2 * * *", "0 */4 * * 1-5", "30 1,2,3 * * 0"),
        *("*/20 * * * *", "0 0 1 * *", "59 23 31 12 *", "5 7-17 * * 1"),
    ]
).map(parse_schedule)


def dues(schedule: Schedule, after: datetime, count: int, **more: Any) -> list[datetime]:
    found = []
    for _ in range(count):
        after = next_due(schedule, after=after, zone=AMSTERDAM, **more)
        found.append(after)
    return found


@given(lines, instants | near_a_change, offsets, windows)
def test_due_instants_only_go_forward_and_none_begins_in_a_blackout(
    schedule: Schedule, after: datetime, offset: timedelta, blackout: Sequence[Blackout]
) -> None:
    found = dues(schedule, after, 8, offset=offset, blackout=blackout)
    assert after < found[0]
    assert all(first < second for first, second in pairwise(found))
    for due in found:
        assert free_from(due, zone=AMSTERDAM, blackout=blackout) == due
        local = due.astimezone(LOCAL)
        minute = local.hour * 60 + local.minute
        if SCHOOL_DAY in blackout and local.weekday() < 5:
            assert not SCHOOL_DAY.start <= minute < SCHOOL_DAY.end
        if NIGHT in blackout:
            assert NIGHT.end <= minute < NIGHT.start


@settings(max_examples=20)
@given(times, offsets)
def test_a_daily_line_is_due_exactly_once_on_every_day_of_years(
    time: tuple[int, int], offset: timedelta
) -> None:
    minute, hour = time
    schedule = parse_schedule(f"{minute} {hour} * * *")
    start = datetime(2026, 3, 1, tzinfo=LOCAL).astimezone(UTC)
    found = dues(schedule, start, 260)
    days = [due.astimezone(LOCAL).date() for due in found]
    assert days == [days[0] + timedelta(days=number) for number in range(260)]
    assert [due + offset for due in found] == dues(schedule, start + offset, 260, offset=offset)


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        ("15 2 * * *", SPRING, ["2026-03-29T01:15", "2026-03-30T00:15"]),  # 02:15 is skipped
        ("15 2 * * *", AUTUMN - HALF_HOUR, ["2026-10-25T00:15", "2026-10-26T01:15"]),
        ("0 2,3 * * *", SPRING, ["2026-03-29T01:00", "2026-03-30T00:00"]),  # both at once: one
        ("30 * * * *", SPRING, ["2026-03-29T00:30", "2026-03-29T01:30", "2026-03-29T02:30"]),
        ("30 * * * *", AUTUMN, ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"]),
        ("every 1h", SPRING, ["2026-03-29T01:00", "2026-03-29T02:00"]),
        ("every 1h", AUTUMN, ["2026-10-25T01:00", "2026-10-25T02:00", "2026-10-25T03:00"]),
        ("0 1 * * 0", AUTUMN, ["2026-11-01T00:00"]),  # 0 and 7 are Sunday
        ("0 1 * * 7", AUTUMN, ["2026-11-01T00:00"]),
        ("0 1 * * 5-7", AUTUMN, ["2026-10-30T00:00", "2026-10-31T00:00", "2026-11-01T00:00"]),
        ("0 1 13 * 5", AUTUMN, ["2026-10-30T00:00", "2026-11-06T00:00", "2026-11-13T00:00"]),
        ("0 1 1 */12 *", AUTUMN, ["2027-01-01T00:00", "2028-01-01T00:00"]),
        ("0 1 29 2 *", AUTUMN, ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ],
)
def test_the_days_on_which_clocks_change_and_what_crontab_means(
    line: str, after: datetime, expected: list[str]
) -> None:
    found = dues(parse_schedule(line), after, len(expected))
    assert [due.strftime("%Y-%m-%dT%H:%M") for due in found] == expected


@given(times, st.sets(st.integers(1, 6), min_size=1), instants)
def test_away_from_changes_of_the_clock_the_scheduler_library_agrees(
    time: tuple[int, int], weekdays: set[int], after: datetime
) -> None:
    """In UTC no clock changes; its weekdays begin on Monday, with 0."""
    minute, hour = time
    listed = ",".join(str(day) for day in sorted(weekdays))
    theirs = ",".join(str(day - 1) for day in sorted(weekdays))
    due = next_due(parse_schedule(f"{minute} {hour} * * {listed}"), after=after, zone="UTC")
    trigger = CronTrigger(minute=minute, hour=hour, day_of_week=theirs, timezone=UTC)
    assert due == trigger.get_next_fire_time(None, after + timedelta.resolution)


@settings(max_examples=40)
@given(lines, instants | near_a_change, offsets, windows, st.integers(0, 5_000))
def test_however_many_were_missed_one_run_answers_the_last_of_them(
    schedule: Schedule,
    handled: datetime,
    offset: timedelta,
    blackout: Sequence[Blackout],
    minutes: int,
) -> None:
    now = handled + timedelta(minutes=minutes)
    more: dict[str, Any] = {"zone": AMSTERDAM, "offset": offset, "blackout": blackout}
    catch_up = timedelta(hours=24)
    last, after = None, handled
    while (due := next_due(schedule, after=after, **more)) <= now:
        last, after = due, due
    found = missed(schedule, handled=handled, now=now, catch_up=catch_up, **more)
    assert found == (last if last is not None and last >= now - catch_up else None)
    if found is not None:
        assert missed(schedule, handled=found, now=now, catch_up=catch_up, **more) is None


def test_what_is_older_than_the_catch_up_is_left_for_the_next_time() -> None:
    weekly = parse_schedule("0 3 * * 1")
    monday = next_due(weekly, after=AUTUMN, zone=AMSTERDAM)
    late = monday + timedelta(hours=25)
    assert missed(weekly, handled=AUTUMN, now=late, zone=AMSTERDAM) is None
    assert (
        missed(weekly, handled=AUTUMN, now=late, zone=AMSTERDAM, catch_up=timedelta(days=2))
        == monday
    )


@given(st.text(min_size=1, max_size=63), st.integers(0, 43_200))
def test_an_offset_is_the_same_each_time_and_less_than_the_jitter(name: str, seconds: int) -> None:
    jitter = timedelta(seconds=seconds)
    offset = offset_of(name, jitter)
    assert offset == offset_of(name, jitter)
    assert timedelta() <= offset < max(jitter, timedelta.resolution)


def test_three_hundred_schools_are_spread_evenly() -> None:
    offsets = [offset_of(f"somtoday-{number}", HALF_HOUR) for number in range(300)]
    minutes = Counter(int(offset.total_seconds()) // 300 for offset in offsets)
    assert sorted(minutes) == list(range(6))
    assert all(30 <= count <= 70 for count in minutes.values()), minutes  # 50 is even
    assert max(Counter(offsets).values()) <= 4


@pytest.mark.parametrize(
    ("window", "at", "free"),
    [
        ({"from": "02:30", "to": "03:30"}, "2026-03-29T00:59", "2026-03-29T00:59"),
        ({"from": "02:30", "to": "03:30"}, "2026-03-29T01:00", "2026-03-29T01:30"),  # 03:00
        ({"from": "01:00", "to": "02:30"}, "2026-03-29T00:30", "2026-03-29T01:00"),
        ({"from": "02:10", "to": "02:50"}, "2026-03-29T00:30", "2026-03-29T00:30"),
        ({"from": "02:10", "to": "02:50"}, "2026-10-25T00:10", "2026-10-25T01:50"),
    ],
)
def test_a_blackout_that_ends_or_begins_in_the_hour_that_is_not_there(
    window: dict[str, str], at: str, free: str
) -> None:
    blackout = [Blackout.model_validate(window)]
    found = free_from(datetime.fromisoformat(f"{at}Z"), zone=AMSTERDAM, blackout=blackout)
    assert found == datetime.fromisoformat(f"{free}Z")


def test_the_windows_of_a_day_are_worked_out_once_for_all_koppelingen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Health asks each of thousands of koppelingen when it is due, at every look."""
    looked = Counter[str]()
    edge = due_module._edge

    def counted(*given: Any, **more: Any) -> datetime:
        looked["edge"] += 1
        return edge(*given, **more)

    monkeypatch.setattr(due_module, "_edge", counted)
    nightly = parse_schedule("15 2 * * *")
    for number in range(100):
        offset = offset_of(f"s{number}", HALF_HOUR)
        dues(nightly, SPRING, 1, offset=offset, blackout=(SCHOOL_DAY, NIGHT))
    assert looked["edge"] < 100


def test_after_a_blackout_not_all_begin_at_its_end() -> None:
    hourly = parse_schedule("every 1h")
    monday = datetime(2026, 11, 2, 9, tzinfo=LOCAL)
    starts = {
        next_due(
            hourly,
            after=monday,
            zone=AMSTERDAM,
            offset=offset_of(f"s{number}", HALF_HOUR),
            blackout=[SCHOOL_DAY],
        )
        for number in range(50)
    }
    assert len(starts) > 45
    end = datetime(2026, 11, 2, 16, 30, tzinfo=LOCAL)
    assert all(end <= start < end + HALF_HOUR for start in starts)
