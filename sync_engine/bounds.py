"""Bounds: what no column of the core can hold is one record's fault, and not the run's.

The last line of defence: mappings refuse such a value first, with the field as the source names it.
It stands here as well because a mapping may come from another package.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import msgspec

from config.errors import RecordError
from mappings.canonical.fields import Canonical, Entity, Kind
from mappings.canonical.schema import ENTITY_OF, fields_of
from mappings.functions import LARGEST

_NUL = b"\\u0000"
"""How JSON writes the one character that no PostgreSQL text column takes."""


def check_bounds(record: Canonical, form: bytes) -> None:
    """Refuse a whole number that a column of four bytes cannot hold, and text with a NUL.

    Args:
        record: what a mapping made.
        form: the same, encoded.

    Units: -2,147,483,647 to 2,147,483,647 (PostgreSQL's INTEGER, on both sides of zero).
    Raises: RecordError with the canonical field.
    """
    if _NUL in form:  # rare, so that a quick look at the whole record comes first
        _check_text(record, form)
    for name in _whole_numbers(ENTITY_OF[type(record)]):
        value = getattr(record, name)
        if type(value) is int and not -LARGEST <= value <= LARGEST:
            raise RecordError(name, "must fit a whole number of four bytes", source_key=record.key)


def _check_text(record: Canonical, form: bytes) -> None:
    for name, value in msgspec.json.decode(form).items():
        if any("\x00" in text for text in _texts(value)):
            key = record.key.replace("\x00", "")
            raise RecordError(name, "holds a NUL character", source_key=key)


def _texts(value: object) -> Iterator[str]:
    """Every text of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


@cache
def _whole_numbers(entity: Entity) -> tuple[str, ...]:
    return tuple(name for name, field in fields_of(entity).items() if field.kind is Kind.INTEGER)
