"""SQL that both databases understand: placeholders and the types of temporary columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache

import msgspec

from sync_engine.errors import StoreError


class Dialect(StrEnum):
    """The two databases."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*'          # a string literal
    | "(?:[^"]|"")*"        # a quoted name
    | --[^\n]*              # a comment to the end of the line
    | /\*.*?\*/             # a comment
    | \? | %
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
_TYPE = re.compile(r"\b(BIGINT|BLOB|REAL|TIMESTAMP|DATE|BOOLEAN)\b", re.IGNORECASE)
_POSTGRES_TYPES = {"BLOB": "BYTEA", "REAL": "DOUBLE PRECISION", "TIMESTAMP": "TIMESTAMPTZ"}
_SQLITE_TYPES = {"TIMESTAMP": "DATETIME", "BIGINT": "INTEGER"}  # a key of it is the row's number


@lru_cache(maxsize=2048)
def to_psycopg(sql: str) -> str:
    """`?` outside literals, quoted names and comments → `%s`; every other `%` doubled."""

    def replace(match: re.Match[str]) -> str:
        part = match[0]
        return "%s" if part == "?" else part.replace("%", "%%")

    return _TOKEN.sub(replace, sql)


@lru_cache(maxsize=512)
def column_types(ddl: str, dialect: Dialect) -> str:
    """Portable column types as this database's: the DDL of `Work.temp_table`.

    They are INTEGER BIGINT TEXT BLOB REAL BOOLEAN DATE TIMESTAMP. A temporary column has the type
    of the real one, so that rows move between them without casts.
    """
    types = _POSTGRES_TYPES if dialect is Dialect.POSTGRESQL else _SQLITE_TYPES
    return _TYPE.sub(lambda match: types.get(match[0].upper(), match[0]), ddl)


def checked_name(name: str) -> str:
    """A name of a table or column that may stand in SQL.

    Raises: StoreError if it has anything but lower-case letters, digits and underscores.
    """
    if not _NAME.match(name):
        raise StoreError("a table or column has a name that is not plain")
    return name


def array_literal(values: Sequence[str] | Sequence[int]) -> str:
    """A PostgreSQL array as untyped text: it takes the type of the column beside it.

    Booleans are not values of an array here: they are ints by another name.
    """
    parts = [
        str(value)
        if isinstance(value, int)
        else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for value in values
    ]
    return "{" + ",".join(parts) + "}"


def json_list(values: Sequence[str] | Sequence[int]) -> str:
    """The same list for SQLite's `json_each`."""
    return msgspec.json.encode(values).decode()
