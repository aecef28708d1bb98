"""SQLite: how a connection is opened, and the Work on it.

WAL, so that readers and one writer go together; temporary tables on disk with a bounded cache, so
that memory does not grow with the number of records; `secure_delete`, because erasing a person is
deleting a salt, and that must not stay readable in a free page of the file.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Final
from weakref import WeakSet

import msgspec

from sync_engine.errors import StoreError
from sync_engine.store.dialect import Dialect, checked_name, json_list
from sync_engine.store.failures import file_error, guarded
from sync_engine.store.sessions import Session, Sessions
from sync_engine.store.values import teach_sqlite
from sync_engine.store.work import CLOSED, FETCH_ROWS, Params, Row, Work

_PRAGMAS: Final = (
    "PRAGMA main.journal_mode = WAL",
    "PRAGMA main.synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA main.secure_delete = ON",
    "PRAGMA main.cache_size = -16000",
    "PRAGMA temp_store = FILE",
    "PRAGMA temp.cache_size = -16000",
    "PRAGMA main.journal_size_limit = 67108864",
    "PRAGMA main.wal_autocheckpoint = 8000",  # 32 MB: a first load waits for the disk less often
    "PRAGMA trusted_schema = OFF",
)
_KEPT_PAGES: Final = 1000
"""A connection whose temporary file has grown beyond this (4 MB) gives it back by being closed."""


def create_file(path: Path) -> None:
    """Make an empty file with mode 0600 where there is none; SQLite's side files take its mode.

    Raises: StoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as exc:
        if isinstance(exc, FileExistsError) and path.parent.is_dir():
            return
        raise file_error(exc, doing="the database file cannot be made") from exc


def configure(connection: sqlite3.Connection) -> None:
    """Set one connection up. Raises: sqlite3.Error."""
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()


def connect(path: Path, *, busy: timedelta) -> sqlite3.Connection:
    """A connection to a file that exists, in autocommit.

    Whoever has it may hand it from thread to thread, one at a time.

    Args:
        path: the file.
        busy: how long to wait for another writer.

    Raises: StoreError.
    """
    teach_sqlite()

    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=busy.total_seconds(),
            isolation_level=None,
            cached_statements=512,
            check_same_thread=False,
        )
        try:
            configure(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    return guarded("open the database", opened)


def sessions(path: Path, *, busy: timedelta) -> Sessions[sqlite3.Connection]:
    """Connections for Work."""
    return Sessions(lambda: connect(path, busy=busy))


class _Stream:
    """Rows of one open query; can be taken off the connection, into an unlinked private file."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self._spool: IO[bytes] | None = None
        self._broken = False
        self._ended = False

    def __iter__(self) -> Iterator[Row]:
        try:
            while rows := self._take():
                yield from rows
        finally:
            self._ended = True
            if not self._broken:
                self._cursor.close()
            if self._spool is not None:
                self._spool.close()

    def _take(self) -> Sequence[Row]:
        if self._broken:
            raise StoreError("a transaction was rolled back while these rows were being read")
        if self._spool is None:
            return guarded("read rows", lambda: self._cursor.fetchmany(FETCH_ROWS))
        size = int.from_bytes(self._spool.read(8), "big")
        return msgspec.msgpack.decode(self._spool.read(size), type=list[Row]) if size else ()

    def detach(self) -> None:
        """Read what is left into a file, so that the connection no longer holds its snapshot."""
        if self._spool is not None or self._broken or self._ended:
            return
        spool = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the stream
        while rows := guarded("read rows", lambda: self._cursor.fetchmany(FETCH_ROWS)):
            frame = msgspec.msgpack.encode(rows)
            spool.write(len(frame).to_bytes(8, "big"))
            spool.write(frame)
        spool.seek(0)
        self._spool = spool

    def break_off(self) -> None:
        """What it reads is no longer there."""
        if self._spool is None and not self._ended:
            self._broken = True
            self._cursor.close()


class SqliteWork(Work):
    """Work on SQLite.

    Args:
        sessions: of the database file.
    """

    dialect = Dialect.SQLITE
    blob_type = "BLOB"
    _begin_sql = "BEGIN IMMEDIATE"
    _snapshot_sql = "BEGIN"

    def __init__(self, sessions: Sessions[sqlite3.Connection]) -> None:
        self._sessions = sessions
        self._session: Session[sqlite3.Connection] | None = sessions.take()
        self._streams: WeakSet[_Stream] = WeakSet()
        super().__init__(self._session.temporary)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._session is None:
            raise StoreError(CLOSED)
        return self._session.connection

    def execute(self, sql: str, params: Params = ()) -> list[Row]:
        """Run one statement; all its rows."""
        return guarded("run a statement", lambda: self._execute(sql, params))

    def _execute(self, sql: str, params: Params) -> list[Row]:
        connection = self._connection
        before = connection.total_changes
        try:
            rows = connection.execute(sql, params).fetchall()
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorname != "SQLITE_BUSY_SNAPSHOT" or self._in_transaction:
                raise
            # Another process wrote since one of our streams began to read: nothing can be written
            # from that old snapshot, so let go of it first.
            for stream in list(self._streams):
                stream.detach()
            rows = connection.execute(sql, params).fetchall()
        self.changes = connection.total_changes - before
        return rows

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Stream the rows of one query."""
        stream = _Stream(guarded("run a query", lambda: self._connection.execute(sql, params)))
        self._streams.add(stream)
        return iter(stream)

    def _schema(self) -> str:
        return "main"

    def many(self, column: str) -> str:
        """`column` is one of a JSON list."""
        return f"{column} IN (SELECT value FROM json_each(?))"

    def values(self, items: Sequence[str] | Sequence[int]) -> object:
        """The JSON list."""
        return guarded("make a list", lambda: json_list(items))

    def close(self) -> None:
        """Let the connection go: kept when it is tidy, and its temporary file is small."""
        session = self._session
        if session is None:
            return
        for stream in list(self._streams):
            stream.break_off()
        kept = False
        try:
            with suppress(sqlite3.Error):
                kept = self._tidy(session.connection)
        finally:
            self._session = None
            (self._sessions.give if kept else self._sessions.drop)(session)

    def _tidy(self, connection: sqlite3.Connection) -> bool:
        """Undo what is under way and empty the temporary tables; whether it may be kept."""
        if connection.in_transaction:
            connection.execute("ROLLBACK")
            return False  # what was made since it began is not known to be there
        if not self._is_tidy:
            return False
        if not self._filled:
            return True
        ((pages,),) = connection.execute("PRAGMA temp.page_count").fetchall()
        if pages > _KEPT_PAGES:
            return False
        self._empty(self._filled)
        return True

    def forget_freed(self, tables: Collection[str]) -> bool:
        """Take the log over into the file, where `secure_delete` wiped them, and cut it off."""
        ((busy, *_),) = self.execute("PRAGMA main.wal_checkpoint(TRUNCATE)")
        return not busy

    def _load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        guarded(f"load {table}", lambda: self._connection.executemany(sql, rows))

    def insert_new(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> int:
        """Insert the rows that break no unique constraint."""
        marks = ", ".join("?" * len(columns))
        listed = ", ".join(map(checked_name, columns))
        sql = (
            f"INSERT INTO {checked_name(table)} ({listed}) VALUES ({marks}) ON CONFLICT DO NOTHING"
        )
        before = self._connection.total_changes
        guarded(f"load {table}", lambda: self._connection.executemany(sql, rows))
        return self._connection.total_changes - before

    def _begin_load(self, table: str) -> str:
        # A temporary table is a file of our own: the write lock of the database is not needed.
        return "BEGIN" if table in self._temporary else self._begin_sql

    def _empty(self, tables: Collection[str]) -> None:
        for table in tables:
            self._connection.execute(f"DELETE FROM temp.{table}").close()

    def _before_rollback(self) -> None:
        for stream in list(self._streams):
            stream.break_off()
