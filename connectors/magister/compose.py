"""Rows of one or more lists → records: folded per key, put together, and always the same bytes.

A raw body is JSON with sorted keys and sorted lists, so that its fingerprint does not depend on the
order of rows. Of a column that the connector does not know the name stays, for the report of schema
drift, and its value is cut: nobody asked for it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import msgspec

from connectors.base import Page
from connectors.errors import ParseError
from connectors.magister.records import read_day
from connectors.magister.wire import Row

_log = logging.getLogger(__name__)

_PAGE_RECORDS: Final = 500

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, str]).decode

Value = str | list["Body"] | list[str] | None
Body = dict[str, Value]


@dataclass(slots=True)
class Records:
    """The records of one scope, ready to be handed over.

    Attributes:
        bodies: key → raw body.
        rejected: rows without a usable key.
    """

    bodies: dict[str, bytes] = field(default_factory=dict)
    rejected: list[tuple[ParseError, bytes]] = field(default_factory=list)

    def add(self, key: str, body: Mapping[str, Value]) -> None:
        """Take one record."""
        self.bodies[key] = _encode(body)

    def reject(self, row: Row, names: Sequence[str]) -> None:
        """Set a row apart that lacks one of the columns without which it says nothing."""
        missing = next(name for name in names if not row.get(name))
        self.rejected.append((ParseError(missing, "is required and empty"), _encode(row)))

    def pages(self) -> Iterator[Page]:
        """The records by key, some hundreds at a time."""
        keys = sorted(self.bodies)
        rejected = self.rejected
        for start in range(0, max(len(keys), 1 if rejected else 0), _PAGE_RECORDS):
            part = keys[start : start + _PAGE_RECORDS]
            yield Page(part, [self.bodies[key] for key in part], rejected)
            rejected = []


def known(row: Row, names: Iterable[str], *, drop: frozenset[str] = frozenset()) -> Row:
    """The columns of a row that are read, without those that must not be."""
    return {name: row[name] for name in names if name in row and name not in drop}


def without(body: Body, names: Iterable[str]) -> Body:
    """A record without some of its fields or lists."""
    left_out = frozenset(names)
    return {name: value for name, value in body.items() if name not in left_out}


def strange(columns: Iterable[str], names: Iterable[str]) -> dict[str, None]:
    """Columns that nobody knows, without a value."""
    return dict.fromkeys(sorted(set(columns) - set(names)))


def canonical(row: Mapping[str, Value]) -> bytes:
    """A row as bytes that do not depend on the order of its columns; orders rows that are equal."""
    return _encode(row)


def day_of(row: Row, name: str) -> date:
    """A day of a row, for comparing; an absent or unreadable one is the first."""
    found = read_day(row.get(name))
    return found if isinstance(found, date) else date.min


def newest(rows: Iterable[Row]) -> Row:
    """The row of the enrolment that begins last: persons are as it shows them.

    The one rule for duplicates: the later begin, then the later end, then the order of the bytes,
    so that the order of rows never counts. Spec: section 5 (CONFIRMED: person from newest row).
    """
    return max(
        rows,
        key=lambda row: (day_of(row, "begindatum"), day_of(row, "einddatum"), canonical(row)),
    )


class Grouped(Mapping[str, "list[Row]"]):
    """Rows by a key, kept as bytes: a list is held in about three times the size of its answer."""

    def __init__(self) -> None:
        self._rows: dict[str, list[bytes]] = {}

    def add(self, key: str, row: Row) -> None:
        """Take one row."""
        self._rows.setdefault(key, []).append(_encode(row))

    def count(self, key: str) -> int:
        """How many rows a key has."""
        return len(self._rows.get(key, ()))

    def __getitem__(self, key: str) -> list[Row]:
        return [_decode(row) for row in self._rows[key]]

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def grouped(
    rows: Iterable[Row], key: Sequence[str], records: Records, *, admits: Callable[[Row], bool]
) -> Grouped:
    """Rows by the first column of their key; those without a whole key are rejected."""
    found = Grouped()
    for row in rows:
        if not all(row.get(name) for name in key):
            records.reject(row, key)
        elif admits(row):
            found.add(row[key[0]], row)
    return found


def folded(
    rows: Iterable[Row], names: Sequence[str], *, by: Sequence[str], drop: frozenset[str]
) -> list[Body]:
    """The items of a list in a record: each key once, sorted, with the columns that are read."""
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row.get(name, "") for name in by)].append(row)
    return [dict(known(newest(same), names, drop=drop)) for _, same in sorted(found.items())]


def is_active(row: Row, on: date) -> bool:
    """Whether a membership of a group counts on a day; both its days are counted in.

    Spec: section 6.1 gives `dBegin ≤ today < dEinde` for aanmeldingen; of members nothing is known.
    Counting the last day in keeps a pupil in his group a day too long rather than too short
    (ASSUMED; the assumption `magister-last-day`).
    """
    begin, end = read_day(row.get("begindatum")), read_day(row.get("einddatum"))
    if isinstance(begin, date) and begin > on:
        return False
    return not (isinstance(end, date) and end < on)


def count_strays(operation: str, number: int) -> None:
    """Say that some rows belong to no record; they are no loss, but never silent."""
    if number:
        _log.info("%s: %s rows belong to no record of this reading", operation, number)
