"""PostgreSQL: how a connection is opened, and the Work on it."""

from __future__ import annotations

import hashlib
import select
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import URL

from sync_engine.errors import StoreError
from sync_engine.store.dialect import Dialect, array_literal, checked_name, to_psycopg
from sync_engine.store.failures import guarded, is_busy, store_error
from sync_engine.store.postgres_values import teach_postgres
from sync_engine.store.sessions import Session, Sessions
from sync_engine.store.work import CLOSED, FETCH_ROWS, Params, Row, Work

_CHANGING: Final = ("INSERT", "UPDATE", "DELETE", "MERGE")
_SMALL: Final = 64 * 1024
"""Bytes of a temporary table up to which its rows are deleted; of a larger one the file goes."""


def connect(url: URL, *, busy: timedelta, name: str = "koppelhub") -> psycopg.Connection[Row]:
    """A connection in autocommit, its session in UTC; the server's lists call it by that name.

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


def sessions(url: URL, *, busy: timedelta) -> Sessions[psycopg.Connection[Row]]:
    """Connections for Work, and for locks."""

    def opened() -> psycopg.Connection[Row]:
        connection = connect(url, busy=busy)
        connection.prepared_max = 500
        teach_postgres(connection)
        return connection

    return Sessions(opened, is_alive=_is_alive)


def _is_alive(connection: psycopg.Connection[Row]) -> bool:
    """Whether nothing came from the server since: it says something only to take its leave."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)


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


@contextmanager
def advised(
    sessions: Sessions[psycopg.Connection[Row]], name: str, *, wait: timedelta, busy: timedelta
) -> Iterator[bool]:
    """Hold the advisory lock of that name on a connection of its own; whether it is had.

    Raises: StoreError if the server cannot be asked.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"koppelhub-lease").digest()
    key = int.from_bytes(digest, "big", signed=True)
    session, tidy = sessions.take(), False
    try:
        had = _advise(session.connection, key, wait=wait, busy=busy)
        yield had
        with suppress(psycopg.Error):
            if had:
                session.connection.execute("SELECT pg_advisory_unlock(%s)", (key,))
            tidy = True
    finally:
        if not tidy:  # the server sees the end of a connection a little later than we do
            with suppress(psycopg.Error):
                session.connection.execute("SELECT pg_advisory_unlock_all()")
        (sessions.give if tidy else sessions.drop)(session)


def _advise(
    connection: psycopg.Connection[Row], key: int, *, wait: timedelta, busy: timedelta
) -> bool:
    try:
        if wait < timedelta(milliseconds=1):
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
            return bool(row and row[0])
        # The server queues who waits: first come, first served.
        _limit_locks(connection, wait)
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", (key,))
        finally:
            _limit_locks(connection, busy)
    except psycopg.Error as exc:
        if is_busy(exc):
            return False
        failure = store_error(exc, doing="take a lease")
    else:
        return True
    raise failure


def _limit_locks(connection: psycopg.Connection[Row], wait: timedelta) -> None:
    limit = str(int(wait.total_seconds() * 1000))
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (limit,))


class PostgresWork(Work):
    """Work on PostgreSQL.

    Args:
        sessions: of the database.
    """

    dialect = Dialect.POSTGRESQL
    blob_type = "BYTEA"
    _begin_sql = "BEGIN"
    _snapshot_sql = "BEGIN ISOLATION LEVEL REPEATABLE READ"

    def __init__(self, sessions: Sessions[psycopg.Connection[Row]]) -> None:
        self._sessions = sessions
        self._session: Session[psycopg.Connection[Row]] | None = sessions.take()
        self._streamed = 0
        self._tables = ""  # the schema that they stand in, once it was asked
        self._open: set[psycopg.ServerCursor[Row]] = set()
        super().__init__(self._session.temporary)

    @property
    def _connection(self) -> psycopg.Connection[Row]:
        if self._session is None:
            raise StoreError(CLOSED)
        return self._session.connection

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

    def _schema(self) -> str:
        if not self._tables:
            ((self._tables,),) = self.execute("SELECT quote_ident(current_schema())")
        return self._tables

    def _forget_plans(self) -> None:
        self.execute("DISCARD PLANS")

    def many(self, column: str) -> str:
        """`column` is one of an array."""
        return f"{column} = ANY(?)"

    def values(self, items: Sequence[str] | Sequence[int]) -> object:
        """The array."""
        return array_literal(items)

    def close(self) -> None:
        """Let the connection go: kept when it is tidy."""
        session = self._session
        if session is None:
            return
        for cursor in list(self._open):
            self._end(cursor)
        kept = False
        try:
            with suppress(psycopg.Error):
                kept = self._tidy(session.connection)
        finally:
            self._session = None
            (self._sessions.give if kept else self._sessions.drop)(session)

    def _tidy(self, connection: psycopg.Connection[Row]) -> bool:
        """Empty the temporary tables and let locks go; whether it may be kept."""
        under_way = connection.info.transaction_status != TransactionStatus.IDLE
        if under_way or not self._is_tidy:
            return False
        connection.execute("SELECT pg_advisory_unlock_all()")
        if self._filled:
            self._empty(self._filled)
        return True

    def forget_freed(self, tables: Collection[str]) -> bool:
        """Give the room of dead rows back, and take the statistics anew: they quote values.

        The server's own log and copies are its keeper's.
        """
        for table in sorted(tables):
            self.execute(f"VACUUM (ANALYZE) {checked_name(table)}")
        return True

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
        held = list(rows)
        if not held:
            return 0
        beside, listed = f"new_{checked_name(table)}", ", ".join(map(checked_name, columns))
        if beside not in self._filled:
            self.temp_like(beside, table, columns)
        self._load(beside, [f'"{name}"' for name in columns], held)
        self.execute(
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {beside} ON CONFLICT DO NOTHING"
        )
        added = self.changes
        self.execute(f"DELETE FROM {beside}")
        return added

    def _empty(self, tables: Collection[str]) -> None:
        """Small ones by DELETE: TRUNCATE makes new files, of the indexes too."""
        sizes = self._execute(
            "SELECT n, pg_relation_size(to_regclass('pg_temp.' || n)) "
            "FROM unnest(CAST(? AS text[])) n",
            (array_literal(sorted(tables)),),
        )
        filled = [(f"pg_temp.{name}", size) for name, size in sizes if size]
        statements = [f"DELETE FROM {name}" for name, size in filled if size <= _SMALL]
        large = [name for name, size in filled if size > _SMALL]
        if large:
            statements.append(f"TRUNCATE {', '.join(large)}")
        if statements:
            self._execute("; ".join(statements), ())

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
