"""PostgreSQL: how a connection is opened, and the Work on it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import psycopg
from sqlalchemy.engine import URL

from sync_engine.errors import StoreError
from sync_engine.store.dialect import Dialect, array_literal, checked_name, to_psycopg
from sync_engine.store.failures import guarded, is_busy, store_error
from sync_engine.store.postgres_values import teach_postgres
from sync_engine.store.work import FETCH_ROWS, Params, Row, Work

_CHANGING: Final = ("INSERT", "UPDATE", "DELETE", "MERGE")


def connect(url: URL, *, busy: timedelta, name: str = "koppelhub") -> psycopg.Connection[Row]:
    """A connection in autocommit, its session in UTC.

    Raises: StoreError.
    """
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)

    def opened() -> psycopg.Connection[Row]:
        connection: psycopg.Connection[Any] = psycopg.connect(
            conninfo,
            autocommit=True,
            application_name=name,
            connect_timeout=15,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )
        try:
            configure(connection, busy=busy)
        except psycopg.Error:
            connection.close()
            raise
        return connection

    return guarded("connect to the database", opened)


def configure(connection: psycopg.Connection[Any], *, busy: timedelta) -> None:
    """Set one session up. Raises: psycopg.Error.

    Plans are made for each execution: temporary tables are filled anew all the time, and a plan
    that was made for ten rows is ruinous for a hundred thousand.
    """
    connection.execute(
        "SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), "
        "set_config('lock_timeout', %s, false), "
        "set_config('client_min_messages', 'warning', false), "
        "set_config('plan_cache_mode', 'force_custom_plan', false), "
        "set_config('tcp_keepalives_idle', '30', false)",
        (str(int(busy.total_seconds() * 1000)),),
    )


def advised(
    connection: psycopg.Connection[tuple[object, ...]], name: str, *, wait: timedelta
) -> bool:
    """Take the advisory lock of that name for this session; whether it is had.

    Raises: StoreError if the server cannot be asked.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"koppelhub-lease").digest()
    key = int.from_bytes(digest, "big", signed=True)
    limit = int(wait.total_seconds() * 1000)
    try:
        if limit <= 0:
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
            return row is not None and row[0] is True
        # The server queues who waits: first come, first served.
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (str(limit),))
        connection.execute("SELECT pg_advisory_lock(%s)", (key,))
    except psycopg.Error as exc:
        if is_busy(exc):
            return False
        failure = store_error(exc, doing="take a lease")
    else:
        return True
    raise failure


def let_go(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Release what a session holds, now: the server sees the end of a connection a little later."""
    with suppress(psycopg.Error):  # a session that broke holds nothing
        connection.execute("SELECT pg_advisory_unlock_all()")


class PostgresWork(Work):
    """Work on PostgreSQL.

    Args:
        url: the database.
        busy: how long to wait for another writer.
    """

    dialect = Dialect.POSTGRESQL
    blob_type = "BYTEA"
    _begin_sql = "BEGIN"
    _snapshot_sql = "BEGIN ISOLATION LEVEL REPEATABLE READ"

    def __init__(self, url: URL, *, busy: timedelta) -> None:
        super().__init__()
        self._connection = connect(url, busy=busy)
        self._connection.prepared_max = 500
        teach_postgres(self._connection)
        self._streamed = 0
        self._open: set[psycopg.ServerCursor[Row]] = set()

    def execute(self, sql: str, params: Params = ()) -> list[Row]:
        """Run one statement; all its rows."""
        return guarded("run a statement", lambda: self._execute(sql, params))

    def _execute(self, sql: str, params: Params) -> list[Row]:
        with self._connection.cursor() as cursor:
            cursor.execute(to_psycopg(sql).encode(), params)
            changing = (cursor.statusmessage or "").startswith(_CHANGING)
            self.changes = cursor.rowcount if changing else 0
            return [] if cursor.description is None else cursor.fetchall()

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Stream the rows of one query, from a cursor of the server that outlives transactions."""
        self._streamed += 1
        cursor = self._connection.cursor(f"stream_{self._streamed}", withhold=True)
        self._open.add(cursor)
        try:
            guarded("run a query", lambda: cursor.execute(to_psycopg(sql).encode(), params))
        except StoreError:
            self._end(cursor)
            raise
        return self._stream(cursor)

    def many(self, column: str) -> str:
        """`column` is one of an array."""
        return f"{column} = ANY(?)"

    def values(self, items: Sequence[str] | Sequence[int]) -> object:
        """The array."""
        return array_literal(items)

    def temp_view(self, name: str, query: str) -> None:
        """A temporary view, replaced."""
        self.execute(f"DROP VIEW IF EXISTS pg_temp.{checked_name(name)}")
        self.execute(f"CREATE TEMP VIEW {name} AS {query}")

    def close(self) -> None:
        """Release the connection."""
        for cursor in list(self._open):
            self._end(cursor)
        with suppress(psycopg.Error):
            self._connection.close()

    def _load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN"

        def copied() -> None:
            with self._connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
                for row in rows:
                    copy.write_row(row)

        guarded(f"load {table}", copied)

    def insert_new(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> int:
        """Insert the rows that break no unique constraint: copied beside the table first."""
        beside, listed = f"new_{checked_name(table)}", ", ".join(map(checked_name, columns))
        self.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {beside} AS SELECT {listed} FROM {table} WHERE false"
        )
        self._load(beside, [f'"{name}"' for name in columns], list(rows))
        self.execute(
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {beside} ON CONFLICT DO NOTHING"
        )
        added = self.changes
        self.execute(f"DELETE FROM {beside}")
        return added

    def _truncate(self, table: str) -> None:
        self.execute(f"TRUNCATE pg_temp.{table}")

    def _stream(self, cursor: psycopg.ServerCursor[Row]) -> Iterator[Row]:
        try:
            while rows := guarded("read rows", lambda: cursor.fetchmany(FETCH_ROWS)):
                yield from rows
        finally:
            self._end(cursor)

    def _end(self, cursor: psycopg.ServerCursor[Row]) -> None:
        self._open.discard(cursor)
        with suppress(psycopg.Error):
            cursor.close()
