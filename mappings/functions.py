"""The named pure functions that rows of a mapping name. They serve every system.

Each takes what a typed source record holds (never None) and gives what a canonical field holds:
a value, None for *delivered as empty*, or NOT_DELIVERED where the value says nothing. What breaks a
rule raises RuleBrokenError or InvalidIdentifierError, without the value. The first line of a
docstring is the row's text in the documentation of a mapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from functools import lru_cache
from math import isfinite
from operator import attrgetter
from typing import Final, TypeVar

from mappings import normalise
from mappings.canonical.fields import NOT_DELIVERED, Adres, Delivered, Kind, NotDelivered
from mappings.errors import RuleBrokenError
from sector.codes.geslacht import Geslacht
from sector.identifiers import (
    Brin,
    Bsn,
    EckId,
    Emailadres,
    Identifier,
    Leerlingnummer,
    Onderwijsnummer,
    Schooljaar,
    Vestigingsnummer,
)

I = TypeVar("I", bound=Identifier)  # noqa: E741 - the usual letter of a type variable

_GESLACHT: Final = {
    "man": "M",
    "m": "M",
    "vrouw": "V",
    "v": "V",
    "onbekend": "O",
    "o": "O",
}
_UUID: Final = attrgetter("uuid")
LARGEST: Final = 2**31 - 1
"""No whole number of the canonical schema is larger: a database's INTEGER holds four bytes."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise RuleBrokenError("must be text")
    return value


def text(value: object) -> str | None:
    """The text, with white space and invisible signs tidied; an empty one is empty."""
    if type(value) is str and value.isascii() and value.isprintable() and "  " not in value:
        return value.strip() or None  # as `tidy` would; nearly every text is so
    return normalise.tidy(_text(value)) or None


def whole(value: object) -> int:
    """The whole number."""
    if type(value) is not int:
        raise RuleBrokenError("must be a whole number")
    if not -LARGEST <= value <= LARGEST:
        raise RuleBrokenError("must fit a whole number of four bytes")
    return value


def flag(value: object) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise RuleBrokenError("must be true or false")
    return value


def numeric(value: object) -> float:
    """The number."""
    if type(value) not in {int, float} or not isfinite(value):  # type: ignore[arg-type] # a number by then
        raise RuleBrokenError("must be a number")
    return float(value)  # type: ignore[arg-type] # as above


def day(value: object) -> date:
    """The day."""
    if isinstance(value, str):
        return normalise.day(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise RuleBrokenError("must be a date (YYYY-MM-DD)")


def day_after(last: object, first: object = None) -> date:
    """The day after an inclusive last day (half-open); not before the first day."""
    end = normalise.following(day(last))
    if first is not None and end <= day(first):
        raise RuleBrokenError("must not be before the first day")
    return end


def geslacht(value: object) -> str:
    """M, V or O."""
    code = _GESLACHT.get(_text(value).strip().lower())
    if code is None:
        raise RuleBrokenError(f"must be one of {', '.join(Geslacht)}, or the word")
    return code


def email(value: object) -> str | None:
    """The e-mail address, its domain in lower case."""
    address = _text(value)
    return Emailadres.check(address) if address.strip() else None


def telefoon(value: object) -> str | None:
    """The number as `+31…`; as written where it cannot be read as a number."""
    return normalise.telephone(_text(value)) or None


def schooljaar(value: object) -> str | None:
    """The schooljaar as `2026/2027`."""
    year = _year(_text(value))
    return None if year is None else year[0]


def schooljaar_start(value: object) -> date | None:
    """1 August of the schooljaar."""
    year = _year(_text(value))
    return None if year is None else year[1]


def schooljaar_end(value: object) -> date | None:
    """1 August after the schooljaar (half-open)."""
    year = _year(_text(value))
    return None if year is None else year[2]


@lru_cache(maxsize=256)
def _year(written: str) -> tuple[str, date, date] | None:
    """A schooljaar with its first day and its end; every group of a school has the same one."""
    if not written.strip():
        return None
    year = Schooljaar(written)
    return year.reveal(), year.first_day, year.end


def mark(value: object) -> str | None:
    """The result as it was given."""
    return text(value)


def mark_number(value: object) -> float | None:
    """The result as a number; empty where it is none (`V`, `G`)."""
    return normalise.number(_text(value))


def reference(value: object) -> str | None:
    """The source's key of the record that is referred to."""
    return _text(value).strip() or None


def leerlingnummer(value: object) -> Leerlingnummer | None:
    """The leerlingnummer."""
    if type(value) is int:
        return Leerlingnummer(str(value))
    return _identifier(Leerlingnummer, value)


def eck_id(value: object) -> EckId | None:
    """The ECK iD, exactly as it is."""
    return _identifier(EckId, value)


def bsn(value: object) -> Bsn | None:
    """The BSN."""
    return _identifier(Bsn, value)


def onderwijsnummer(value: object) -> Onderwijsnummer | None:
    """The onderwijsnummer."""
    return _identifier(Onderwijsnummer, value)


def _identifier(kind: type[I], value: object) -> I | None:
    if isinstance(value, kind):
        return value
    written = _text(value)
    return kind(written) if written.strip() else None


def _items(value: object) -> Iterable[object]:
    if not isinstance(value, tuple | list):
        raise RuleBrokenError("must be a list")
    return value


def members(value: object) -> tuple[str, ...]:
    """The keys of the members, sorted, each once: their order has no meaning."""
    items = _items(value)
    try:
        keys = set(map(_UUID, items))
    except AttributeError:  # they are keys themselves
        keys = set()
    if set(map(type, keys)) == {str} and "" not in keys:
        return tuple(sorted(keys))
    return tuple(sorted(set(_keys(items))))


def _keys(value: object) -> Iterator[str]:
    for item in _items(value):
        key = getattr(item, "uuid", item)
        if not isinstance(key, str) or not key:
            raise RuleBrokenError("must be a list of keys")
        yield key


def texts(value: object) -> tuple[str, ...]:
    """The texts, sorted, each once."""
    found = {normalise.tidy(_text(item)) for item in _items(value)}
    return tuple(sorted(found - {""}))


def wholes(value: object) -> tuple[int, ...]:
    """The whole numbers, sorted, each once."""
    return tuple(sorted({whole(item) for item in _items(value)}))


def brins(value: object) -> tuple[str, ...]:
    """The BRINs in the source's order (the first is the default), each once."""
    return tuple(dict.fromkeys(Brin.check(_text(item)) for item in _items(value)))


def first_brin(value: object) -> str | None:
    """The first BRIN."""
    return next(iter(brins(value)), None)


def vestigingsnummers(value: object) -> tuple[str, ...]:
    """The vestigingsnummers (BRIN6) in the source's order, each once."""
    return tuple(dict.fromkeys(Vestigingsnummer.check(_text(item)) for item in _items(value)))


def first_vestigingsnummer(value: object) -> str | None:
    """The first vestigingsnummer."""
    return next(iter(vestigingsnummers(value)), None)


def same_list(value: object) -> tuple[str | int, ...]:
    """The texts or whole numbers of the list, as they stand."""
    return tuple(
        whole(item) if type(item) is int else normalise.tidy(_text(item)) for item in _items(value)
    )


def adres(value: object) -> Delivered[Adres]:
    """The address, with its postcode as `1234AB` and the suffix apart from the house number."""
    if not hasattr(value, "postcode"):
        raise RuleBrokenError("must be an address")
    if getattr(value, "dropped", None):
        return NOT_DELIVERED  # a part of it broke a rule: without that part it says another place
    number, suffix = _house(value)
    code = _part(value, "postcode")
    parts = (
        _part(value, "straat"),
        number,
        suffix,
        None if code is None else normalise.postcode(code) or None,
        _part(value, "woonplaats"),
        _part(value, "land"),
        _part(value, "buitenlands_adres"),
    )
    if not any(parts):
        return None
    return Adres(**dict(zip(Adres.__struct_fields__, parts, strict=True)))


def same_adres(value: object) -> Delivered[Adres]:
    """The address, from parts that are named as the canonical ones."""
    if isinstance(value, dict):
        parts = {name: value.get(name) for name in Adres.__struct_fields__}
    elif not hasattr(value, "postcode"):
        raise RuleBrokenError("must be an address")
    else:
        parts = {name: getattr(value, name, None) for name in Adres.__struct_fields__}
    if any(part is not None and not isinstance(part, str) for part in parts.values()):
        raise RuleBrokenError("must be an address of texts")
    tidied = {name: normalise.tidy(part) or None for name, part in parts.items() if part}
    if "postcode" in tidied:
        tidied["postcode"] = normalise.postcode(str(tidied["postcode"]))
    return _address(**tidied)


def _address(**parts: str | None) -> Delivered[Adres]:
    return Adres(**parts) if any(parts.values()) else None


def _part(address: object, name: str) -> str | None:
    value = getattr(address, name, None)
    return None if value is None else text(value)


def _house(address: object) -> tuple[str | None, str | None]:
    """House number and suffix, from apart where they stand apart."""
    suffix = _part(address, "huisnummer_toevoeging")
    apart = _part(address, "huisnummer_zonder_toevoeging")
    if apart is not None:
        return apart, suffix
    joined = _part(address, "huisnummer")
    if joined is None:
        return None, suffix
    number, found = normalise.house_number(joined)
    return number, found or suffix


def same(value: object) -> object | NotDelivered:
    """The value as it stands."""
    return value


BY_KIND: Final = {
    Kind.TEXT: text,
    Kind.DATE: day,
    Kind.INTEGER: whole,
    Kind.NUMBER: numeric,
    Kind.BOOLEAN: flag,
    Kind.LIST: same_list,
    Kind.PERIOD_START: day,
    Kind.PERIOD_END: day,
    Kind.REFERENCE: reference,
    Kind.MEMBERS: members,
    Kind.ADDRESS: same_adres,
}
"""The function of a field whose source spells and means it as the canonical schema does."""

BY_ROLE: Final = {
    "email": email,
    "leerlingnummer": leerlingnummer,
    "eck_id": eck_id,
    "bsn": bsn,
    "onderwijsnummer": onderwijsnummer,
    "personeelsnummer": text,
}
"""As `BY_KIND`, for contacts and identifiers; every other contact is a telephone number."""
