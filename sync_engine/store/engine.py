"""Opens the hub's database: SQLite by its path, PostgreSQL by its URL.

`Store.engine` is for small reads through SQLModel; what moves data goes through `Store.work`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from config.errors import ConfigurationError
from sync_engine.errors import StoreError
from sync_engine.store import schema, sqlite
from sync_engine.store.dialect import Dialect
from sync_engine.store.failures import describe, driver_errors, store_error
from sync_engine.store.schema import INIT_ADVICE, SchemaState
from sync_engine.store.sessions import Sessions
from sync_engine.store.work import Row, Work

if TYPE_CHECKING:
    import sqlite3

    import psycopg

BUSY: Final = timedelta(seconds=30)
"""How long a writer waits for another."""

_DRIVERS: Final = {
    "sqlite": Dialect.SQLITE,
    "postgres": Dialect.POSTGRESQL,
    "postgresql": Dialect.POSTGRESQL,
    "postgresql+psycopg": Dialect.POSTGRESQL,
}
_WRITES: Final = "koppelhub_writes"
_UPGRADE_LOCK: Final = 0x6B6F7070656C6875  # "koppelhu", as an advisory lock


_Under: TypeAlias = (
    "tuple[Sessions[sqlite3.Connection] | None, Sessions[psycopg.Connection[Row]] | None]"
)


class Store:
    """One database. Safe to share between threads; each thread takes a Work of its own.

    Args:
        url: normalised; `Store.open` makes it from what a person wrote.
        busy: how long a writer waits for another.
    """

    def __init__(self, url: URL, *, busy: timedelta = BUSY) -> None:
        self.dialect: Dialect = _DRIVERS[url.drivername]
        self._url = url
        self._lay: Callable[[Work], None] | None = None
        self._all: Store = self
        self._busy = busy
        self.engine: Engine = self._engine()
        self._on_sqlite: Sessions[sqlite3.Connection] | None = None
        self._on_postgres: Sessions[psycopg.Connection[Row]] | None = None
        self._under: _Under
        if self.path is not None:
            self._on_sqlite = sqlite.sessions(self.path, busy=busy)
            self._under = (sqlite.sessions(self.path, busy=busy), None)
        else:
            from sync_engine.store import postgres  # here: a quarter of the time to start on SQLite

            self._on_postgres = postgres.sessions(url, busy=busy)
            self._under = (None, postgres.sessions(url, busy=busy))

    @classmethod
    def open(cls, url: str, *, create: bool = False, busy: timedelta = BUSY) -> Self:
        """Open a database.

        Args:
            url: `sqlite:///path` or `postgresql://…`.
            create: make the file where there is none (mode 0600), and accept any schema that
                `upgrade` can bring up to date; for `init`, `demo` and `db upgrade`.
            busy: how long a writer waits for another.

        Raises: ConfigurationError if the URL is none of the two; StoreError if the database cannot
            be reached, or its schema is older or newer than this release needs.
        """
        store = cls(_normalised(url), busy=busy)
        try:
            if store.path is not None:
                store._find_file(store.path, create=create)
            state = store.schema_state()
            if not create:
                state.refuse()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def at(cls, url: str) -> Self:
        """The place of a database, whether one is there or not; for `restore`.

        Raises: ConfigurationError if the URL is none of the two.
        """
        return cls(_normalised(url))

    @property
    def url(self) -> URL:
        """Where it is; may hold a password, so it is never shown."""
        return self._url

    @property
    def busy(self) -> timedelta:
        """How long a writer waits for another."""
        return self._busy

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database, absolute and without links."""
        if self.dialect is not Dialect.SQLITE:
            return None
        return Path(str(self._url.database)).resolve()

    def work(self) -> Work:
        """A connection of one's own, to use in a `with` statement; kept for the next when it ends.

        Raises: StoreError if the database cannot be reached.
        """
        made = self._work()
        if self._lay is not None:
            try:
                made.is_limited = True
                self._lay(made)
            except BaseException:
                made.close()
                raise
        return made

    def _work(self) -> Work:
        if self._on_sqlite is not None:
            return sqlite.SqliteWork(self._on_sqlite)
        from sync_engine.store import postgres

        return postgres.PostgresWork(self._postgres())

    @property
    def whole(self) -> Store:
        """The database with nothing laid over it."""
        return self._all

    def under(self, lay: Callable[[Work], None]) -> Store:
        """The same database, each Work of it with something laid over its tables.

        Its connections are none of those of other Works, for what lies over them stays there.

        Args:
            lay: fills the temporary tables of a Work, and makes the views that it has not yet; the
                same views whoever it is for.
        """
        made = copy(self._all)
        made._lay = lay
        made._on_sqlite, made._on_postgres = self._all._under
        return made

    @contextmanager
    def session_lock(self, name: str, *, wait: timedelta) -> Iterator[bool]:
        """PostgreSQL only: whether the lock of that name is had, as long as its connection lives.

        Raises: StoreError if the database cannot be reached.
        """
        from sync_engine.store import postgres

        with postgres.advised(self._postgres(), name, wait=wait, busy=self._busy) as had:
            yield had

    def _postgres(self) -> Sessions[psycopg.Connection[Row]]:
        if self._on_postgres is None:
            raise StoreError("this database is not on PostgreSQL")
        return self._on_postgres

    def schema_state(self) -> SchemaState:
        """Where this database stands, and what this release needs.

        Raises: StoreError if the database cannot be reached.
        """
        with self._connected("read the schema") as connection:
            return schema.schema_state(connection)

    def upgrade(self) -> SchemaState:
        """Bring the schema up to date, in one transaction, and say where it stands now.

        Raises: StoreError if the schema is of a newer release, or the migration fails.
        """
        with self._connected("upgrade the schema", write=True) as connection:
            schema.upgrade(connection)
            return schema.schema_state(connection)

    def close(self) -> None:
        """Release all connections but those in use, which are released when they are let go."""
        self.engine.dispose()
        for sessions in (self._on_sqlite, self._on_postgres, *self._all._under):
            if sessions is not None:
                sessions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Store {self.dialect}>"

    @contextmanager
    def _connected(self, doing: str, *, write: bool = False) -> Iterator[Connection]:
        failure: StoreError | None = None
        try:
            with self.engine.connect() as connection:
                connection.execution_options(**{_WRITES: write})
                if write and self.dialect is Dialect.POSTGRESQL:
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
                yield connection
                connection.commit()
        except SQLAlchemyError as exc:
            failure = StoreError(f"{doing}: {type(exc).__name__}")
        if failure is not None:
            raise failure

    @staticmethod
    def _find_file(path: Path, *, create: bool) -> None:
        if create:
            sqlite.create_file(path)
        elif not path.is_file():
            raise StoreError("the database file is not there", advice=INIT_ADVICE)

    def _engine(self) -> Engine:
        engine = create_engine(
            self._url,
            hide_parameters=True,
            creator=self._connect,
            pool_size=3,
            pool_pre_ping=self.dialect is Dialect.POSTGRESQL,  # the server may have been restarted
        )
        if self.dialect is Dialect.SQLITE:
            event.listen(engine, "begin", _begin)
        event.listen(engine, "handle_error", _without_values)
        return engine

    def _connect(self) -> Any:
        if self.path is not None:
            return sqlite.connect(self.path, busy=self._busy)
        from sync_engine.store import postgres

        connection = postgres.connect(self._url, busy=self._busy)
        connection.autocommit = False
        return connection


def _normalised(url: str) -> URL:
    """The URL as SQLAlchemy takes it. The text is never quoted: it may hold a password."""
    advice = "Gebruik sqlite:///pad/naar/koppelhub.db of postgresql://gebruiker@server/database."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    dialect = _DRIVERS.get(parsed.drivername) if parsed is not None else None
    if parsed is None or dialect is None:
        raise ConfigurationError("the database's URL is none of the two kinds", advice=advice)
    if dialect is Dialect.POSTGRESQL:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.database in {None, "", ":memory:"} or parsed.query:
        message = "the database's URL must name a file: runs take connections of their own"
        raise ConfigurationError(message, advice=advice)
    return parsed


def _begin(connection: Connection) -> None:
    """SQLite's driver is in autocommit: SQLAlchemy's transactions are begun here, DDL included."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _without_values(context: ExceptionContext) -> None:
    """What leaves the engine is a StoreError; the driver's own, chained to it, is cleaned."""
    if context.is_pre_ping:  # what is broken is replaced
        return
    original = context.original_exception
    if isinstance(original, driver_errors()):
        failure = store_error(original, doing="run a statement")
        original.args = (describe(original),)
        raise failure
