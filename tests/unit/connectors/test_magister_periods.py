"""Which lesperiode is current, and which is next."""

from __future__ import annotations

from datetime import date

import pytest

from connectors.errors import ProtocolViolationError
from connectors.magister.compose import is_active
from connectors.magister.manifest import MANIFEST
from connectors.magister.options import Options, read_options
from connectors.magister.periods import (
    Period,
    asked_of_functions,
    choose,
    code_of,
    schooljaar_of,
)

TODAY = date(2026, 11, 2)


def row(code: str, begin: str = "", end: str = "") -> dict[str, str]:
    given = {"lesperiode": code, "begindatum": begin, "einddatum": end}
    return {name: value for name, value in given.items() if value}


THIS = row("2627", "2026-08-01", "2027-07-31")
NEXT = row("2728", "01-08-2027", "31-07-2028")


def options(**more: str) -> Options:
    given = {"base_url": "https://s.example/doc", "username": "a", "password": "b", **more}
    return read_options(given, manifest=MANIFEST)


def test_this_year_and_the_next() -> None:
    periods = choose([NEXT, THIS], options(), today=TODAY)
    assert periods.current == Period("2627", 2026, date(2026, 8, 1), date(2027, 7, 31))
    assert periods.following == Period("2728", 2027, date(2027, 8, 1), date(2028, 7, 31))
    assert [(key, rank) for key, rank, _ in periods.scoped()] == [("HUIDIG", 0), ("VOLGEND", 1)]


@pytest.mark.parametrize(
    ("today", "code"), [(date(2027, 7, 31), "2627"), (date(2027, 8, 1), "2728")]
)
def test_the_next_is_the_current_from_the_first_of_august_on(today: date, code: str) -> None:
    assert choose([THIS, NEXT], options(), today=today).current.code == code


def test_a_code_that_is_none_goes_by_its_dates() -> None:
    listed = [row("A", "2026-08-01", "2027-07-31"), row("B", "2027-08-01", "2028-07-31")]
    periods = choose(listed, options(), today=TODAY)
    assert periods.current.code == "A"
    assert periods.following is not None
    assert periods.following.code == "B"


def test_of_two_halves_of_a_year_the_one_that_holds_today_counts() -> None:
    listed = [row("X", "2026-08-01", "2026-10-31"), row("Y", "2026-11-01", "2027-07-31")]
    assert choose(listed, options(), today=TODAY).current.code == "Y"


def test_a_setting_goes_before_what_is_listed() -> None:
    periods = choose([THIS], options(lesperiode="2526", lesperiode_volgend="2627"), today=TODAY)
    assert (periods.current.code, periods.current.schooljaar) == ("2526", 2025)
    assert periods.following is not None
    assert periods.following.end == date(2027, 7, 31)  # it is listed, so its days are known


def test_without_a_next_year_there_is_one_scope() -> None:
    assert choose([THIS], options(), today=TODAY).following is None
    assert choose([THIS, NEXT], options(volgend="false"), today=TODAY).following is None


@pytest.mark.parametrize("listed", [[], [NEXT], [row("onbekend")]])
def test_a_list_without_this_year_is_refused(listed: list[dict[str, str]]) -> None:
    with pytest.raises(ProtocolViolationError) as caught:
        choose(listed, options(), today=TODAY)
    assert caught.value.where == "data"
    assert "applicatiebeheerder" in caught.value.advice


def test_codes_and_years() -> None:
    assert (code_of(2026), code_of(1999), code_of(2009)) == ("2627", "9900", "0910")
    assert schooljaar_of("2627") == 2026
    assert [schooljaar_of(code) for code in ("2628", "26", "2026", "ab12", "٢٦٢٧")] == [None] * 5


def test_the_functions_are_asked_by_code() -> None:
    now = asked_of_functions(options(mode="functions"), today=date(2027, 5, 1))
    assert now.current.code == "2627"
    assert now.following is not None
    assert now.following.code == "2728"
    assert asked_of_functions(options(mode="functions"), today=TODAY).following is None


def test_a_period_is_looked_at_on_one_of_its_own_days() -> None:
    period = Period("2728", 2027, date(2027, 8, 1), date(2028, 7, 31))
    assert period.day(TODAY) == date(2027, 8, 1)
    assert period.day(date(2027, 9, 1)) == date(2027, 9, 1)
    assert period.day(date(2029, 1, 1)) == date(2028, 7, 31)


@pytest.mark.assumed("both days of a membership are counted in")
@pytest.mark.parametrize(
    ("begin", "end", "active"),
    [
        ("", "", True),
        ("2026-11-02", "", True),
        ("2026-11-03", "", False),
        ("", "2026-11-02", True),
        ("", "2026-11-01", False),
        ("geen dag", "geen dag", True),
    ],
)
def test_a_membership_counts_on_its_own_days(begin: str, end: str, active: bool) -> None:
    assert is_active(row("x", begin, end), TODAY) is active
