"""One form per kind of value, equal on SQLite and PostgreSQL, and how sqlite3 is taught it.

| kind      | written as                | read back through `Work` as                              |
|-----------|---------------------------|----------------------------------------------------------|
| boolean   | bool                      | int, 0 or 1 (SQL says TRUE, FALSE, `flag`, `NOT flag`)   |
| date      | date or ISO text          | str, `2026-08-01`                                        |
| instant   | aware datetime            | str in UTC, `2026-08-01 09:30:00.000000`: sorts as text  |
| number    | int, float, Decimal       | int where it is whole in the database, else float        |
| JSON      | str                       | str                                                      |
| blob      | bytes                     | bytes                                                    |

SQLite has no types for these, so the text is what stands in the file; it is the text that
SQLAlchemy writes there too, so that small reads through SQLModel and `Work` agree.
"""

from __future__ import annotations

import operator
import os
import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Integer
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


def instant_text(value: datetime) -> str:
    """An aware instant in the one form that the store keeps.

    Raises: ValueError if the instant is naive.
    """
    if value.tzinfo is None:
        message = "an instant needs a time zone"
        raise ValueError(message)
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def instant(text: str) -> datetime:
    """The aware instant that a row of `Work` holds as text.

    Raises: ValueError if it is not an instant.
    """
    value = datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Number = BigInteger().with_variant(Integer(), "sqlite")
"""The hub's own numbers. In SQLite only INTEGER is a row's own number; it holds eight bytes."""


class Instant(TypeDecorator[datetime]):
    """A column of aware UTC instants: `DateTime(timezone=True)` that SQLite does not make naive."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; naive instants are refused."""
        if value is not None and value.tzinfo is None:
            message = "an instant needs a time zone"
            raise ValueError(message)
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def teach_sqlite() -> None:
    """Register the written forms with the sqlite3 module; it keeps one table for the process.

    Its own adapters (deprecated since Python 3.12) would write instants in whatever zone and
    precision they come.
    """
    sqlite3.register_adapter(date, date.isoformat)
    sqlite3.register_adapter(datetime, instant_text)
    sqlite3.register_adapter(UUID, lambda value: value.hex)
    sqlite3.register_adapter(Decimal, float)
    # As they are. Of a kind without an adapter the module looks for three more ways to adapt each
    # value, which takes as long again as storing it.
    nothing: dict[None, None] = {}
    sqlite3.register_adapter(type(None), nothing.get)
    sqlite3.register_adapter(bool, operator.index)
    sqlite3.register_adapter(bytes, os.fspath)
