"""The settings of one UWLR koppeling, checked."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from config.errors import ConfigurationError
from connectors.base import Manifest
from connectors.protocols.rest import check_url
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
    next_year_from: tuple[int, int] | None
    headers: Mapping[str, str] = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)
    proxy: str | None = field(repr=False)
    largest_bytes: int
    per_second: float

    def reads_next_year(self, today: date) -> bool:
        """Whether next school year is read on this day."""
        if self.next_year_from is None:
            return False
        return _in_school_year(self.next_year_from) <= _in_school_year((today.month, today.day))


def _in_school_year(day: tuple[int, int]) -> tuple[int, int]:
    """A day (month, day) as its place in a school year, which begins in August."""
    return (day[0] - 8) % 12, day[1]


def read_options(
    given: Mapping[str, str], *, manifest: Manifest, tls: ssl.SSLContext | None = None
) -> Options:
    """Check the settings of a koppeling, and read the certificates that they name.

    Raises: ConfigurationError, naming the setting and the rule, never the value.
    """
    known = {setting.name: setting for setting in manifest.settings}
    for name in given:
        if name not in known:
            raise wrong(name, "is not a setting of this system")
    values: dict[str, str] = {}
    for name, setting in known.items():
        value = given.get(name, setting.default)
        if setting.required and not value:
            raise wrong(name, "is required")
        values[name] = value or ""
    plain = _flag(values, "allow_plain_http")
    endpoint = check_url("endpoint", values["endpoint"], allow_plain_http=plain)
    staged = values["staged_endpoint"]
    next_year = _month_day(values["next_year_from"])
    return Options(
        endpoint=endpoint,
        staged_endpoint=(
            check_url("staged_endpoint", staged, allow_plain_http=plain) if staged else endpoint
        ),
        authorisation=Authorisation(*(_authorisation(values, name) for name in _HEADER_PARTS)),
        places=_places(values),
        version=_one_of(values, "xsdversie", VERSIONS),
        profiel=Profiel(_one_of(values, "profiel", tuple(Profiel))),
        gegevenssetid=_short(values, "gegevenssetid"),
        mode=Mode(_one_of(values, "mode", tuple(Mode))),
        groups_per_call=_number(values, "groups_per_call", 1, _LARGEST_BATCH),
        next_year_from=next_year if _flag(values, "volgend") else None,
        headers=_headers(values["http_headers"]),
        tls=tls if tls is not None else _tls(values),
        proxy=_proxy(values["proxy"]),
        largest_bytes=_number(values, "largest_mb", 1, _LARGEST_MB) * 1024 * 1024,
        per_second=_rate(values["per_second"]),
    )


_HEADER_PARTS: Final = ("autorisatiesleutel", "klantcode", "klantnaam")


def wrong(name: str, rule: str) -> ConfigurationError:
    """An error about one setting."""
    message = f"uwlr: {name} {rule}"
    return ConfigurationError(
        message, advice=f"Controleer de instelling `{name}` van deze UWLR-koppeling."
    )


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values[name].strip().lower()
    if text not in {"true", "false"}:
        raise wrong(name, "must be true or false")
    return text == "true"


def _one_of(values: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    if values[name] not in known:
        raise wrong(name, f"must be one of {', '.join(known)}")
    return values[name]


def _number(values: Mapping[str, str], name: str, low: int, high: int) -> int:
    text = values[name]
    if not (text.isascii() and text.isdigit()) or not low <= int(text[:9]) <= high:
        raise wrong(name, f"must be a number from {low} to {high}")
    return int(text)


def _authorisation(values: Mapping[str, str], name: str) -> str:
    """Spec: uwlr.md, section 5 (CONFIRMED)."""
    if not _is_plain(values[name]) or len(values[name]) > _LONGEST_AUTHORISATION:
        raise wrong(name, f"must be 1 to {_LONGEST_AUTHORISATION} printable signs")
    return values[name]


def _short(values: Mapping[str, str], name: str) -> str:
    text = values[name]
    if text and (not _is_plain(text) or len(text) > _LONGEST_AUTHORISATION):
        raise wrong(name, f"must be at most {_LONGEST_AUTHORISATION} printable signs")
    return text


def _is_plain(text: str) -> bool:
    return bool(text) and text.isprintable()


def _places(values: Mapping[str, str]) -> tuple[Place, ...]:
    """Spec: uwlr.md, section 6: a BRIN, or a schoolkey where there is none (CONFIRMED)."""
    brins = [part.strip().upper() for part in values["vestigingen"].split(",") if part.strip()]
    keys = [part.strip() for part in values["schoolkeys"].split(",") if part.strip()]
    if bool(brins) == bool(keys):
        raise wrong("vestigingen", "or schoolkeys is required, and not both")
    found: dict[str, Place] = {}
    for brin in brins:
        match = _PLACE.fullmatch(brin)
        if match is None:
            raise wrong("vestigingen", "must hold BRINs (99XX) or vestigingsnummers (99XX00)")
        place = Place(match[1], match[2] or "")
        if place.vestigingsnummer in {known.vestigingsnummer for known in found.values()}:
            raise wrong("vestigingen", "names one vestiging twice; 00 and no digits are the same")
        found[place.key] = place
    for key in keys:
        if len(key) > 256 or not key.isprintable() or "/" in key:
            raise wrong("schoolkeys", "must be at most 256 printable signs each, without a slash")
        found[key] = Place(schoolkey=key)
    return tuple(found.values())


def _headers(text: str) -> Mapping[str, str]:
    """`Name: value`, one a line."""
    found: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, colon, value = (part.strip() for part in line.partition(":"))
        good = colon and _HEADER.fullmatch(name) and value.isascii() and value.isprintable()
        if not good or name.lower() in _OURS:
            raise wrong("http_headers", "must be `Name: value`, one a line, and no header of ours")
        found[name] = value
    return found


def _tls(values: Mapping[str, str]) -> ssl.SSLContext | None:
    """The trust and the client certificate that the settings name, or None for the machine's own.

    Raises: ConfigurationError if a file cannot be read or does not fit the other.
    """
    authority, certificate = values["ca_file"], values["client_certificate"]
    if not authority and not certificate:
        return None
    context = ssl.create_default_context()
    if authority:
        try:
            context = ssl.create_default_context(cafile=authority)
        except (OSError, ValueError):
            raise wrong("ca_file", "is no file with certificates (PEM)") from None
    if certificate:
        password = values["client_key_password"]
        try:
            context.load_cert_chain(
                certificate, values["client_key"] or None, password=lambda: password
            )
        except (OSError, ValueError):
            rule = "and client_key are no certificate with its key (PEM), or the password is wrong"
            raise wrong("client_certificate", rule) from None
    return context


def _proxy(text: str) -> str | None:
    if not text:
        return None
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise wrong("proxy", "must be an address such as http://proxy.example:8080")
    return text


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not math.isfinite(rate) or rate < 0:
        raise wrong("per_second", "must be a number of requests a second, or 0")
    return rate


def _month_day(text: str) -> tuple[int, int]:
    try:
        day = date.fromisoformat(f"2024-{text}")  # a leap year: 02-29 is a day
    except ValueError:
        raise wrong("next_year_from", "must be a day, MM-DD") from None
    return day.month, day.day
