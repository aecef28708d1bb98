"""The settings of one Somtoday koppeling, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from config.errors import ConfigurationError
from connectors.base import Manifest
from connectors.protocols.rest import check_url
from connectors.somtoday.wire import is_uuid

_BRIN6: Final = re.compile(r"[0-9]{2}[A-Za-z]{2}[0-9]{2}")
_LARGEST_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Options:
    """What one koppeling is set to.

    Attributes:
        vestigingen: UUIDs (lower case) and BRIN6 numbers (upper case) to read; empty for all.
        page_size: at least 2, since pages overlap by one record.
        next_year_from: month and day from which next school year is read; None for never.
        numbers_of: koppeling that issued the numbers of pupils and staff; empty for this one.
    """

    api_base: str
    token_url: str
    organisation: str
    client_id: str
    client_secret: str = field(repr=False)
    vestigingen: frozenset[str]
    page_size: int
    next_year_from: tuple[int, int] | None
    per_second: float
    numbers_of: str = ""

    def reads_next_year(self, today: date) -> bool:
        """Whether next school year is read on this day."""
        if self.next_year_from is None:
            return False
        return _in_school_year(self.next_year_from) <= _in_school_year((today.month, today.day))


def _in_school_year(day: tuple[int, int]) -> tuple[int, int]:
    """A day (month, day) as its place in a school year, which begins in August."""
    return (day[0] - 8) % 12, day[1]


def read_options(given: Mapping[str, str], *, manifest: Manifest) -> Options:
    """Check the settings of a koppeling.

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
    if not is_uuid(values["organisation"]):
        raise wrong("organisation", "must be a UUID")
    return Options(
        api_base=check_url("api_base", values["api_base"], allow_plain_http=plain),
        token_url=check_url("token_url", values["token_url"], allow_plain_http=plain),
        organisation=values["organisation"].lower(),
        client_id=values["client_id"],
        client_secret=values["client_secret"],
        vestigingen=_vestigingen(values["vestigingen"]),
        page_size=_page_size(values["page_size"]),
        next_year_from=_month_day(values["next_year_from"]) if _flag(values, "volgend") else None,
        per_second=_rate(values["per_second"]),
        numbers_of=values["numbers_of"],
    )


def wrong(name: str, rule: str) -> ConfigurationError:
    """An error about one setting."""
    message = f"somtoday: {name} {rule}"
    return ConfigurationError(
        message, advice=f"Controleer de instelling `{name}` van deze Somtoday-koppeling."
    )


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values[name].strip().lower()
    if text not in {"true", "false"}:
        raise wrong(name, "must be true or false")
    return text == "true"


def _page_size(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 2 <= int(text[:9]) <= _LARGEST_PAGE:
        raise wrong("page_size", f"must be a number from 2 to {_LARGEST_PAGE}")
    return int(text)


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


def _vestigingen(text: str) -> frozenset[str]:
    found: set[str] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        if is_uuid(part):
            found.add(part.lower())
        elif _BRIN6.fullmatch(part):
            found.add(part.upper())
        else:
            raise wrong("vestigingen", "must hold UUIDs or BRIN6 numbers, with commas between")
    return frozenset(found)
