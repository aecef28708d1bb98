"""The language of the pages, and numbers, days and times in its form: Dutch, or English by choice.

The Dutch texts are the message ids; `locale/en/LC_MESSAGES/koppelhub.po` has the English ones. The
catalogue is read at first use, so that nothing is to be compiled and nothing can be stale. A person
chooses at `/taal/<language>`, which a cookie keeps; else his browser says what he reads.
"""

from __future__ import annotations

import gettext
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

from babel.dates import format_date, format_time, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from config.clock import AMSTERDAM, zone

COOKIE: Final = "taal"
_YEAR_SECONDS: Final = 365 * 24 * 3600
_LONGEST_PATH: Final = 500


class Language(StrEnum):
    """What the pages can be read in."""

    DUTCH = "nl"
    ENGLISH = "en"


_KNOWN: Final = {str(language): language for language in Language}


def language_of(request: Request) -> Language:
    """The language that this person chose, else the first that his browser asks for, else Dutch."""
    if chosen := _KNOWN.get(request.cookies.get(COOKIE, "")):
        return chosen
    asked = request.headers.get("accept-language", "")[:_LONGEST_PATH]
    weighed = [_weighed(place, part) for place, part in enumerate(asked.split(","))]
    for _, _, name in sorted(weighed):
        if known := _KNOWN.get(name):
            return known
    return Language.DUTCH


def _weighed(place: int, part: str) -> tuple[float, int, str]:
    """Sorts the most wanted first: (minus its weight, its place, `nl`)."""
    name, _, weight = part.partition(";q=")
    try:
        wanted = float(weight) if weight else 1.0
    except ValueError:
        wanted = 0.0
    return -wanted, place, name.strip().lower().partition("-")[0]


@cache
def catalogue(language: Language) -> gettext.NullTranslations:
    """The texts of a language; of Dutch the ids themselves."""
    if language is Language.DUTCH:
        return gettext.NullTranslations()
    place = files("web").joinpath("locale", str(language), "LC_MESSAGES", "koppelhub.po")
    compiled = BytesIO()
    with place.open("rb") as source:
        write_mo(compiled, read_po(source, locale=str(language)))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def translator(request: Request) -> Callable[[str], str]:
    """What turns a Dutch text into the language of this person."""
    return catalogue(language_of(request)).gettext


def marked(text: str) -> str:
    """A text that is translated where it is shown, not here: the catalogue must have it."""
    return text


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts, and numbers, days and times in the form of one language.

    Attributes:
        zone: name of the time zone in which instants are told.
    """

    language: Language = Language.DUTCH
    zone: str = AMSTERDAM

    def gettext(self, text: str) -> str:
        """A Dutch text in this language."""
        return catalogue(self.language).gettext(text)

    def ngettext(self, one: str, more: str, count: int) -> str:
        """One of two Dutch texts, by number, in this language."""
        return catalogue(self.language).ngettext(one, more, count)

    def number(self, value: float) -> str:
        """1.234 or 1,234."""
        return format_decimal(value, locale=str(self.language))

    def day(self, value: date | str | None) -> str:
        """26 nov 2026; a dash for none."""
        if not value:
            return "-"
        on = date.fromisoformat(value[:10]) if isinstance(value, str) else value
        return format_date(on, "d MMM y", locale=str(self.language))

    def last_day(self, end: datetime) -> str:
        """The last day of what no longer holds from this instant on."""
        return self.day((end - timedelta(seconds=1)).astimezone(zone(self.zone)).date())

    def moment(self, value: datetime | str | None, now: datetime) -> str:
        """Vandaag 02:15, gisteren 23:00, do 19 nov 02:15, 3 aug 2025 02:15; a dash for none."""
        at = instant_of(value)
        if at is None:
            return "-"
        local, today = at.astimezone(zone(self.zone)), now.astimezone(zone(self.zone)).date()
        clock = format_time(local, "HH:mm", locale=str(self.language))
        away = (local.date() - today).days
        if away in _NEAR:
            return f"{self.gettext(_NEAR[away])} {clock}"
        form = "EEE d MMM" if local.year == today.year else "d MMM y"
        return f"{format_date(local.date(), form, locale=str(self.language))} {clock}"

    def clock(self, value: datetime | str | None) -> str:
        """08:05:12; a dash for none."""
        at = instant_of(value)
        if at is None:
            return "-"
        return format_time(at.astimezone(zone(self.zone)), "HH:mm:ss", locale=str(self.language))

    def lasted(self, value: timedelta | None) -> str:
        """6 uur, 3 minuten, 12 seconden: what is wholly past; a dash for none."""
        if value is None:
            return "-"
        return format_timedelta(_whole(value), threshold=_NEVER_MORE, locale=str(self.language))

    def ago(self, value: datetime | str | None, now: datetime) -> str:
        """6 uur geleden, over 3 minuten; a dash for none."""
        at = instant_of(value)
        if at is None:
            return "-"
        return format_timedelta(
            _whole(at - now),
            threshold=_NEVER_MORE,
            add_direction=True,
            locale=str(self.language),
        )


_UNITS: Final = (
    (timedelta(days=2), timedelta(days=1)),
    (timedelta(hours=2), timedelta(hours=1)),
    (timedelta(minutes=2), timedelta(minutes=1)),
    (timedelta(), timedelta(seconds=1)),
)
"""From how long on a duration is told in which unit."""
_NEVER_MORE: Final = 2.0
"""So many of a unit at least, or a smaller one is taken: that of the table above."""


def _whole(value: timedelta) -> timedelta:
    """A duration in whole units, never rounded up: as the engine tells it."""
    size = abs(value)
    unit = next(unit for least, unit in _UNITS if size >= least)
    whole = size // unit * unit
    return whole if value >= timedelta() else -whole


_NEAR: Final = {-1: marked("gisteren"), 0: marked("vandaag"), 1: marked("morgen")}


def instant_of(value: datetime | str | None) -> datetime | None:
    """An aware instant of what the store and the engine tell; None for nothing."""
    if not value:
        return None
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def texts_of(request: Request, *, zone: str = AMSTERDAM) -> Texts:
    """The texts for the person who asks."""
    return Texts(language_of(request), zone)


# -- choosing --------------------------------------------------------------------------------------


def own_path(text: str) -> str:
    """A path of this site to go back to; `/` for anything that might lead elsewhere."""
    plain = text.isascii() and text.isprintable() and "\\" not in text
    if not plain or len(text) > _LONGEST_PATH or not text.startswith("/") or text[:2] == "//":
        return "/"
    return text


def _is_secure(request: Request) -> bool:
    """Whether the browser came over TLS, be it to a proxy of ours: the door knows."""
    place = getattr(request.state, "place", None)
    return request.url.scheme == "https" if place is None else bool(place.is_secure)


def _choosing(language: Language) -> Callable[[Request], Awaitable[Response]]:
    async def choose(request: Request) -> Response:
        back = own_path(request.query_params.get("terug", "/"))
        answer = RedirectResponse(back, status_code=303)
        answer.set_cookie(
            COOKIE,
            str(language),
            max_age=_YEAR_SECONDS,
            secure=_is_secure(request),
            httponly=True,
            samesite="lax",
        )
        return answer

    return choose


def routes() -> list[Route]:
    """Where a person chooses his language: `/taal/en?terug=/wacht`."""
    return [Route(f"/taal/{each}", _choosing(each), methods=["GET"]) for each in Language]
