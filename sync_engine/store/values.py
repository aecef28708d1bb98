"""One form per kind of value, equal on SQLite and PostgreSQL, and how the drivers are taught it.

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

import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.adapt import Buffer, Dumper, Loader
from sqlalchemy import DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from psycopg import Connection


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


class _Dump(Dumper):
    """Dumped as text without a type: PostgreSQL takes the type of the column."""

    oid = 0

    def dump(self, obj: Any) -> bytes:
        return str(obj).encode()


class _DumpBool(_Dump):
    def dump(self, obj: Any) -> bytes:
        return b"1" if obj else b"0"


class _DumpDate(_Dump):
    def dump(self, obj: Any) -> bytes:
        return obj.isoformat().encode()  # type: ignore[no-any-return] # a date: registered for it


class _DumpInstant(_Dump):
    def dump(self, obj: Any) -> bytes:
        return instant_text(obj).encode()


class _DumpUuid(_Dump):
    def dump(self, obj: Any) -> bytes:
        return obj.hex.encode()  # type: ignore[no-any-return] # a UUID: registered for it


class _LoadText(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


class _LoadBool(Loader):
    def load(self, data: Buffer) -> int:
        return 1 if data == b"t" else 0


class _LoadInstant(Loader):
    """`2026-08-01 09:30:00.5+00` → `2026-08-01 09:30:00.500000`; the session's zone is UTC."""

    def load(self, data: Buffer) -> str:
        text = bytes(data).decode().removesuffix("+00")
        whole, _, part = text.partition(".")
        return f"{whole}.{part:0<6}"


class _LoadNumber(Loader):
    """`numeric`, as SUM and AVG of bigint columns are: whole where it is written whole."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode()
        return float(text) if "." in text or not text.lstrip("-").isdigit() else int(text)


class _LoadUuid(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode().replace("-", "")


def teach_postgres(connection: Connection[Any]) -> None:
    """Register both forms with one connection; its session must have TimeZone UTC."""
    adapters = connection.adapters
    for kind, dumper in (
        (bool, _DumpBool),
        (date, _DumpDate),
        (datetime, _DumpInstant),
        (UUID, _DumpUuid),
    ):
        adapters.register_dumper(kind, dumper)
    for name, loader in (
        ("bool", _LoadBool),
        ("date", _LoadText),
        ("time", _LoadText),
        ("timestamp", _LoadInstant),
        ("timestamptz", _LoadInstant),
        ("numeric", _LoadNumber),
        ("json", _LoadText),
        ("jsonb", _LoadText),
        ("uuid", _LoadUuid),
    ):
        adapters.register_loader(name, loader)
