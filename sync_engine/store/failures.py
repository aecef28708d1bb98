"""Library errors of both drivers as StoreError, without a value: messages of drivers quote values.

PostgreSQL's messages hold rows and keys in their details, so the original never goes along in the
exception chain; what is kept is what only names things of the schema or the text of a statement.
psycopg is imported only where it is needed: it would double the time to start on SQLite.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from sync_engine.errors import StoreError

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

BUSY_ADVICE = (
    "De database is bezet: een andere run schrijft. Probeer het over een minuut opnieuw; blijft "
    "het, kijk dan met `koppelhub runs` welke run er loopt."
)
UNREACHABLE_ADVICE = (
    "De database is niet bereikbaar. Controleer of zij draait en of de plaats en de rechten in de "
    "instellingen kloppen."
)
FULL_ADVICE = (
    "De schijf waarop de database staat is vol. Er is niets half gedaan: wat niet af was, is "
    "teruggedraaid. Maak ruimte vrij (oude reservekopieën, logs) en draai het daarna opnieuw."
)
UNWRITABLE_ADVICE = (
    "In het bestand van de database, of in de map waarin het staat, kan niet geschreven worden. Er "
    "is niets half gedaan. Controleer de plaats in de instellingen, geef de gebruiker onder wie "
    "Koppelhub draait schrijfrechten op het bestand én op zijn map, en draai het daarna opnieuw."
)
READ_ONLY_ADVICE = (
    "In deze database kan niet geschreven worden: de server staat op alleen-lezen (een reserve?). "
    "Er is niets half gedaan. Laat de instellingen naar de hoofdserver wijzen en draai het daarna "
    "opnieuw."
)
LOGIN_ADVICE = (
    "De database weigert de aanmelding. Controleer de gebruiker en het wachtwoord in de "
    "instellingen."
)

_BUSY_STATES = frozenset({"55P03", "40P01", "40001"})
_BUSY_NAMES = ("SQLITE_BUSY", "SQLITE_LOCKED")
_PASSING_STATES = ("08", "57P", "53300")
"""Connection lost or not made, a server that stops or starts, too many connections."""
_FULL = frozenset({"SQLITE_FULL", "53100"})
_READ_ONLY_STATE = "25006"
_UNWRITABLE_NAMES = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")
_FULL_NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT})


def driver_errors() -> tuple[type[Exception], ...]:
    """What the drivers raise; the last three for a value that they cannot send."""
    import psycopg

    return (sqlite3.Error, psycopg.Error, OverflowError, ValueError, TypeError)


def _of_postgres(error: BaseException) -> psycopg.Error | None:
    import psycopg

    return error if isinstance(error, psycopg.Error) else None


def is_busy(error: BaseException) -> bool:
    """Whether another writer is in the way: the same statement may succeed later."""
    if (postgres := _of_postgres(error)) is not None:
        return postgres.sqlstate in _BUSY_STATES
    return getattr(error, "sqlite_errorname", "").startswith(_BUSY_NAMES)


def describe(error: BaseException) -> str:
    """Class, code and the names of the schema; never a value."""
    kind = type(error).__name__
    if (postgres := _of_postgres(error)) is not None:
        return f"{kind} {_postgres(postgres)}".rstrip()
    if isinstance(error, sqlite3.Error):
        return f"{kind} {_sqlite(error)}".rstrip()
    return f"{kind} in a value that the database cannot hold"


def _postgres(error: psycopg.Error) -> str:
    state, diagnosis = error.sqlstate, error.diag
    if state is None:  # raised on our side: placeholders and types, no values
        return str(error) if type(error).__name__ == "ProgrammingError" else ""
    if state.startswith("42"):  # syntax and names: quotes the statement only
        return f"{state} {diagnosis.message_primary or ''}"
    names = (diagnosis.table_name, diagnosis.column_name, diagnosis.constraint_name)
    return " ".join((state, *(name for name in names if name)))


def _sqlite(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if not name:  # raised by the module: bindings and types, no values
        return str(error) if isinstance(error, sqlite3.ProgrammingError) else ""
    if name.startswith("SQLITE_CONSTRAINT") or name == "SQLITE_ERROR":
        return f"{name} {error}"
    return name


def _login_refused(error: BaseException) -> bool:
    """Whether a password was asked for and was not right, or not there.

    A failed connection has no SQLSTATE; what libpq knows is whether it came to a password. Servers
    that start, stop or are full refuse before they ask for one.
    """
    postgres = _of_postgres(error)
    if postgres is None or postgres.pgconn is None or postgres.sqlstate is not None:
        return False
    from psycopg.pq import ConnStatus

    conn = postgres.pgconn
    return conn.status == ConnStatus.BAD and bool(conn.needs_password or conn.used_password)


def store_error(error: BaseException, *, doing: str) -> StoreError:
    """The StoreError that stands for a driver's error.

    Args:
        error: what the driver raised.
        doing: what was being done, in words of this code.
    """
    message = f"{doing}: {describe(error)}"
    if is_busy(error):
        return StoreError(message, advice=BUSY_ADVICE, retryable=True)
    if _login_refused(error):
        return StoreError(message, advice=LOGIN_ADVICE)
    name = getattr(error, "sqlite_errorname", "")
    postgres = _of_postgres(error)
    broken = postgres is not None and type(error).__name__ == "OperationalError"
    state = "" if postgres is None else postgres.sqlstate or ("08" if broken else "")
    if _FULL & {name, state}:
        return StoreError(message, advice=FULL_ADVICE)
    if name.startswith(_UNWRITABLE_NAMES):
        return StoreError(message, advice=UNWRITABLE_ADVICE)
    if state == _READ_ONLY_STATE:
        return StoreError(message, advice=READ_ONLY_ADVICE)
    passes = state.startswith(_PASSING_STATES)
    if passes or name.startswith("SQLITE_IOERR") or state.startswith(("57", "28", "3D")):
        return StoreError(message, advice=UNREACHABLE_ADVICE, retryable=passes)
    return StoreError(message)


def file_error(error: OSError, *, doing: str) -> StoreError:
    """The StoreError that stands for a file or folder that cannot be made or written.

    Args:
        error: what the system said.
        doing: what cannot be done, in words of this code.
    """
    full = error.errno in _FULL_NUMBERS
    advice = FULL_ADVICE if full else UNWRITABLE_ADVICE
    return StoreError(f"{doing}: {error.strerror}", advice=advice)


def guarded(doing: str, call: Callable[[], T]) -> T:
    """What `call` returns; a driver's error leaves as StoreError, with nothing chained to it.

    Raises: StoreError.
    """
    try:
        return call()
    except driver_errors() as exc:
        failure = store_error(exc, doing=doing)
    raise failure  # outside the handler: Python would chain the original to it
