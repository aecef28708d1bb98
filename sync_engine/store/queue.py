"""The queue of workers on PostgreSQL: Procrastinate's own tables, in a schema of their own.

`koppelhub db upgrade` makes them from what the installed Procrastinate brings, and later runs each
of its migrations that was not run yet, all in one transaction; which those are is kept beside them.
The core tables and Alembic know nothing of it.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import psycopg

from sync_engine.errors import StoreError
from sync_engine.store.engine import Store
from sync_engine.store.failures import guarded
from sync_engine.store.postgres import connect
from sync_engine.store.schema import UPGRADE_ADVICE

SCHEMA: Final = "procrastinate"
"""The schema in which everything of the queue stands."""

_DONE: Final = f"{SCHEMA}.koppelhub_migrations"
_LOCK: Final = 0x6B6F7070717565  # "koppque", as an advisory lock


def migrations() -> dict[str, Traversable]:
    """Every migration of the installed Procrastinate by name, in their order."""
    folder = files("procrastinate.sql") / "migrations"
    found = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".sql")}
    return dict(sorted(found.items()))


def upgrade(store: Store) -> list[str]:
    """Bring the queue to what the installed Procrastinate needs; what was run.

    One of a newer release is left as it is.
    Raises: StoreError if the database refuses.
    """
    with connect(store.url, busy=store.busy) as connection:
        return guarded("upgrade the queue", lambda: _upgrade(connection))


def ready(store: Store) -> None:
    """Make the queue where there is none at all, and do nothing where it is up to date.

    Raises: StoreError whose advice says what to do.
    """
    with connect(store.url, busy=store.busy) as connection:
        done = guarded("read the queue's schema", lambda: _done(connection))
    if done is None:
        upgrade(store)
    elif set(migrations()) - done:
        raise StoreError("the queue of workers is of an earlier release", advice=UPGRADE_ADVICE)


def _upgrade(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        done = _done(connection)
        wanted = migrations()
        if done is None:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
            columns = "name text PRIMARY KEY, at timestamptz DEFAULT now()"
            connection.execute(f"CREATE TABLE {_DONE} ({columns})".encode())
        missing = [name for name in wanted if done is None or name not in done]
        connection.execute(f"SET LOCAL search_path TO {SCHEMA}".encode())
        if done is None:
            whole = files("procrastinate.sql") / "schema.sql"
            connection.execute(whole.read_bytes())
        else:
            for name in missing:
                connection.execute(wanted[name].read_bytes())
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {_DONE} (name) VALUES (%s)".encode(), [(name,) for name in missing]
            )
        return missing


def _done(connection: psycopg.Connection[tuple[object, ...]]) -> set[str] | None:
    """The migrations that were run; None where there is no queue."""
    (found,) = connection.execute("SELECT to_regclass(%s)", (_DONE,)).fetchall()
    if found == (None,):
        return None
    return {str(name) for (name,) in connection.execute(f"SELECT name FROM {_DONE}".encode())}
