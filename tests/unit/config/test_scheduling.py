"""What the configuration says of the clock: windows, spread, and what it refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from config.duration import parse_schedule
from config.scheduling import Blackout, Scheduling

GOOD: dict[str, Any] = {
    "jitter": "30m",
    "blackout": [{"from": "08:00", "to": "16:30", "days": "mon-fri"}],
    "workers": 4,
    "catch_up": "24h",
    "tick": "15s",
    "heartbeat": "10s",
    "stalled_after": "30s",
}


def test_a_window_is_read_and_written_as_a_person_does() -> None:
    made = Scheduling.model_validate(GOOD)
    (window,) = made.blackout
    assert (window.start, window.end, sorted(window.days)) == (480, 990, [0, 1, 2, 3, 4])
    again = made.model_dump(mode="json", by_alias=True)
    assert again == GOOD | {
        "blackout": [{"from": "08:00", "to": "16:30", "days": "mon,tue,wed,thu,fri"}],
        "catch_up": "1d",
    }
    assert Scheduling.model_validate(again) == made


@pytest.mark.parametrize(
    ("days", "found"), [("sat,sun", {5, 6}), ("fri-mon", {4, 5, 6, 0}), ("wed", {2})]
)
def test_days_are_named_one_by_one_or_from_one_to_another(days: str, found: set[int]) -> None:
    assert Blackout.model_validate({"from": "22:00", "to": "02:00", "days": days}).days == found


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"blackout": [{"from": "8:00", "to": "16:30"}]}, "time of the day"),
        ({"blackout": [{"from": "08:00", "to": "24:01"}]}, "at most 24:00"),
        ({"blackout": [{"from": "08:60", "to": "09:00"}]}, "time of the day"),
        ({"blackout": [{"from": "08:00", "to": "08:00"}]}, "must differ"),
        ({"blackout": [{"from": "08:00", "to": "09:00", "days": "werkdag"}]}, "must name days"),
        ({"blackout": [{"from": "00:00", "to": "24:00"}]}, "no minute of the week"),
        ({"jitter": "13h"}, "at most 12h"),
        ({"tick": "0s"}, "at least 1s"),
        ({"stalled_after": "15s"}, "twice the heartbeat"),
        ({"workers": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused_by_its_rule(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Scheduling.model_validate(GOOD | changes)


def test_windows_that_leave_a_minute_are_taken() -> None:
    nearly = {"from": "00:01", "to": "24:00"}
    assert Scheduling.model_validate(GOOD | {"blackout": [nearly]}).blackout[0].minutes == 1439


@pytest.mark.parametrize("line", ["0 1 30 2 *", "0 1 31 4,6 *"])
def test_a_day_that_no_year_has_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no year has such a day"):
        parse_schedule(line)


def test_a_schedule_knows_its_numbers() -> None:
    line = parse_schedule("*/20,5 22-23,1 */31 1-12/6 *")
    assert sorted(line.minutes) == [0, 5, 20, 40]
    assert sorted(line.hours) == [1, 22, 23]
    assert line.every is None
    assert parse_schedule("every 90m").every == timedelta(minutes=90)
