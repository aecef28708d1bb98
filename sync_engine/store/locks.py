"""One run of a koppeling at once, one writer of a tenant at once, also when a process is killed.

SQLite: a lock of the operating system on a file beside the database; PostgreSQL: an advisory lock
of a session of its own. Both are released by the kernel or the server when their process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from config.clock import Clock, SystemClock
from sync_engine.errors import RunActiveError, StoreError
from sync_engine.store.engine import Store
from sync_engine.store.failures import UNREACHABLE_ADVICE

_POLL: Final = timedelta(milliseconds=20)
_TENANT_ADVICE: Final = (
    "Een andere run werkt de gegevens van dit bestuur bij. Probeer het over een minuut opnieuw."
)


@contextmanager
def lease(
    store: Store,
    name: str,
    *,
    wait: timedelta = timedelta(),
    clock: Clock | None = None,
) -> Iterator[None]:
    """Hold the lock of that name, alone among all processes and threads on this database.

    Args:
        store: the database.
        name: any text without personal data.
        wait: how long to wait for who holds it.
        clock: measures the wait on SQLite.

    Raises: RunActiveError if another still holds it after `wait`; StoreError if it cannot be asked.
    """
    with _held(store, name, wait=wait, clock=clock or SystemClock(), advice=None):
        yield


@contextmanager
def tenant_lock(
    store: Store,
    tenant_id: int,
    *,
    wait: timedelta = timedelta(seconds=30),
    clock: Clock | None = None,
) -> Iterator[None]:
    """Hold one tenant: correlate to apply is serial per tenant.

    Raises: RunActiveError if another run still holds it after `wait`; StoreError as in `lease`.
    """
    name = f"tenant-{tenant_id}"
    clock = clock or SystemClock()
    with _held(store, name, wait=wait, clock=clock, advice=_TENANT_ADVICE):
        yield


@contextmanager
def _held(
    store: Store, name: str, *, wait: timedelta, clock: Clock, advice: str | None
) -> Iterator[None]:
    if store.path is not None:
        descriptor = _open(_lock_file(store.path, name))
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


def _active(name: str, advice: str | None) -> RunActiveError:
    return RunActiveError(f"{name} is held by another process or thread", advice=advice)


def _lock_file(database: Path, name: str) -> Path:
    plain = quote(name, safe=" ")
    if len(plain) > 100 or plain.startswith("."):
        plain = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    return database.with_name(f"{database.name}.locks") / f"{plain}.lock"


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        message = f"the lock file cannot be opened: {exc.strerror}"
        raise StoreError(message, advice=UNREACHABLE_ADVICE) from exc


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
            message = f"the lock cannot be asked: {exc.strerror}"
            raise StoreError(message, advice=UNREACHABLE_ADVICE) from exc
        else:
            return True
