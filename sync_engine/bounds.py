"""Bounds: what no column of the core can hold is one record's fault, and not the run's.

The last line of defence: mappings refuse such a value first, with the field as the source names it.
It stands here as well because a mapping may come from another package.
"""

from __future__ import annotations

from functools import cache

from config.errors import RecordError
from mappings.canonical.fields import Canonical, Entity, Kind
from mappings.canonical.schema import ENTITY_OF, fields_of
from mappings.functions import LARGEST


def check_bounds(record: Canonical) -> None:
    """Refuse a whole number that a column of four bytes cannot hold.

    Units: -2,147,483,647 to 2,147,483,647 (PostgreSQL's INTEGER, on both sides of zero).
    Raises: RecordError with the canonical field.
    """
    for name in _whole_numbers(ENTITY_OF[type(record)]):
        value = getattr(record, name)
        if type(value) is int and not -LARGEST <= value <= LARGEST:
            raise RecordError(name, "must fit a whole number of four bytes", source_key=record.key)


@cache
def _whole_numbers(entity: Entity) -> tuple[str, ...]:
    return tuple(name for name, field in fields_of(entity).items() if field.kind is Kind.INTEGER)
