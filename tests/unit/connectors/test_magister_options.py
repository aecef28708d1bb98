"""Settings are checked before anything is asked, and no error shows a value."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from connectors.base import Link
from connectors.magister.connector import MAGISTER, MagisterConnector
from connectors.magister.manifest import MANIFEST
from connectors.magister.options import Filter, Format, Mode, Options, read_options

GIVEN = {"base_url": "https://school.example:8800/doc", "username": "hub", "password": "GEHEIM-xyz"}


def read(**more: str) -> Options:
    return read_options({**GIVEN, **more}, manifest=MANIFEST)


def test_what_is_left_out_has_its_default() -> None:
    options = read()
    assert (options.mode, options.format, options.encoding) == (Mode.LAYOUTS, Format.CSV, "auto")
    assert options.per_second == 5
    assert options.volgend
    assert options.tls is None
    assert read(mode="functions").format is Format.XML
    assert read(mode="functions", format="csv").format is Format.CSV


@pytest.mark.parametrize("name", ["base_url", "username", "password"])
def test_the_web_service_needs_an_address_and_an_account(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        read(**{name: ""})


def test_scim_needs_a_client_and_nothing_else() -> None:
    options = read_options(
        {"mode": "scim", "client_id": "hub", "client_secret": "GEHEIM-xyz"}, manifest=MANIFEST
    )
    assert options.scim_url == "https://accounts.magister.net/scim"
    assert options.token_url == "https://accounts.magister.net/connect/token"
    with pytest.raises(ConfigurationError, match="client_id"):
        read(mode="scim")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "GEHEIM"),
        ("token_mode", "GEHEIM"),
        ("format", "GEHEIM"),
        ("encoding", "GEHEIM"),
        ("lesperiode", "2026-2027"),
        ("lesperiode_volgend", "٢٧٢٨"),
        ("volgend", "GEHEIM"),
        ("next_year_from", "31-02"),
        ("per_second", "GEHEIM"),
        ("per_second", "-1"),
        ("per_second", "nan"),
        ("locaties", "GEHEIM"),
        ("locaties", "De Haven=1; De Haven=2"),
        ("locatie_wel", "("),
        ("klas_niet", "(a+)+b"),
        ("studie_wel", "GEHEIM" * 40),
        ("studie_niet", r"(a)\1"),
        ("ca_bundle", "/nergens/GEHEIM.pem"),
        ("base_url", "http://school.example/doc"),
        ("base_url", "https://hub:GEHEIM@school.example/doc"),
        ("base_url", "https://school.example/doc?Password=GEHEIM"),
        ("GEHEIM", "x"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**{name: value})
    assert name in str(caught.value)
    if name != "GEHEIM":
        assert "GEHEIM" not in f"{caught.value} {caught.value.advice}"


def test_a_file_that_holds_no_certificates_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("geen certificaat")
    with pytest.raises(ConfigurationError, match="ca_bundle"):
        read(ca_bundle=str(file))


def test_secrets_are_in_no_repr() -> None:
    options = read(client_secret="OOK-GEHEIM")
    connector = MAGISTER.connect(Link("proef", GIVEN))
    assert isinstance(connector, MagisterConnector)
    shown = f"{options!r} {connector!r} {vars(connector)!r}"
    assert "GEHEIM" not in shown.replace(repr(connector._link), "")
    connector.close()


def test_the_inline_token_is_user_semicolon_password() -> None:
    assert read().inline_token == "hub;GEHEIM-xyz"


def test_locations_by_name() -> None:
    assert read(locaties="De Haven = 11; Het =Baken= 12;").locaties == {
        "De Haven": "11",
        "Het =Baken": "12",
    }


def test_filters_take_the_whole_value_in_any_case() -> None:
    (only,) = read(klas_wel="p.*|v1").filters
    assert only.name == "klas"
    assert [only.admits(klas) for klas in ("P1A", "v1", "V1A", "")] == [True, True, False, False]
    both = Filter("klas", keep=only.keep, skip=read(klas_niet="P1A").filters[0].skip)
    assert [both.admits(klas) for klas in ("P1A", "P1B")] == [False, True]


@pytest.mark.parametrize(
    "pattern", ["(x+x+)+y", "(x*)*y", "(x{1,30}){1,30}y", "((x)+)+y", ".*.*.*.*y", ".*" * 9]
)
def test_a_pattern_that_could_run_for_ever_is_refused_or_quick(pattern: str) -> None:
    started = time.perf_counter()
    try:
        (only,) = read(klas_wel=pattern).filters
    except ConfigurationError:
        return
    only.admits("x" * 10_000)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("today", "asks"),
    [
        (date(2027, 4, 30), False),
        (date(2027, 5, 1), True),
        (date(2027, 7, 31), True),
        (date(2027, 8, 1), False),
        (date(2026, 12, 31), False),
    ],
)
def test_when_the_functions_are_asked_for_next_year(today: date, asks: bool) -> None:
    assert read().asks_next_year(today) is asks
    assert not read(volgend="false").asks_next_year(today)
