"""The functions of rows: what they make, and that they refuse without showing the value."""

from __future__ import annotations

from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from mappings import functions as f
from mappings.canonical.fields import NOT_DELIVERED, Adres
from mappings.errors import RuleBrokenError
from sector.identifiers import InvalidIdentifierError, Leerlingnummer


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (f.text, "  Noor ", "Noor"),
        (f.text, " ", None),
        (f.whole, 3, 3),
        (f.whole, 2**31 - 1, 2_147_483_647),
        (f.whole, -(2**31) + 1, -2_147_483_647),
        (f.flag, False, False),
        (f.numeric, 7, 7.0),
        (f.day, "2026-08-01", date(2026, 8, 1)),
        (f.day, date(2026, 8, 1), date(2026, 8, 1)),
        (f.geslacht, "VROUW", "V"),
        (f.geslacht, "m", "M"),
        (f.geslacht, "ONBEKEND", "O"),
        (f.email, "A.b@Example.ORG", "A.b@example.org"),
        (f.email, "  ", None),
        (f.schooljaar, "2026-2027", "2026/2027"),
        (f.schooljaar, "", None),
        (f.schooljaar_start, "2026/2027", date(2026, 8, 1)),
        (f.schooljaar_end, "2026/2027", date(2027, 8, 1)),
        (f.mark_number, "7,2", 7.2),
        (f.mark_number, "V", None),
        (f.leerlingnummer, 100234, Leerlingnummer("100234")),
        (f.leerlingnummer, " ", None),
        (f.members, ("b", "a", "b"), ("a", "b")),
        (f.members, (), ()),
        (f.members, (SimpleNamespace(uuid="x"),), ("x",)),
        (f.texts, ("b", " a", "b", ""), ("a", "b")),
        (f.wholes, (3, 1, 3), (1, 3)),
        (f.brins, ("99xx", "00AA", "99XX"), ("99XX", "00AA")),
        (f.first_brin, (), None),
        (f.first_vestigingsnummer, ("99XX02", "99XX01"), "99XX02"),
        (f.same_list, ("b", 1), ("b", 1)),
    ],
)
def test_a_value_becomes_canonical(function: Any, value: object, expected: object) -> None:
    made = function(value)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (f.text, 12),
        (f.whole, True),
        (f.whole, 2**70),
        (f.whole, "1"),
        (f.flag, 1),
        (f.numeric, float("nan")),
        (f.numeric, "7"),
        (f.numeric, True),
        (f.day, "2026-02-30"),
        (f.day, datetime(2026, 1, 1)),  # noqa: DTZ001 - a naive moment is the hostile value
        (f.geslacht, "X-CANARY"),
        (f.email, "canary"),
        (f.schooljaar, "2026/2028"),
        (f.leerlingnummer, -1),
        (f.leerlingnummer, True),
        (f.members, "canary"),
        (f.members, (None,)),
        (f.brins, ("canary",)),
        (f.adres, "canary"),
        (f.same_adres, ["canary"]),
        (f.same_adres, {"straat": 3}),
    ],
)
def test_what_breaks_a_rule_is_refused_without_the_value(function: Any, value: object) -> None:
    with pytest.raises((RuleBrokenError, InvalidIdentifierError)) as caught:
        function(value)
    assert "canary" not in str(caught.value).lower()


def test_an_inclusive_last_day_becomes_half_open() -> None:
    assert f.day_after(date(2027, 7, 31)) == date(2027, 8, 1)
    assert f.day_after(date(2026, 8, 1), date(2026, 8, 1)) == date(2026, 8, 2)


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(RuleBrokenError):
        f.day_after(date(2026, 7, 31), date(2026, 8, 1))


def address(**parts: object) -> SimpleNamespace:
    return SimpleNamespace(**{"postcode": None, "dropped": frozenset(), **parts})


def test_both_spellings_of_a_house_number_give_one_address() -> None:
    joined = f.adres(address(postcode="1234 ab", straat="Kade", huisnummer="12b"))
    apart = f.adres(
        address(
            postcode="1234AB",
            straat="Kade",
            huisnummer="12b",
            huisnummer_zonder_toevoeging="12",
            huisnummer_toevoeging="b",
        )
    )
    assert (
        joined == apart == Adres(postcode="1234AB", straat="Kade", huisnummer="12", toevoeging="b")
    )


def test_an_address_without_parts_is_empty_and_a_mended_one_says_nothing() -> None:
    assert f.adres(address()) is None
    assert f.adres(address(straat=" ")) is None
    assert f.adres(address(straat="Kade", dropped=frozenset({"postcode"}))) is NOT_DELIVERED


def test_a_foreign_address_keeps_its_lines() -> None:
    made = f.adres(address(buitenlands_adres="Rue 1, Liège", land="België"))
    assert made == Adres(regels="Rue 1, Liège", land="België")


def test_an_address_with_canonical_names_is_taken_from_either_shape() -> None:
    made = f.same_adres({"straat": "Kade", "postcode": "1234 ab"})
    assert made == f.same_adres(Adres(straat="Kade", postcode="1234AB"))


@pytest.mark.parametrize("value", [2**31, -(2**31), 3_000_000_000, 2**63, 10**30])
def test_no_whole_number_is_larger_than_a_column(value: int) -> None:
    with pytest.raises(RuleBrokenError) as caught:
        f.whole(value)
    assert str(value) not in str(caught.value)
    for function in (f.wholes, f.same_list):
        with pytest.raises(RuleBrokenError):
            function((value,))
