"""One run of a koppeling at once, one writer of a tenant at once, also when a process is killed.

SQLite: a lock of the operating system on a file beside the database; PostgreSQL: an advisory lock
of a session of its own. Both are released by the kernel or the server when their process dies. But
a PostgreSQL server ends the statement that a dead client sent last, be it a COMMIT: who writes
gives its Work as `on`, and the lock lasts as long as that connection's server side too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from config.clock import Clock, SystemClock
from sync_engine.errors import RunActiveError, StoreError
from sync_engine.store.dialect import Dialect
from sync_engine.store.engine import Store
from sync_engine.store.failures import file_error
from sync_engine.store.work import Work

_POLL: Final = timedelta(milliseconds=20)
_LAST_STATEMENT: Final = timedelta(minutes=2)
"""How long to wait for what the server still does for a client that died."""
_TENANT_ADVICE: Final = (
    "Een andere run werkt de gegevens van dit bestuur bij. Probeer het over een minuut opnieuw."
)


@contextmanager
def lease(
    store: Store,
    name: str,
    *,
    on: Work | None = None,
    wait: timedelta = timedelta(),
    clock: Clock | None = None,
) -> Iterator[None]:
    """Hold the lock of that name, alone among all processes and threads on this database.

    Args:
        store: the database.
        name: any text without personal data.
        on: the connection that writes under this lock.
        wait: how long to wait for who holds it.
        clock: measures the wait on SQLite.

    Raises: RunActiveError if another still holds it after `wait`; StoreError if it cannot be asked.
    """
    clock = clock or SystemClock()
    with (
        _held(store, name, wait=wait, clock=clock, advice=None),
        _bound(on, name, clock=clock, advice=None),
    ):
        yield


@contextmanager
def tenant_lock(
    store: Store,
    tenant_id: int,
    *,
    on: Work | None = None,
    wait: timedelta = timedelta(seconds=30),
    clock: Clock | None = None,
) -> Iterator[None]:
    """Hold one tenant: correlate to apply is serial per tenant. Arguments as of `lease`.

    Raises: RunActiveError if another run still holds it after `wait`; StoreError as in `lease`.
    """
    name = f"tenant-{tenant_id}"
    clock = clock or SystemClock()
    with (
        _held(store, name, wait=wait, clock=clock, advice=_TENANT_ADVICE),
        _bound(on, name, clock=clock, advice=_TENANT_ADVICE),
    ):
        yield


@contextmanager
def _held(
    store: Store, name: str, *, wait: timedelta, clock: Clock, advice: str | None
) -> Iterator[None]:
    if store.path is not None:
        descriptor = open_lock(lock_file(store.path, name))
        try:
            if not _locked(descriptor, wait=wait, clock=clock):
                raise _active(name, advice)
            yield
        finally:
            os.close(descriptor)  # releases the lock; the file stays, or two could lock two files
        return
    with store.session_lock(name, wait=wait) as had:
        if not had:
            raise _active(name, advice)
        yield


@contextmanager
def _bound(on: Work | None, name: str, *, clock: Clock, advice: str | None) -> Iterator[None]:
    """Hold a second lock on the writing connection itself; only a dead holder's server still may.

    On SQLite a process that died writes nothing more.
    """
    if on is None or on.dialect is not Dialect.POSTGRESQL:
        yield
        return
    key = advisory_key(f"{name} writes")
    until = clock.monotonic() + _LAST_STATEMENT.total_seconds()
    while on.execute("SELECT pg_try_advisory_lock(CAST(? AS bigint))", (key,)) != [(True,)]:
        if clock.monotonic() >= until:
            raise _active(name, advice)
        clock.sleep(_POLL)
    try:
        yield
    finally:
        with suppress(StoreError):  # a connection that is broken has let go of it
            on.execute("SELECT pg_advisory_unlock(CAST(? AS bigint))", (key,))


def _active(name: str, advice: str | None) -> RunActiveError:
    return RunActiveError(f"{name} is held by another process or thread", advice=advice)


def lock_file(database: Path, name: str) -> Path:
    """The file of the lock of that name, beside the database."""
    plain = quote(name, safe=" ")
    if len(plain) > 100 or plain.startswith("."):
        plain = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    return database.with_name(f"{database.name}.locks") / f"{plain}.lock"


def open_lock(path: Path) -> int:
    """A descriptor of a lock file, made where it is not there; whoever closes it lets go.

    Raises: StoreError.
    """
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise file_error(exc, doing="the lock file cannot be opened") from exc


def _locked(descriptor: int, *, wait: timedelta, clock: Clock) -> bool:
    until = clock.monotonic() + wait.total_seconds()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= until:
                return False
            clock.sleep(_POLL)
        except OSError as exc:
            raise file_error(exc, doing="the lock cannot be asked") from exc
        else:
            return True


def advisory_key(name: str) -> int:
    """The number of PostgreSQL's advisory lock of that name."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"koppelhub-lease").digest()
    return int.from_bytes(digest, "big", signed=True)
