"""The one connection of a run: it has the run's temporary tables and speaks to the driver itself.

SQL is written once, for both databases: `?` for a parameter, TRUE and FALSE for booleans, ON
CONFLICT for upserts. values.py says which Python types go in and come out. A Work belongs to one
thread.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, ClassVar, Self, TypeAlias

from sync_engine.errors import StoreError
from sync_engine.store.dialect import Dialect, checked_name, column_types
from sync_engine.store.failures import guarded

Row: TypeAlias = tuple[Any, ...]
Params: TypeAlias = Sequence[object]

FETCH_ROWS = 2_000
"""Rows of a stream that are in memory at once."""
LOAD_ROWS = 5_000
"""Rows of a load that are in memory at once."""
CLOSED = "this Work is closed"
_VIEW = "CREATE TEMP VIEW"


class Work(ABC):
    """One connection, outside transactions in autocommit.

    Attributes:
        dialect: the database's kind.
        blob_type: its type of bytes, for SQL of one's own.
        changes: rows that the last `execute` inserted, updated or deleted; 0 after a query.
        is_limited: views that show a part hide its tables; see `Store.under`.
        longest_hold: seconds of the longest transaction so far, from its begin to its end.
    """

    dialect: ClassVar[Dialect]
    blob_type: ClassVar[str]
    _begin_sql: ClassVar[str]
    _snapshot_sql: ClassVar[str]

    def __init__(
        self, temporary: dict[str, str], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.changes = 0
        self.is_limited = False
        self.longest_hold = 0.0
        self._monotonic = monotonic
        self._in_transaction = False
        self._temporary = temporary  # of the connection: name → how it was made
        self._filled: set[str] = set()  # of those the tables that this Work was given
        self._before: dict[str, str | None] = {}  # how it stood when the transaction began
        self._half_made = False  # making one was broken off: the connection is not to be kept
        self._covered = False  # views stand in the place of tables: nor then

    @abstractmethod
    def execute(self, sql: str, params: Params = ()) -> list[Row]:
        """Run one statement; all its rows, or none.

        Raises: StoreError.
        """

    @abstractmethod
    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Run one query and stream its rows in bounded memory.

        Other statements may run on this Work meanwhile, transactions too. Do not write the tables
        that are being read: whether the stream sees it differs per database. A stream that was open
        when a transaction rolled back may end in a StoreError.

        Raises: StoreError, at once or while iterating.
        """

    def real(self, table: str) -> str:
        """A table as SQL names it, whole also on a Work that is limited."""
        return self.base(table) if self.is_limited else table

    def base(self, table: str) -> str:
        """A real table as SQL names it, whatever covers it."""
        return f"{self._schema()}.{checked_name(table)}"

    @contextmanager
    def covered(self, views: Mapping[str, str]) -> Iterator[None]:
        """Views in the place of real tables, for as long as it lasts.

        Begun outside transactions, and not on a Work that is limited. The connection is kept only
        where all of them went.

        Args:
            views: table → what is read in its place; a real table is named there by `base`.

        Raises: StoreError.
        """
        self._covered = True
        for name, query in views.items():
            self.execute(f"{_VIEW} {checked_name(name)} AS {query}")
        self._forget_plans()
        try:
            yield
        finally:
            for name in views:
                self.execute(f"DROP VIEW {name}")
            self._forget_plans()
        self._covered = False

    def _forget_plans(self) -> None:  # noqa: B027 -- one database does so by itself
        """Find tables anew by their names in statements that were prepared before."""

    @property
    def _is_tidy(self) -> bool:
        """Whether nothing that was made here was left halfway."""
        return not (self._half_made or self._covered)

    @abstractmethod
    def _schema(self) -> str:
        """The schema of the real tables."""

    @abstractmethod
    def many(self, column: str) -> str:
        """SQL that says that `column` is one of a list; its parameter is `values(list)`."""

    @abstractmethod
    def values(self, items: Sequence[str] | Sequence[int]) -> object:
        """The parameter of `many`, of any length; takes the type of the column."""

    @abstractmethod
    def close(self) -> None:
        """Let the connection go; what was not committed is rolled back. Once is enough."""

    @abstractmethod
    def _load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert some rows. Raises: StoreError."""

    @abstractmethod
    def insert_new(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> int:
        """Insert the rows that break no unique constraint, inside a transaction; how many.

        Of rows that break one together the first stays. Holds all rows in memory: for a batch.

        Raises: StoreError.
        """

    @abstractmethod
    def _empty(self, tables: Collection[str]) -> None:
        """Empty temporary tables. Raises: as the driver."""

    def _begin_load(self, table: str) -> str:
        """How to begin a transaction for a load only."""
        return self._begin_sql

    def _before_rollback(self) -> None:  # noqa: B027 -- one database has nothing to do here
        """Let go of what a rollback ends."""

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
        """Insert many rows, all or none; how many. The iterable may read from this Work itself.

        Outside a transaction the load is one of its own, begun when the first rows are there: give
        a real table rows that come quickly.

        Raises: StoreError.
        """
        source = iter(rows)
        first = list(islice(source, LOAD_ROWS))
        if not first:
            return 0
        checked_name(table)
        quoted = [f'"{checked_name(column)}"' for column in columns]
        if self._in_transaction:
            return self._load_all(table, quoted, first, source)
        with self._transaction(self._begin_load(table)):
            return self._load_all(table, quoted, first, source)

    def _load_all(
        self,
        table: str,
        columns: Sequence[str],
        first: Sequence[Sequence[object]],
        rest: Iterator[Sequence[object]],
    ) -> int:
        total, chunk = 0, first
        while chunk:
            self._load(table, columns, chunk)
            total += len(chunk)
            chunk = list(islice(rest, LOAD_ROWS))
        self.changes = total
        return total

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A write transaction: all of it or nothing; takes SQLite's write lock at once.

        Raises: StoreError if one is under way already, or if the lock is not had in time.
        """
        with self._transaction(self._begin_sql):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """One moment of the database for all that is read within; whoever writes goes on writing.

        Temporary tables may be written, others not: read only.
        Raises: StoreError if a transaction is under way already.
        """
        with self._transaction(self._snapshot_sql):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        if self._in_transaction:
            raise StoreError("a transaction is under way already on this connection")
        self.execute(begin)
        self._in_transaction = True
        self._before.clear()
        since = self._monotonic()
        try:
            yield
            changes = self.changes
            self.execute("COMMIT")
            self.changes = changes
        except BaseException:
            with suppress(StoreError):  # what went wrong first is what matters
                self._before_rollback()
                self.execute("ROLLBACK")
            self._temporary.update({n: made for n, made in self._before.items() if made})
            for name in [n for n, made in self._before.items() if not made]:
                self._temporary.pop(name, None)
            raise
        finally:
            self._in_transaction = False
            self.longest_hold = max(self.longest_hold, self._monotonic() - since)

    def temp_table(self, name: str, ddl: str, *, index: Sequence[str] = ()) -> None:
        """A temporary table of this connection, empty.

        Args:
            name: plain; it hides a real table of that name.
            ddl: columns and constraints, in the types INTEGER BIGINT TEXT BLOB REAL BOOLEAN DATE
                TIMESTAMP; no column is named as a type.
            index: of each index what comes after ON and the name of the table: `(a, b)`.

        Raises: StoreError.
        """
        columns = column_types(ddl, self.dialect)
        indexes = [
            f"CREATE INDEX {name}_{number} ON {name} {of}" for number, of in enumerate(index, 1)
        ]
        self._table(name, [f"CREATE TEMP TABLE {name} ({columns})", *indexes])

    def temp_like(self, name: str, table: str, columns: Sequence[str]) -> None:
        """A temporary table of this connection, empty, with some columns of a real one.

        Raises: StoreError.
        """
        listed = ", ".join(map(checked_name, columns))
        made = f"CREATE TEMP TABLE {name} AS SELECT {listed} FROM {checked_name(table)} WHERE false"
        self._table(name, [made])

    def _table(self, name: str, statements: Sequence[str]) -> None:
        """Make it, unless the connection has it; then empty it, unless nobody here filled it."""
        made = "; ".join(statements)
        known = self._temporary.get(checked_name(name))
        if known == made:
            if name in self._filled:
                guarded("empty a temporary table", lambda: self._empty([name]))
        else:
            with self._making():
                if known is not None:
                    self._drop_table(name)
                for statement in statements:
                    self.execute(statement)
                self._remember(name, made)
        self._filled.add(name)

    def _drop_table(self, name: str) -> None:
        """Remove a temporary table, and the views through which it is read."""
        for view, made in list(self._temporary.items()):
            if made.startswith(_VIEW) and re.search(rf"\b{name}\b", made):
                self.execute(f"DROP VIEW {view}")
                self._remember(view, None)
        self.execute(f"DROP TABLE {name}")
        self._remember(name, None)

    def temp_view(self, name: str, query: str) -> None:
        """A temporary view of this connection, in the place of one of that name.

        Raises: StoreError.
        """
        made = f"{_VIEW} {checked_name(name)} AS {query}"
        known = self._temporary.get(name)
        if known == made:
            return
        with self._making():
            if known is not None:
                self.execute(f"DROP VIEW {name}")
            self.execute(made)
            self._remember(name, made)

    @contextmanager
    def _making(self) -> Iterator[None]:
        self._half_made = True
        yield
        self._half_made = False

    def _remember(self, name: str, made: str | None) -> None:
        before = self._temporary.pop(name, None)
        if self._in_transaction:
            self._before.setdefault(name, before)
        if made is not None:
            self._temporary[name] = made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Work {self.dialect}>"
