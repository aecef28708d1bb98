"""Languages, and numbers, days and times in the form of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from starlette.requests import Request

from web.texts import Language, Texts, language_of, own_path

NOW = datetime(2026, 3, 29, 7, 5, tzinfo=UTC)  # 09:05 in Amsterdam: the clock went forward tonight
DUTCH, ENGLISH = Texts(Language.DUTCH), Texts(Language.ENGLISH)


def request(*, asked: str = "", cookie: str = "") -> Request:
    headers = [(b"accept-language", asked.encode()), (b"cookie", f"taal={cookie}".encode())]
    return Request({"type": "http", "headers": headers, "query_string": b"", "path": "/"})


@pytest.mark.parametrize(
    ("asked", "cookie", "language"),
    [
        ("", "", Language.DUTCH),
        ("en-GB,en;q=0.9,nl;q=0.8", "", Language.ENGLISH),
        ("en;q=0.3,nl;q=0.8", "", Language.DUTCH),
        ("fr,de;q=0.5", "", Language.DUTCH),
        ("en", "nl", Language.DUTCH),
        ("nl", "en", Language.ENGLISH),
        ("en;q=niets,nl", "xx", Language.DUTCH),
        ("," * 9_000, "e" * 9_000, Language.DUTCH),
    ],
)
def test_a_choice_goes_before_what_the_browser_asks(
    asked: str, cookie: str, language: Language
) -> None:
    assert language_of(request(asked=asked, cookie=cookie)) is language


def test_moments_are_told_in_local_time_and_by_what_day_it_is_there() -> None:
    before, after = NOW - timedelta(hours=8, minutes=20), NOW - timedelta(hours=5)
    assert DUTCH.moment(before, NOW) == "gisteren 23:45"
    assert DUTCH.moment(after, NOW) == "vandaag 04:05"
    assert ENGLISH.moment(after, NOW) == "today 04:05"
    assert DUTCH.moment("2026-03-20 01:15:00.000000", NOW) == "vr 20 mrt 02:15"
    assert DUTCH.moment(NOW - timedelta(days=365), NOW) == "29 mrt 2025 08:05"  # winter time still
    assert ENGLISH.moment(NOW + timedelta(days=1), NOW) == "tomorrow 09:05"
    assert DUTCH.moment(None, NOW) == "-"


def test_numbers_and_days_have_the_form_of_the_language() -> None:
    assert (DUTCH.number(12345), ENGLISH.number(12345)) == ("12.345", "12,345")
    assert (DUTCH.day("2026-05-01"), ENGLISH.day("2026-05-01")) == ("1 mei 2026", "1 May 2026")


@pytest.mark.parametrize(
    ("duration", "dutch"),
    [
        (timedelta(seconds=119), "119 seconden"),
        (timedelta(minutes=2, seconds=59), "2 minuten"),
        (timedelta(hours=3, minutes=44), "3 uur"),  # never more than has passed
        (timedelta(hours=47, minutes=59), "47 uur"),
        (timedelta(days=2, hours=23), "2 dagen"),
        (timedelta(0), "0 seconden"),
    ],
)
def test_a_duration_is_told_in_whole_units_and_never_rounded_up(
    duration: timedelta, dutch: str
) -> None:
    assert DUTCH.lasted(duration) == dutch
    if duration:
        assert DUTCH.ago(NOW - duration, NOW) == f"{dutch} geleden"


def test_what_is_to_come_is_told_so() -> None:
    assert DUTCH.ago(NOW + timedelta(hours=3), NOW) == "over 3 uur"
    assert ENGLISH.ago(NOW - timedelta(hours=3), NOW) == "3 hours ago"


@pytest.mark.parametrize(
    "text",
    ["//elders.example", "/\\elders.example", "https://elders.example", "", "wacht", "/a\r\nb: c"],
)
def test_nobody_is_sent_elsewhere(text: str) -> None:
    assert own_path(text) == "/"


def test_a_path_of_this_site_is_gone_back_to() -> None:
    assert own_path("/zaken?soort=score") == "/zaken?soort=score"
