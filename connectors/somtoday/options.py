"""The settings of one Somtoday koppeling, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from connectors.base import Manifest
from connectors.protocols.settings import Given, MonthDay, is_reached
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
    next_year_from: MonthDay | None
    per_second: float
    numbers_of: str = ""

    def reads_next_year(self, today: date) -> bool:
        """Whether next school year is read on this day."""
        return self.next_year_from is not None and is_reached(self.next_year_from, today=today)


def read_options(options: Mapping[str, str], *, manifest: Manifest) -> Options:
    """Check the settings of a koppeling.

    Raises: ConfigurationError, naming the setting and the rule, never the value.
    """
    given = Given(options, manifest=manifest)
    plain = given.flag("allow_plain_http")
    if not is_uuid(given.text("organisation")):
        raise given.wrong("organisation", "must be a UUID")
    next_year = given.month_day("next_year_from")
    return Options(
        api_base=given.url("api_base", plain=plain),
        token_url=given.url("token_url", plain=plain),
        organisation=given.text("organisation").lower(),
        client_id=given.text("client_id"),
        client_secret=given.text("client_secret"),
        vestigingen=_vestigingen(given),
        page_size=given.number("page_size", 2, _LARGEST_PAGE),
        next_year_from=next_year if given.flag("volgend") else None,
        per_second=given.rate(),
        numbers_of=given.text("numbers_of"),
    )


def _vestigingen(given: Given) -> frozenset[str]:
    found: set[str] = set()
    for part in filter(None, (part.strip() for part in given.text("vestigingen").split(","))):
        if is_uuid(part):
            found.add(part.lower())
        elif _BRIN6.fullmatch(part):
            found.add(part.upper())
        else:
            rule = "must hold UUIDs or BRIN6 numbers, with commas between"
            raise given.wrong("vestigingen", rule)
    return frozenset(found)
