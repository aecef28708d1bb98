"""Small state that every worker on one database shares, outside of runs and their transactions.

On PostgreSQL a row of `shared_state`, changed by comparing and swapping on a connection of its own.
On SQLite a small file beside the database under a lock of the operating system: it never waits for
the write lock that a long apply of another run holds. Either is lost without harm.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from sync_engine.errors import StoreError
from sync_engine.store.engine import Store
from sync_engine.store.failures import file_error
from sync_engine.store.locks import advisory_key, lock_file, open_lock
from sync_engine.store.work import Work

T = TypeVar("T")
Step = Callable[[str | None], tuple[str | None, T]]
"""What stands there → what is to stand there (None leaves it), and the answer; may run twice."""

_LARGEST: Final = 1024
_ATTEMPTS: Final = 100
_LONGEST_NAME: Final = 100
_SUFFIX: Final = ".state"


class Shared(ABC):
    """The shared state of one database; may be used by several threads."""

    @abstractmethod
    def change(self, name: str, step: Step[T]) -> T:
        """Change one value, alone among all processes and threads.

        Raises: StoreError.
        """

    @abstractmethod
    def all(self, kind: str) -> list[str]:
        """The values of all names that begin with that word.

        Raises: StoreError.
        """

    def read(self, name: str) -> str | None:
        """One value. Raises: StoreError."""
        return self.change(name, lambda value: (None, value))

    @abstractmethod
    @contextmanager
    def first_free(self, names: list[str]) -> Iterator[str | None]:
        """Hold the first of these locks that nobody holds; None where all are held. Never waits.

        A lock goes with its process.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what is held open."""


def shared(store: Store) -> Shared:
    """The shared state of a database; opens nothing yet."""
    return _Rows(store) if store.path is None else _Files(store.path)


class _Files(Shared):
    """SQLite: a file for each name."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def change(self, name: str, step: Step[T]) -> T:
        """Read, judge and write under the file's lock."""
        descriptor = open_lock(self._path(name))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            value, answer = step(_value_of(os.pread(descriptor, _LARGEST, 0), name))
            if value is not None:
                _write(descriptor, f"{name}\n{value}\n")
        except OSError as exc:
            raise file_error(exc, doing="shared state cannot be written") from exc
        finally:
            os.close(descriptor)
        return answer

    def all(self, kind: str) -> list[str]:
        """Read without a lock: a value is written at once."""
        found = []
        folder = lock_file(self._database, kind).parent
        for path in sorted(folder.glob(f"{kind} *{_SUFFIX}")):
            with suppress(OSError):
                data = path.read_bytes()[:_LARGEST]
                name = data.partition(b"\n")[0].decode(errors="replace")
                value = _value_of(data, name)
                if value is not None:
                    found.append(value)
        return found

    @contextmanager
    def first_free(self, names: list[str]) -> Iterator[str | None]:
        """The first file whose lock is free."""
        for name in names:
            descriptor = open_lock(lock_file(self._database, name))
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            try:
                yield name
            finally:
                os.close(descriptor)
            return
        yield None

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, name: str) -> Path:
        kind, _, rest = name.partition(" ")
        rest = quote(rest, safe=" ")
        if len(rest) > _LONGEST_NAME:
            rest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        return lock_file(self._database, kind).with_name(f"{kind} {rest}{_SUFFIX}")


def _write(descriptor: int, text: str) -> None:
    """One write, padded over what stood there: there is no moment at which half of it is there."""
    data = text.encode()
    os.pwrite(descriptor, data.ljust(_LARGEST, b"\0"), 0)


def _value_of(data: bytes, name: str) -> str | None:
    """What stands in a file; None in a new one, and in one that is not of that name."""
    first, _, rest = data.partition(b"\n")
    value, end, _ = rest.partition(b"\n")
    return value.decode(errors="replace") if end and first == name.encode() else None


class _Rows(Shared):
    """PostgreSQL: a row for each name, and locks of a session of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._work: Work | None = None
        self._held: set[str] = set()
        self._known: dict[str, str | None] = {}

    def change(self, name: str, step: Step[T]) -> T:
        """Compare and swap; who is alone needs one statement."""
        with self._lock:
            return self._on_work(lambda work: self._swapped(work, name, step))

    def _swapped(self, work: Work, name: str, step: Step[T]) -> T:
        fresh = name not in self._known
        if fresh:
            self._known[name] = _row(work, name)
        for _ in range(_ATTEMPTS):
            old = self._known[name]
            value, answer = step(old)
            if value is None and fresh:
                return answer
            if value is None:  # judged by what is remembered, and others may have changed it
                self._known[name], fresh = _row(work, name), True
                continue
            if old is None:
                done = work.execute(
                    "INSERT INTO shared_state (name, value) VALUES (?, ?) "
                    "ON CONFLICT DO NOTHING RETURNING 1",
                    (name, value),
                )
            else:
                done = work.execute(
                    "UPDATE shared_state SET value = ? WHERE name = ? AND value = ? RETURNING 1",
                    (value, name, old),
                )
            if done:
                self._known[name] = value
                return answer
            self._known[name], fresh = _row(work, name), True
        message = f"shared state {name} is changed all the time"
        raise StoreError(message, retryable=True)

    def all(self, kind: str) -> list[str]:
        """One query."""
        with self._lock:
            rows = self._on_work(
                lambda work: work.execute(
                    "SELECT value FROM shared_state WHERE name LIKE ? ORDER BY name", (f"{kind} %",)
                )
            )
        return [str(value) for (value,) in rows]

    @contextmanager
    def first_free(self, names: list[str]) -> Iterator[str | None]:
        """The first lock that this session gets; what it holds already it does not get again."""
        with self._lock:
            name = self._on_work(lambda work: self._taken(work, names))
        try:
            yield name
        finally:
            if name is not None:
                with self._lock, suppress(StoreError):  # a session that broke has let go of it
                    self._held.discard(name)
                    self._on_work(lambda work: _unlock(work, name))

    def _taken(self, work: Work, names: list[str]) -> str | None:
        for name in names:
            if name not in self._held and work.execute(
                "SELECT pg_try_advisory_lock(CAST(? AS bigint))", (advisory_key(name),)
            ) == [(True,)]:
                self._held.add(name)
                return name
        return None

    def _on_work(self, do: Callable[[Work], T]) -> T:
        """Do something on the session; one that fails is not used again."""
        if self._work is None:
            self._work = self._store.work()
        try:
            return do(self._work)
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """End the session, and with it all that it holds."""
        with self._lock:
            work, self._work = self._work, None
            self._held.clear()
            self._known.clear()
            if work is not None:
                work.close()


def _row(work: Work, name: str) -> str | None:
    rows = work.execute("SELECT value FROM shared_state WHERE name = ?", (name,))
    return str(rows[0][0]) if rows else None


def _unlock(work: Work, name: str) -> None:
    work.execute("SELECT pg_advisory_unlock(CAST(? AS bigint))", (advisory_key(name),))
