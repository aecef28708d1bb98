"""The settings of one Magister koppeling, checked."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final, TypeVar

from config.errors import ConfigurationError
from connectors.base import Manifest
from connectors.magister.wire import SYSTEM
from connectors.protocols.rest import check_url

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


C = TypeVar("C", Mode, TokenMode, Format)


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
    next_year_from: tuple[int, int]
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

        def place(day: tuple[int, int]) -> tuple[int, int]:
            return (day[0] - 8) % 12, day[1]

        return self.volgend and place(self.next_year_from) <= place((today.month, today.day))

    @property
    def inline_token(self) -> str:
        """User and password as a token. Spec: section 3.1 (CONFIRMED)."""
        return f"{self.username};{self.password}"


def read_options(given: Mapping[str, str], *, manifest: Manifest) -> Options:
    """Check the settings of a koppeling.

    Raises: ConfigurationError, naming the setting and the rule, never the value.
    """
    known = {setting.name: setting for setting in manifest.settings}
    for name in given:
        if name not in known:
            raise wrong(name, "is not a setting of this system")
    values = {name: given.get(name) or known[name].default or "" for name in known}
    mode = _choice(values, "mode", Mode)
    needed = ("client_id", "client_secret") if mode is Mode.SCIM else _SERVICE
    for name in needed:
        if not values[name]:
            raise wrong(name, f"is required in mode {mode}")
    plain = _flag(values, "allow_plain_http")
    format_ = values["format"] or ("xml" if mode is Mode.FUNCTIONS else "csv")
    return Options(
        mode=mode,
        base_url=_url(values, "base_url", plain=plain),
        username=values["username"],
        password=values["password"],
        token_mode=_choice(values, "token_mode", TokenMode),
        format=_choice({"format": format_}, "format", Format),
        encoding=_encoding(values["encoding"]),
        lesperiode=_period(values, "lesperiode"),
        lesperiode_volgend=_period(values, "lesperiode_volgend"),
        volgend=_flag(values, "volgend"),
        next_year_from=_month_day(values["next_year_from"]),
        locaties=_locaties(values["locaties"]),
        filters=_filters(values),
        numbers_of=values["numbers_of"],
        per_second=_rate(values["per_second"]),
        tls=_trust(values["ca_bundle"]),
        scim_url=_url(values, "scim_url", plain=plain),
        token_url=_url(values, "token_url", plain=plain),
        client_id=values["client_id"],
        client_secret=values["client_secret"],
        scim_number=_attribute(values, "scim_number"),
        scim_prefix=_attribute(values, "scim_prefix"),
    )


_SERVICE: Final = ("base_url", "username", "password")


def wrong(name: str, rule: str) -> ConfigurationError:
    """An error about one setting."""
    message = f"{SYSTEM}: {name} {rule}"
    return ConfigurationError(
        message, advice=f"Controleer de instelling `{name}` van deze Magister-koppeling."
    )


def _choice(values: Mapping[str, str], name: str, kind: type[C]) -> C:
    try:
        return kind(values[name].strip().lower())
    except ValueError:
        raise wrong(name, f"must be one of {', '.join(kind)}") from None


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values[name].strip().lower()
    if text not in {"true", "false"}:
        raise wrong(name, "must be true or false")
    return text == "true"


def _url(values: Mapping[str, str], name: str, *, plain: bool) -> str:
    return check_url(name, values[name], allow_plain_http=plain) if values[name] else ""


def _attribute(values: Mapping[str, str], name: str) -> str:
    """An attribute of SCIM, with its schema before it or not."""
    text = values[name].strip()
    if _ATTRIBUTE.fullmatch(text) is None:
        raise wrong(name, "must be the name of an attribute, or its schema, a colon and its name")
    return text


def _encoding(text: str) -> str:
    if text not in {"auto", "utf-8", "ansi"}:
        raise wrong("encoding", "must be auto, utf-8 or ansi")
    return text


def _period(values: Mapping[str, str], name: str) -> str:
    text = values[name].strip()
    if text and not (text.isascii() and _PERIOD.fullmatch(text)):
        raise wrong(name, "must be four digits, such as 2627")
    return text


def _month_day(text: str) -> tuple[int, int]:
    try:
        day = date.fromisoformat(f"2024-{text}")  # a leap year: 02-29 is a day
    except ValueError:
        raise wrong("next_year_from", "must be a day, MM-DD") from None
    return day.month, day.day


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not math.isfinite(rate) or rate < 0:
        raise wrong("per_second", "must be a number of requests a second, or 0")
    return rate


def _locaties(text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, sign, key = (piece.strip() for piece in part.rpartition("="))
        if not (sign and name and key) or name in found:
            raise wrong("locaties", "must be name=key, with semicolons between, each name once")
        found[name] = key
    return found


def _filters(values: Mapping[str, str]) -> Sequence[Filter]:
    found = []
    for name in ("locatie", "studie", "klas"):
        keep = _pattern(values, f"{name}_wel")
        skip = _pattern(values, f"{name}_niet")
        if keep is not None or skip is not None:
            found.append(Filter(name, keep, skip))
    return tuple(found)


def _pattern(values: Mapping[str, str], name: str) -> re.Pattern[str] | None:
    """A regular expression that cannot run for ever: few repetitions, and none of a group."""
    text = values[name]
    if not text:
        return None
    many = len(_REPETITION.findall(text)) > _MOST_REPETITIONS
    if len(text) > _LONGEST_PATTERN or many or _REPEATED_GROUP.search(text):
        rule = f"must be at most {_LONGEST_PATTERN} signs with {_MOST_REPETITIONS} repetitions, "
        raise wrong(name, f"{rule}none of them of a group")
    try:
        return re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError):
        raise wrong(name, "must be a regular expression") from None


def _trust(path: str) -> ssl.SSLContext | None:
    """The machine's own trust and a bundle of the school's hosting; TLS 1.2 or newer.

    Spec: section 2 (TLS 1.2 CONFIRMED).
    """
    if not path:
        return None
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError):
        raise wrong("ca_bundle", "must be a file of certificates (PEM) that can be read") from None
    return context
