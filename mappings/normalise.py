"""Names, dates, postcodes, telephone numbers and marks in one form. Pure; the original stays.

Two kinds of function stand here. `match_form` and what builds on it make a form to *compare* with
(correlation); it is never stored in the place of the original. The others tidy a value without
changing what it says; what they refuse they refuse by a rule, never by showing the value.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from mappings.errors import RuleBrokenError
from sector.identifiers import InvalidIdentifierError, Postcode, Telefoonnummer

_CACHED: Final = 1 << 16

_LETTERS: Final = str.maketrans(
    {
        "ø": "o",
        "æ": "ae",
        "œ": "oe",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "\u0131": "i",
        "ħ": "h",
        "ŋ": "n",
        "ə": "e",
    }
)
"""Letters that Unicode does not take apart into a letter and a sign."""

_INVISIBLE: Final = dict.fromkeys(
    [0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, 0x00AD, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
"""Signs without a shape: they make equal names differ and texts show in another order."""

_FORBIDDEN: Final = frozenset({"Cc", "Cs", "Cn"})

_PREFIX_WORDS: Final = frozenset(
    {"'n", "'s", "'t", "a", "aan", "af", "al", "am", "auf", "aus", "bij", "bin", "da", "dal"}
    | {"dalla", "das", "de", "dei", "del", "della", "den", "der", "des", "di", "die", "do", "don"}
    | {"dos", "du", "el", "ein", "het", "im", "in", "l", "la", "las", "le", "les", "lo", "los"}
    | {"of", "onder", "op", "over", "s", "t", "te", "ten", "ter", "tho", "thoe", "toe", "tot"}
    | {"uijt", "uit", "und", "unter", "van", "vanden", "vander", "vd", "ver", "vom", "von", "voor"}
    | {"vor", "zu", "zum", "zur"}
)
"""Words that tussenvoegsels are made of; only for comparing names, never for storing them."""

_JOINED_PREFIX: Final = re.compile(r"(?:d'|l'|dell'|dall'|j')(?=\w)", re.IGNORECASE).match
_ISO_DAY: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})").fullmatch
_ISO_MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"(Z?)(?:([+-])([0-9]{2}):?([0-9]{2}))?"
).fullmatch
_MARK: Final = re.compile(r"(-?[0-9]{1,6})(?:[.,]([0-9]{1,6}))?").fullmatch
_HOUSE: Final = re.compile(r"([0-9]{1,6})\s*[-/ ]?\s*(.*)", re.DOTALL).fullmatch


def tidy(text: str) -> str:
    """The text without invisible signs, with each run of white space as one space.

    Composed (NFC), so that the two ways to write an accented letter are one. Nothing else changes.

    Raises: RuleBrokenError if it holds control characters, or code points that are no characters.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split()) if "  " in text else text.strip()
    text = " ".join(unicodedata.normalize("NFC", text.translate(_INVISIBLE)).split())
    if not text.isprintable() and any(unicodedata.category(sign) in _FORBIDDEN for sign in text):
        raise RuleBrokenError("holds control characters")
    return text


@lru_cache(maxsize=_CACHED)
def match_form(text: str) -> str:
    """The text for comparison: case folded, without diacritics, punctuation and spaces.

    `van 't Hôf-Jansen` → `vanthofjansen`. Letters of other scripts stay as they are. May be empty.
    """
    if text.isascii():
        return "".join(filter(str.isalnum, text.lower()))
    apart = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", apart)))


@lru_cache(maxsize=_CACHED)
def split_voorvoegsel(achternaam: str) -> tuple[str, str]:
    """A surname with its tussenvoegsel in front → (tussenvoegsel, rest), as spelled.

    `van der Zand` → (`van der`, `Zand`); `d'Hondt` → (`d'`, `Hondt`). At least one word is left as
    the surname: `De` alone is a name. A surname that begins with a capital may lose it here
    (`Van Dijk`, as Belgians write): this is for comparing, not for storing.
    """
    words = achternaam.split()
    count = 0
    while (
        count < len(words) - 1 and words[count].casefold().replace("\u2019", "'") in _PREFIX_WORDS
    ):
        count += 1
    rest = " ".join(words[count:])
    joined = _JOINED_PREFIX(rest.replace("\u2019", "'"))
    if joined and len(rest) > joined.end():
        return " ".join([*words[:count], rest[: joined.end()]]), rest[joined.end() :]
    return " ".join(words[:count]), rest


def surname_form(achternaam: str, voorvoegsel: str | None = None) -> str:
    """One form for a surname, whether its tussenvoegsel stands apart, in front or behind a comma.

    `Zand` with `van der`, `van der Zand`, and `Zand, van der` compare equal.
    """
    if not voorvoegsel and "," in achternaam:
        achternaam, _, voorvoegsel = achternaam.partition(",")
    if not voorvoegsel:
        voorvoegsel, achternaam = split_voorvoegsel(achternaam)
    return match_form(f"{voorvoegsel} {achternaam}")


def initials(names: str) -> str:
    """First names → their initials with dots: `Noortje Maria` → `N.M.`."""
    return "".join(f"{part[0].upper()}." for part in re.split(r"[\s.\-]+", names) if part)


@lru_cache(maxsize=_CACHED)
def voorletters_form(text: str) -> str:
    """Initials for comparison, however spelled: `N.M.`, `NM`, `n m` → `nm`.

    `Th.` and `Chr.` keep their letters: nobody can tell whether `TH` is one name or two.
    """
    return match_form(text)


def day(text: str) -> date:
    """A day as `YYYY-MM-DD`.

    Raises: RuleBrokenError if it has another form, or does not exist.
    Spec: somtoday.md, section 4 (CONFIRMED).
    """
    match = _ISO_DAY(text)
    if match is None or not text.isascii():
        raise RuleBrokenError("must be a date (YYYY-MM-DD)")
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise RuleBrokenError("must be a date that exists") from None


def following(last: date) -> date:
    """The day after an inclusive last day: the end of the half-open period.

    Raises: RuleBrokenError for the last day that a calendar has.
    """
    if last >= date.max:
        raise RuleBrokenError("must be a date that has a day after it")
    return last + timedelta(days=1)


def moment(text: str) -> datetime:
    """A date-time with its offset, read leniently.

    Units: up to nine decimals are read, six are kept. An offset after `Z` wins over it: one example
    of the description is written `…Z+02:00`.
    Raises: RuleBrokenError if it has no such form, names no offset, or does not exist.
    Spec: somtoday.md, section 4 (CONFIRMED).
    """
    match = _ISO_MOMENT(text.strip())
    if match is None or not text.isascii():
        raise RuleBrokenError("must be a date and time (YYYY-MM-DDThh:mm:ss) with an offset")
    day_text, hours, minutes, seconds, fraction, zulu, sign, off_hours, off_minutes = match.groups()
    if sign is None and not zulu:
        raise RuleBrokenError("must name its offset from UTC")
    try:
        offset = timedelta(hours=int(off_hours or 0), minutes=int(off_minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
        on = day(day_text)
        micro = int((fraction or "0").ljust(6, "0")[:6])
        return datetime(
            on.year, on.month, on.day, int(hours), int(minutes), int(seconds or 0), micro, zone
        )
    except RuleBrokenError:
        raise
    except ValueError:
        raise RuleBrokenError("must be a date and time that exist") from None


@lru_cache(maxsize=_CACHED)
def postcode(text: str) -> str:
    """A Dutch postcode as `1234AB`; anything else, a foreign one included, tidied as it is."""
    try:
        return Postcode.check(text)
    except InvalidIdentifierError:
        return tidy(text)


@lru_cache(maxsize=_CACHED)
def telephone(text: str) -> str:
    """A telephone number as `+31612345678`; what cannot be read as one stays as it was written.

    Schools write more than a number in this field (`06 12345678 (moeder)`); dropping that would
    lose the only way to reach somebody.
    Spec: somtoday.md, section 11, SDS tools (the normalisation); keeping the rest is our decision.
    """
    try:
        return Telefoonnummer.check(text)
    except InvalidIdentifierError:
        return tidy(text)


@lru_cache(maxsize=4096)
def number(mark: str) -> float | None:
    """A mark as a number, where it is one: `7,2`, `7.2`, `10` → float; `V`, `G`, `vr` → None.

    Units: as the school gives marks; no scale is assumed.
    Spec: somtoday.md, section 6.11 (ASSUMED: comma, point or letters).
    """
    match = _MARK(mark.strip())
    if match is None or not mark.isascii():
        return None
    return float(f"{match[1]}.{match[2] or 0}")


def house_number(text: str) -> tuple[str, str | None]:
    """A house number that may hold its suffix → (number, suffix): `12b`, `12-b` → (`12`, `b`).

    A text that does not begin with a digit stays whole.
    """
    tidied = tidy(text)
    match = _HOUSE(tidied)
    if match is None:
        return tidied, None
    return match[1], match[2] or None
