"""Kinds of columns that the tables share."""

from datetime import datetime
from typing import Final

from sqlalchemy import Column, LargeBinary, Text, text

from sync_engine.store.values import Instant

IN_ORDER_OF_KEY: Final = {"sqlite_with_rowid": False}
"""SQLite: the table is its primary key's index, and not one beside it."""


def blob(*, nullable: bool = False, index: bool = False) -> Column[bytes]:
    """Bytes."""
    return Column(LargeBinary, nullable=nullable, index=index)


def instant(*, nullable: bool = True) -> Column[datetime]:
    """An aware instant, UTC."""
    return Column(Instant(timezone=True), nullable=nullable)


def json() -> Column[str]:
    """JSON as text, an empty object where nothing is said."""
    return Column(Text, nullable=False, server_default=text("'{}'"))
