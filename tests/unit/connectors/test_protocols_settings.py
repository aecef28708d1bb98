"""Settings of a koppeling: read one by one, and told by name when they break a rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import StrEnum

import pytest

from config.errors import ConfigurationError
from connectors.base import Budget, Manifest, Setting
from connectors.protocols.settings import Given, is_reached

MANIFEST = Manifest(
    system="proef",
    title="Proef",
    specification="geen",
    resources=(),
    budget=Budget(0, 1),
    settings=(
        Setting("naam", "required"),
        Setting("soort", "a choice", required=False, default="een"),
        Setting("aantal", "a number", required=False, default="3"),
        Setting("per_second", "a rate", required=False, default="2.5"),
        Setting("vanaf", "a day", required=False, default="02-29"),
        Setting("adres", "an address", required=False),
        Setting("aan", "a switch", required=False, default="false"),
    ),
    rights=(),
)


class Soort(StrEnum):
    EEN = "een"
    TWEE = "twee"


def given(**options: str) -> Given:
    return Given({"naam": "x", **options}, manifest=MANIFEST)


def test_what_is_left_out_or_empty_has_its_default() -> None:
    for read in (given(), given(soort="", aantal="", vanaf="", adres="")):
        assert read.choice("soort", Soort) is Soort.EEN
        assert read.number("aantal", 1, 5) == 3
        assert read.rate() == 2.5
        assert read.month_day("vanaf") == (2, 29)
        assert read.url("adres", plain=False) == ""
        assert not read.flag("aan")


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("soort", "drie", lambda g: g.choice("soort", Soort)),
        ("aantal", "6", lambda g: g.number("aantal", 1, 5)),
        ("aantal", "²", lambda g: g.number("aantal", 1, 5)),
        ("per_second", "nan", Given.rate),
        ("per_second", "-1", Given.rate),
        ("vanaf", "02-30", lambda g: g.month_day("vanaf")),
        ("adres", "http://elders.example", lambda g: g.url("adres", plain=False)),
        ("aan", "ja", lambda g: g.flag("aan")),
    ],
)
def test_a_wrong_one_is_named_and_not_repeated(
    name: str, value: str, read: Callable[[Given], object]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(given(**{name: value}))
    assert name in str(caught.value)
    assert value not in str(caught.value).split()
    assert f"`{name}`" in caught.value.advice


def test_unknown_and_missing_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="proef: kleur is not a setting"):
        given(kleur="rood")
    with pytest.raises(ConfigurationError, match="proef: naam is required"):
        given(naam="")


@pytest.mark.parametrize(
    ("today", "reached"),
    [
        (date(2026, 8, 1), False),
        (date(2026, 12, 31), False),
        (date(2027, 3, 31), False),
        (date(2027, 4, 1), True),
        (date(2027, 7, 31), True),
    ],
)
def test_a_day_is_reached_within_the_schooljaar_that_begins_in_august(
    today: date, *, reached: bool
) -> None:
    assert is_reached((4, 1), today=today) is reached
