"""The settings of one UWLR koppeling, checked."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from connectors.base import Manifest
from connectors.protocols.settings import Given, MonthDay, is_reached
from connectors.uwlr.names import VERSIONS, Profiel

_PLACE: Final = re.compile(r"([0-9]{2}[A-Z]{2})([0-9]{2})?")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OURS: Final = frozenset({"host", "content-type", "content-length", "soapaction", "accept"})
_LONGEST_AUTHORISATION: Final = 64
_LARGEST_BATCH: Final = 200
_LARGEST_MB: Final = 512


class Mode(StrEnum):
    """How an administration is asked: all at once, or group by group."""

    WHOLE = "whole"
    STAGED = "staged"


@dataclass(frozen=True, slots=True)
class Place:
    """What is asked at once: a BRIN with or without a vestiging's two digits, or a schoolkey."""

    brincode: str = ""
    dependancecode: str = ""
    schoolkey: str = ""

    @property
    def key(self) -> str:
        """Its name in scopes; the same for ever."""
        return self.schoolkey or f"{self.brincode}{self.dependancecode}"

    @property
    def vestigingsnummer(self) -> str:
        """Six signs; `00` and no digits are the same. Empty for a schoolkey."""
        return f"{self.brincode}{self.dependancecode or '00'}" if self.brincode else ""

    @property
    def brins(self) -> tuple[str, ...]:
        """What `--school` selects it by."""
        return (self.vestigingsnummer, self.brincode) if self.brincode else ()


@dataclass(frozen=True, slots=True)
class Authorisation:
    """The three strings of the header."""

    sleutel: str = field(repr=False)
    klantcode: str = field(repr=False)
    klantnaam: str


@dataclass(frozen=True, slots=True)
class Options:
    """What one koppeling is set to.

    Attributes:
        staged_endpoint: of the staged calls; the same where none is given.
        next_year_from: month and day from which next school year is read; None for never.
        tls: a trust or certificate other than the machine's own.
    """

    endpoint: str
    staged_endpoint: str
    authorisation: Authorisation
    places: tuple[Place, ...]
    version: str
    profiel: Profiel
    gegevenssetid: str
    mode: Mode
    groups_per_call: int
    next_year_from: MonthDay | None
    headers: Mapping[str, str] = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)
    proxy: str | None = field(repr=False)
    largest_bytes: int
    per_second: float

    def reads_next_year(self, today: date) -> bool:
        """Whether next school year is read on this day."""
        return self.next_year_from is not None and is_reached(self.next_year_from, today=today)


def read_options(
    options: Mapping[str, str], *, manifest: Manifest, tls: ssl.SSLContext | None = None
) -> Options:
    """Check the settings of a koppeling, and read the certificates that they name.

    Raises: ConfigurationError, naming the setting and the rule, never the value.
    """
    given = Given(options, manifest=manifest)
    plain = given.flag("allow_plain_http")
    endpoint = given.url("endpoint", plain=plain)
    next_year = given.month_day("next_year_from")
    return Options(
        endpoint=endpoint,
        staged_endpoint=given.url("staged_endpoint", plain=plain) or endpoint,
        authorisation=Authorisation(*(_authorisation(given, name) for name in _HEADER_PARTS)),
        places=_places(given),
        version=_version(given),
        profiel=given.choice("profiel", Profiel),
        gegevenssetid=_short(given, "gegevenssetid"),
        mode=given.choice("mode", Mode),
        groups_per_call=given.number("groups_per_call", 1, _LARGEST_BATCH),
        next_year_from=next_year if given.flag("volgend") else None,
        headers=_headers(given),
        tls=tls if tls is not None else given.tls(),
        proxy=_proxy(given),
        largest_bytes=given.number("largest_mb", 1, _LARGEST_MB) * 1024 * 1024,
        per_second=given.rate(),
    )


_HEADER_PARTS: Final = ("autorisatiesleutel", "klantcode", "klantnaam")


def _version(given: Given) -> str:
    if given.text("xsdversie") not in VERSIONS:
        raise given.wrong("xsdversie", f"must be one of {', '.join(VERSIONS)}")
    return given.text("xsdversie")


def _authorisation(given: Given, name: str) -> str:
    """Spec: uwlr.md, section 5 (CONFIRMED)."""
    if not _is_plain(given.text(name)) or len(given.text(name)) > _LONGEST_AUTHORISATION:
        raise given.wrong(name, f"must be 1 to {_LONGEST_AUTHORISATION} printable signs")
    return given.text(name)


def _short(given: Given, name: str) -> str:
    text = given.text(name)
    if text and (not _is_plain(text) or len(text) > _LONGEST_AUTHORISATION):
        raise given.wrong(name, f"must be at most {_LONGEST_AUTHORISATION} printable signs")
    return text


def _is_plain(text: str) -> bool:
    return bool(text) and text.isprintable()


def _places(given: Given) -> tuple[Place, ...]:
    """Spec: uwlr.md, section 6: a BRIN, or a schoolkey where there is none (CONFIRMED)."""
    brins = [part.strip().upper() for part in given.text("vestigingen").split(",") if part.strip()]
    keys = [part.strip() for part in given.text("schoolkeys").split(",") if part.strip()]
    if bool(brins) == bool(keys):
        raise given.wrong("vestigingen", "or schoolkeys is required, and not both")
    found: dict[str, Place] = {}
    for brin in brins:
        match = _PLACE.fullmatch(brin)
        if match is None:
            raise given.wrong("vestigingen", "must hold BRINs (99XX) or vestigingsnummers (99XX00)")
        place = Place(match[1], match[2] or "")
        if place.vestigingsnummer in {known.vestigingsnummer for known in found.values()}:
            raise given.wrong(
                "vestigingen", "names one vestiging twice; 00 and no digits are the same"
            )
        found[place.key] = place
    for key in keys:
        if len(key) > 256 or not key.isprintable() or "/" in key:
            raise given.wrong(
                "schoolkeys", "must be at most 256 printable signs each, without a slash"
            )
        found[key] = Place(schoolkey=key)
    return tuple(found.values())


def _headers(given: Given) -> Mapping[str, str]:
    """`Name: value`, one a line."""
    found: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in given.text("http_headers").splitlines())):
        name, colon, value = (part.strip() for part in line.partition(":"))
        good = colon and _HEADER.fullmatch(name) and value.isascii() and value.isprintable()
        if not good or name.lower() in _OURS:
            raise given.wrong(
                "http_headers", "must be `Name: value`, one a line, and no header of ours"
            )
        found[name] = value
    return found


def _proxy(given: Given) -> str | None:
    text = given.text("proxy")
    if not text:
        return None
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise given.wrong("proxy", "must be an address such as http://proxy.example:8080")
    return text
