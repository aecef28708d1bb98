"""Connections that are kept for the next Work: what one needed is there already.

A connection brings its temporary tables, its prepared statements and what its database has read of
the schema; to make these anew costs more than a run that finds nothing changed. It is kept as a new
one would be: outside transactions, without locks, its temporary tables empty.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Final, Generic, Protocol, TypeVar

KEPT: Final = 4
"""Connections that are kept at most: a run uses three at once."""
_AGE: Final = timedelta(minutes=15)
"""How long one lives: what servers and files gather for a connection goes with it."""


class Closable(Protocol):
    """A driver's connection."""

    def close(self) -> None:
        """Release it."""


C = TypeVar("C", bound=Closable)


@dataclass(slots=True, eq=False)
class Session(Generic[C]):
    """One connection and what stands on it.

    Attributes:
        connection: the driver's.
        opened: when, by a monotonic clock.
        age: how often `Sessions.close` was called before it was opened.
        temporary: its temporary tables and views: name → how it was made.
    """

    connection: C
    opened: float
    age: int
    temporary: dict[str, str] = field(default_factory=dict)


class Sessions(Generic[C]):
    """The idle connections of one database; safe to share between threads, not between processes.

    Args:
        connect: opens one.
        is_alive: whether an idle one may be used; asks no server.
        monotonic: tells how old one is.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        *,
        is_alive: Callable[[C], bool] = lambda _: True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect, self._is_alive, self._monotonic = connect, is_alive, monotonic
        self._idle: list[Session[C]] = []
        self._lock = Lock()
        self._closed = 0

    def take(self) -> Session[C]:
        """One to use alone: the one that was used last, or a new one.

        Raises: StoreError if the database cannot be reached.
        """
        while True:
            with self._lock:
                if not self._idle:
                    closed = self._closed
                    break
                session = self._idle.pop()
            if self._is_young(session) and self._is_alive(session.connection):
                return session
            self.drop(session)
        return Session(self._connect(), self._monotonic(), closed)

    def give(self, session: Session[C]) -> None:
        """Take it back, tidy, for who comes next."""
        if self._is_young(session):
            with self._lock:
                if session.age == self._closed and len(self._idle) < KEPT:
                    self._idle.append(session)
                    return
        self.drop(session)

    def drop(self, session: Session[C]) -> None:
        """Close one that is not to be used again."""
        session.connection.close()

    def close(self) -> None:
        """Close all, those that are in use when they come back; `take` opens new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._closed += 1
        for session in idle:
            self.drop(session)

    def _is_young(self, session: Session[C]) -> bool:
        return self._monotonic() - session.opened < _AGE.total_seconds()
