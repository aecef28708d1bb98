"""The settings of one Magister koppeling, checked."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from connectors.base import Manifest
from connectors.protocols.settings import Given, MonthDay, is_reached

_PERIOD: Final = re.compile(r"[0-9]{4}")
_ATTRIBUTE: Final = re.compile(r"(?:urn:[!-~]{1,200}:)?[A-Za-z][A-Za-z0-9_-]{0,99}")
_LONGEST_PATTERN: Final = 200
_LONGEST_MATCHED: Final = 60
_REPEATED_GROUP: Final = re.compile(r"\)\s*[+*{]|\\[1-9]|\(\?P=")
_REPETITION: Final = re.compile(r"[+*{]")
_MOST_REPETITIONS: Final = 4


class Mode(StrEnum):
    """How Magister is read."""

    LAYOUTS = "layouts"  # our own lists, installed by the school
    FUNCTIONS = "functions"  # the fixed functions of library ADFuncties
    SCIM = "scim"  # user accounts, over the vendor's announced successor


class TokenMode(StrEnum):
    """How a call shows who asks."""

    LOGIN = "login"  # a session token; the password is sent once
    INLINE = "inline"  # user and password in every call


class Format(StrEnum):
    """In which form lists are asked."""

    CSV = "csv"
    XML = "xml"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which locaties, studies or klassen are read: those that match `keep`, without `skip`."""

    name: str
    keep: re.Pattern[str] | None = None
    skip: re.Pattern[str] | None = None

    def admits(self, value: str) -> bool:
        """Whether a record with this value is read; an absent one is an empty text."""
        value = value[:_LONGEST_MATCHED]
        if self.skip is not None and self.skip.fullmatch(value):
            return False
        return self.keep is None or self.keep.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Options:
    """What one koppeling is set to.

    Attributes:
        base_url: of the web service, `/doc` included.
        lesperiode, lesperiode_volgend: codes (`2627`); empty is what Magister says.
        next_year_from: month and day from which next schooljaar is asked of the fixed functions.
        locaties: name of a location → its key, for the fixed functions, which know names only.
        filters: what of locatie, studie and klas is read.
    """

    mode: Mode
    base_url: str
    username: str
    password: str = field(repr=False)
    token_mode: TokenMode
    format: Format
    encoding: str
    lesperiode: str
    lesperiode_volgend: str
    volgend: bool
    next_year_from: MonthDay
    locaties: Mapping[str, str]
    filters: Sequence[Filter]
    numbers_of: str
    per_second: float
    tls: ssl.SSLContext | None
    scim_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scim_number: str
    scim_prefix: str

    def asks_next_year(self, today: date) -> bool:
        """Whether the fixed functions are asked for next schooljaar on this day."""
        return self.volgend and is_reached(self.next_year_from, today=today)

    @property
    def inline_token(self) -> str:
        """User and password as a token. Spec: section 3.1 (CONFIRMED)."""
        return f"{self.username};{self.password}"


def read_options(options: Mapping[str, str], *, manifest: Manifest) -> Options:
    """Check the settings of a koppeling.

    Raises: ConfigurationError, naming the setting and the rule, never the value.
    """
    given = Given(options, manifest=manifest)
    mode = given.choice("mode", Mode)
    needed = ("client_id", "client_secret") if mode is Mode.SCIM else _SERVICE
    for name in needed:
        if not given.text(name):
            raise given.wrong(name, f"is required in mode {mode}")
    plain = given.flag("allow_plain_http")
    return Options(
        mode=mode,
        base_url=given.url("base_url", plain=plain),
        username=given.text("username"),
        password=given.text("password"),
        token_mode=given.choice("token_mode", TokenMode),
        format=_format(given, mode),
        encoding=_encoding(given),
        lesperiode=_period(given, "lesperiode"),
        lesperiode_volgend=_period(given, "lesperiode_volgend"),
        volgend=given.flag("volgend"),
        next_year_from=given.month_day("next_year_from"),
        locaties=_locaties(given),
        filters=_filters(given),
        numbers_of=given.text("numbers_of"),
        per_second=given.rate(),
        tls=_trust(given),
        scim_url=given.url("scim_url", plain=plain),
        token_url=given.url("token_url", plain=plain),
        client_id=given.text("client_id"),
        client_secret=given.text("client_secret"),
        scim_number=_attribute(given, "scim_number"),
        scim_prefix=_attribute(given, "scim_prefix"),
    )


_SERVICE: Final = ("base_url", "username", "password")


def _format(given: Given, mode: Mode) -> Format:
    if not given.text("format"):
        return Format.XML if mode is Mode.FUNCTIONS else Format.CSV
    return given.choice("format", Format)


def _attribute(given: Given, name: str) -> str:
    """An attribute of SCIM, with its schema before it or not."""
    text = given.text(name).strip()
    if _ATTRIBUTE.fullmatch(text) is None:
        raise given.wrong(
            name, "must be the name of an attribute, or its schema, a colon and its name"
        )
    return text


def _encoding(given: Given) -> str:
    text = given.text("encoding")
    if text not in {"auto", "utf-8", "ansi"}:
        raise given.wrong("encoding", "must be auto, utf-8 or ansi")
    return text


def _period(given: Given, name: str) -> str:
    text = given.text(name).strip()
    if text and not (text.isascii() and _PERIOD.fullmatch(text)):
        raise given.wrong(name, "must be four digits, such as 2627")
    return text


def _locaties(given: Given) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in given.text("locaties").split(";"))):
        name, sign, key = (piece.strip() for piece in part.rpartition("="))
        if not (sign and name and key) or name in found:
            raise given.wrong(
                "locaties", "must be name=key, with semicolons between, each name once"
            )
        found[name] = key
    return found


def _filters(given: Given) -> Sequence[Filter]:
    found = []
    for name in ("locatie", "studie", "klas"):
        keep = _pattern(given, f"{name}_wel")
        skip = _pattern(given, f"{name}_niet")
        if keep is not None or skip is not None:
            found.append(Filter(name, keep, skip))
    return tuple(found)


def _pattern(given: Given, name: str) -> re.Pattern[str] | None:
    """A regular expression that cannot run for ever: few repetitions, and none of a group."""
    text = given.text(name)
    if not text:
        return None
    many = len(_REPETITION.findall(text)) > _MOST_REPETITIONS
    if len(text) > _LONGEST_PATTERN or many or _REPEATED_GROUP.search(text):
        rule = f"must be at most {_LONGEST_PATTERN} signs with {_MOST_REPETITIONS} repetitions, "
        raise given.wrong(name, f"{rule}none of them of a group")
    try:
        return re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError):
        raise given.wrong(name, "must be a regular expression") from None


def _trust(given: Given) -> ssl.SSLContext | None:
    """The machine's own trust and a bundle of the school's hosting; TLS 1.2 or newer.

    Spec: section 2 (TLS 1.2 CONFIRMED).
    """
    path = given.text("ca_bundle")
    if not path:
        return None
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError):
        raise given.wrong(
            "ca_bundle", "must be a file of certificates (PEM) that can be read"
        ) from None
    return context
