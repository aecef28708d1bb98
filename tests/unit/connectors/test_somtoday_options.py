"""Settings are checked by name and rule, and their values are never shown."""

from __future__ import annotations

from datetime import date

import pytest

from config.errors import ConfigurationError
from connectors.somtoday.manifest import MANIFEST
from connectors.somtoday.options import Options, read_options

GIVEN = {
    "api_base": "https://api.example/rest/v1/",
    "token_url": "https://inloggen.example/oauth2/token",
    "organisation": "5A1D6A1E-0000-4000-8000-000000000001",
    "client_id": "client",
    "client_secret": " geheim ",
}


def options(**more: str) -> Options:
    return read_options({**GIVEN, **more}, manifest=MANIFEST)


def test_defaults_are_those_of_the_manifest() -> None:
    found = options()
    assert found.api_base == "https://api.example/rest/v1"
    assert found.organisation == "5a1d6a1e-0000-4000-8000-000000000001"
    assert (found.page_size, found.per_second, found.next_year_from) == (100, 5.0, (5, 1))
    assert found.vestigingen == frozenset()


def test_the_secret_is_not_trimmed_and_not_shown() -> None:
    assert options().client_secret == " geheim "
    assert "geheim" not in repr(options())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_base", "http://api.example"),
        ("token_url", "geheimpje"),
        ("organisation", "geheimpje"),
        ("organisation", ""),
        ("client_id", ""),
        ("client_secret", ""),
        ("page_size", "1"),
        ("page_size", "201"),
        ("page_size", "geheimpje"),
        ("page_size", "9" * 5000),
        ("volgend", "geheimpje"),
        ("next_year_from", "13-01"),
        ("next_year_from", "geheimpje"),
        ("per_second", "-1"),
        ("per_second", "nan"),
        ("vestigingen", "geheimpje"),
        ("allow_plain_http", "geheimpje"),
        ("onbekend", "geheimpje"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        options(**{name: value})
    assert name in caught.value.advice
    assert "geheimpje" not in str(caught.value)


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ("2027-04-30", False),
        ("2027-05-01", True),
        ("2027-07-31", True),
        ("2027-08-01", False),
        ("2026-12-31", False),
    ],
)
def test_next_year_is_read_from_may_until_the_school_year_turns(today: str, expected: bool) -> None:
    assert options().reads_next_year(date.fromisoformat(today)) is expected


@pytest.mark.parametrize(("today", "expected"), [("2026-10-31", False), ("2027-02-01", True)])
def test_next_year_may_begin_in_the_autumn(today: str, expected: bool) -> None:
    found = options(next_year_from="11-01")
    assert found.reads_next_year(date.fromisoformat(today)) is expected


def test_next_year_can_be_switched_off() -> None:
    assert not options(volgend="false").reads_next_year(date(2027, 6, 1))


def test_locations_are_uuids_or_brin6() -> None:
    found = options(vestigingen=" 0B6F3F0E-7f2c-4c1d-9d55-2f4e8d1a1001, 99xx01 ,")
    assert found.vestigingen == {"0b6f3f0e-7f2c-4c1d-9d55-2f4e8d1a1001", "99XX01"}
