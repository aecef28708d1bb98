"""Values in one form: what stays, what changes, what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from mappings import normalise
from mappings.errors import RuleBrokenError


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("van 't Hôf-Jansen", "Vant Hof Jansen"),
        ("Özdemir", "ozdemir"),
        ("Ĳsbrand", "IJsbrand"),
        ("Straße", "STRASSE"),
        ("Søren", "soren"),
        ("O\u2019Neill", "O'Neill"),
        ("Łukasz", "lukasz"),
    ],
)
def test_names_that_are_the_same_have_one_match_form(one: str, other: str) -> None:
    assert normalise.match_form(one) == normalise.match_form(other) != ""


def test_names_that_differ_keep_different_match_forms() -> None:
    assert normalise.match_form("Jansen") != normalise.match_form("Janssen")


def test_letters_of_other_scripts_stay_in_the_match_form() -> None:
    assert normalise.match_form("Юлия") == "юлия"
    assert normalise.match_form(" - ") == ""


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("van der Zand", ("van der", "Zand")),
        ("de Wit", ("de", "Wit")),
        ("Bos", ("", "Bos")),
        ("d'Hondt", ("d'", "Hondt")),
        ("van 't Veer", ("van 't", "Veer")),
        ("van \u2019t Veer", ("van \u2019t", "Veer")),
        ("De", ("", "De")),
        ("de la Fuente", ("de la", "Fuente")),
        ("", ("", "")),
    ],
)
def test_a_tussenvoegsel_is_split_off(written: str, parts: tuple[str, str]) -> None:
    assert normalise.split_voorvoegsel(written) == parts


def test_a_surname_compares_equal_wherever_its_tussenvoegsel_stands() -> None:
    forms = {
        normalise.surname_form("Zand", "van der"),
        normalise.surname_form("van der Zand"),
        normalise.surname_form("Zand, van der"),
        normalise.surname_form("ZAND", "Van Der"),
    }
    assert forms == {"vanderzand"}


def test_tidy_mends_what_cannot_be_seen_and_nothing_else() -> None:
    assert normalise.tidy("  Noor\u00a0 Maria\t") == "Noor Maria"
    assert normalise.tidy("Jose\u0301") == "José"
    assert normalise.tidy("Bo\u200bs\u202e") == "Bos"
    assert normalise.tidy("d\u2019Hondt-de Wit") == "d\u2019Hondt-de Wit"


@pytest.mark.parametrize("hostile", ["a\x1b[31m", "a\x00b", "\ud800", "a\x9bb"])
def test_control_characters_are_refused_without_showing_them(hostile: str) -> None:
    with pytest.raises(RuleBrokenError) as caught:
        normalise.tidy(hostile)
    assert caught.value.rule == "holds control characters"


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30",
        "2026-13-01",
        "0000-01-01",
        "26-1-1",
        "2026-01-01T00:00",
        "\uff12\uff10\uff12\uff16-01-01",
    ],
)
def test_a_day_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(RuleBrokenError):
        normalise.day(text)


def test_a_day_is_read() -> None:
    assert normalise.day("2024-02-29") == date(2024, 2, 29)


def test_the_day_after_ends_a_period_and_the_last_day_of_all_has_none() -> None:
    assert normalise.following(date(2027, 7, 31)) == date(2027, 8, 1)
    with pytest.raises(RuleBrokenError):
        normalise.following(date.max)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "2021-03-23T08:27:39.936374+01:00",
            datetime(2021, 3, 23, 8, 27, 39, 936374, timezone(timedelta(hours=1))),
        ),
        (
            "2021-03-23T08:27:39.9Z+02:00",
            datetime(2021, 3, 23, 8, 27, 39, 900000, timezone(timedelta(hours=2))),
        ),
        ("2021-03-23 08:27Z", datetime(2021, 3, 23, 8, 27, tzinfo=UTC)),
        ("2021-03-23T08:27:39-0330", datetime(2021, 3, 23, 11, 57, 39, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_leniently(text: str, expected: datetime) -> None:
    assert normalise.moment(text) == expected


@pytest.mark.parametrize(
    "text", ["2021-03-23T08:27:39", "2021-03-23T25:00:00Z", "2021-03-23T08:27:39+99:00", "now"]
)
def test_a_moment_without_an_offset_or_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(RuleBrokenError):
        normalise.moment(text)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("06 10000001", "+31610000001"),
        ("610000001", "+31610000001"),
        ("0031 6 1000 0001", "+31610000001"),
        ("+32 2 555 12 12", "+3225551212"),
        ("06-10000001 (oma)", "06-10000001 (oma)"),
        ("geheim", "geheim"),
    ],
)
def test_a_telephone_number_is_normalised_or_kept(written: str, expected: str) -> None:
    assert normalise.telephone(written) == expected


def test_a_postcode_is_normalised_and_a_foreign_one_is_kept() -> None:
    assert normalise.postcode("1234 ab") == "1234AB"
    assert normalise.postcode(" B-2000") == "B-2000"


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("7,2", 7.2),
        ("7.2", 7.2),
        (" 10 ", 10.0),
        ("-1", -1.0),
        ("V", None),
        ("7,2,1", None),
        ("1e5", None),
        ("\u0667", None),
        ("", None),
        ("NaN", None),
    ],
)
def test_a_mark_is_a_number_where_it_is_one(mark: str, expected: float | None) -> None:
    assert normalise.number(mark) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("12b", ("12", "b")),
        ("12 -b", ("12", "b")),
        ("12 hoog", ("12", "hoog")),
        ("12", ("12", None)),
        ("t/o 5", ("t/o 5", None)),
    ],
)
def test_a_house_number_loses_its_suffix(written: str, expected: tuple[str, str | None]) -> None:
    assert normalise.house_number(written) == expected


def test_initials_are_made_and_compared() -> None:
    assert normalise.initials("Noortje Maria-Louise") == "N.M.L."
    assert normalise.initials("  ") == ""
    assert normalise.voorletters_form("N.M.") == normalise.voorletters_form("nm") == "nm"
