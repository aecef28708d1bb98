"""People read instants by the clock of the schools, whatever the store keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from console.output import Output


@pytest.mark.parametrize(
    "stored",
    [
        "2026-11-28 04:23:00.987096",
        "2026-11-28T04:23:00+00:00",
        datetime(2026, 11, 28, 4, 23, tzinfo=UTC),
    ],
)
def test_an_instant_is_told_by_the_clock_of_the_schools(stored: datetime | str) -> None:
    assert Output().moment(stored) == "2026-11-28 05:23"
    assert Output(zone="America/Curacao").moment(stored) == "2026-11-28 00:23"


def test_what_happened_after_midnight_is_of_that_day() -> None:
    assert Output().day("2026-07-31 22:30:00") == "2026-08-01"


def test_what_never_was_is_told_as_nothing() -> None:
    assert Output().moment(None) == Output().day("") == ""
