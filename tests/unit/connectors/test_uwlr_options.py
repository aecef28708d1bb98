"""The settings of a UWLR koppeling: what is refused, by name and rule and never by value."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from connectors.uwlr.manifest import MANIFEST
from connectors.uwlr.names import Profiel
from connectors.uwlr.options import Mode, Options, Place, read_options

GOOD = {
    "endpoint": "https://las.example/uwlr.svc",
    "autorisatiesleutel": "s" * 64,
    "klantcode": "CODE",
    "klantnaam": "Koppelhub",
    "vestigingen": "99XX01, 99xx02",
}


def options(**given: str) -> Options:
    return read_options({**GOOD, **given}, manifest=MANIFEST)


def test_what_is_left_out_is_the_narrowest() -> None:
    found = options()
    assert (found.version, found.profiel, found.mode) == ("2.2", Profiel.SMAL, Mode.WHOLE)
    assert found.places == (Place("99XX", "01"), Place("99XX", "02"))
    assert found.staged_endpoint == found.endpoint
    assert found.gegevenssetid == ""
    assert not found.reads_next_year(date(2027, 6, 1))
    assert options(volgend="true").reads_next_year(date(2027, 6, 1))
    assert not options(volgend="true").reads_next_year(date(2026, 11, 1))


def test_nothing_secret_is_shown() -> None:
    found = options(http_headers="X-Key: geheim-een", proxy="http://u:geheim-twee@proxy.example:1")
    shown = repr(found)
    assert "geheim" not in shown
    assert "ssss" not in shown
    assert "CODE" not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("endpoint", ""),
        ("endpoint", "http://las.example/uwlr.svc"),
        ("endpoint", "https://gebruiker:geheim@las.example"),
        ("staged_endpoint", "ftp://las.example"),
        ("autorisatiesleutel", "s" * 65),
        ("autorisatiesleutel", "a\nb"),
        ("klantcode", ""),
        ("klantnaam", "x" * 65),
        ("vestigingen", ""),
        ("vestigingen", "99X"),
        ("vestigingen", "99XX, 99XX00"),
        ("schoolkeys", "sleutel"),
        ("xsdversie", "1.0"),
        ("profiel", "alles"),
        ("gegevenssetid", "x" * 65),
        ("mode", "half"),
        ("groups_per_call", "0"),
        ("groups_per_call", "-1"),
        ("volgend", "ja"),
        ("next_year_from", "31-12"),
        ("http_headers", "geen kop"),
        ("http_headers", "Content-Type: text/plain"),
        ("http_headers", "X: geheim\x00"),
        ("client_certificate", "/er/is/niets.pem"),
        ("ca_file", "/er/is/niets.pem"),
        ("proxy", "socks5://proxy.example"),
        ("proxy", "geheim"),
        ("largest_mb", "0"),
        ("per_second", "-1"),
        ("allow_plain_http", "misschien"),
        ("onbekend", "geheim"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        options(**{name: value})
    text = f"{caught.value} {caught.value.advice}"
    assert name in text or (name == "schoolkeys" and "vestigingen" in text)
    assert caught.value.advice
    assert "geheim" not in text


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "geen.pem"
    wrong.write_text("geen certificaat", encoding="utf-8")
    for name in ("client_certificate", "ca_file"):
        with pytest.raises(ConfigurationError, match=name):
            options(**{name: str(wrong)})


def test_headers_are_read_line_by_line() -> None:
    found = options(http_headers="X-Een: 1\n\n Authorization: Basic abc ")
    assert dict(found.headers) == {"X-Een": "1", "Authorization": "Basic abc"}


def test_a_place_is_known_by_one_number() -> None:
    assert Place("99XX").vestigingsnummer == Place("99XX", "00").vestigingsnummer == "99XX00"
    assert Place("99XX", "01").brins == ("99XX01", "99XX")
    assert (Place(schoolkey="s").key, Place(schoolkey="s").brins) == ("s", ())
