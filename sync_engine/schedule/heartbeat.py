"""Which processes live: each says so in a row of its own, which goes when it stops well."""

from __future__ import annotations

import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from importlib.metadata import version
from typing import Final

from config.clock import Clock
from sync_engine.errors import StoreError
from sync_engine.store.engine import Store
from sync_engine.store.values import instant
from sync_engine.store.work import Work

_log = logging.getLogger(__name__)
_FORGOTTEN: Final = timedelta(days=2)


class ProcessKind(StrEnum):
    """What a process is for."""

    SERVE = "serve"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Process:
    """A process that said that it is there.

    Attributes:
        label: what it is, without the name of its machine.
        at: when it said so last.
    """

    name: str
    kind: ProcessKind
    label: str
    started_at: datetime
    at: datetime
    version: str


class Heartbeat:
    """Says for one process that it is there.

    Args:
        store: where.
        clock: when.
        kind: of the process.
        label: what it is; nothing of its machine.
    """

    def __init__(self, store: Store, clock: Clock, *, kind: ProcessKind, label: str) -> None:
        self._store, self._clock, self._kind, self._label = store, clock, kind, label
        self.name = f"{kind}-{secrets.token_hex(4)}"
        self._started = clock.now()

    def beat(self) -> None:
        """Say that it is there; where that cannot be written now, the next one will do."""
        now = self._clock.now()
        try:
            with self._store.work() as work:
                work.execute(
                    "INSERT INTO process_heartbeat (name, kind, label, started_at, at, version) "
                    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
                    (
                        *(self.name, str(self._kind), self._label, self._started, now),
                        version("koppelhub"),
                    ),
                )
        except StoreError as error:
            _log.warning("no heartbeat was written: %s", error)

    def end(self) -> None:
        """It stops well."""
        with suppress(StoreError), self._store.work() as work:
            work.execute("DELETE FROM process_heartbeat WHERE name = ?", (self.name,))


def processes(work: Work) -> list[Process]:
    """Every process that did not stop well, the oldest first; who is long silent is dead."""
    return [
        Process(name, ProcessKind(kind), label, instant(started), instant(at), release)
        for name, kind, label, started, at, release in work.execute(
            "SELECT name, kind, label, started_at, at, version FROM process_heartbeat "
            "ORDER BY started_at, name"
        )
    ]


def forget_dead(store: Store, *, now: datetime) -> None:
    """Remove who has been silent for days."""
    with store.work() as work:
        work.execute("DELETE FROM process_heartbeat WHERE at < ?", (now - _FORGOTTEN,))
