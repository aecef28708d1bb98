"""Who looks on while systems are asked: to count requests, or to trace them.

A run puts its watcher in the context; whatever transport a connector made finds it there. Without
one nothing is done. A watcher is told no address but the host, no header, key or body.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that goes out.

    Attributes:
        operation: what the call is named by (`GET leerling`).
        host: that is asked, with its port; no path and no query.
        correlation: the id that the system can find in its own log.
    """

    system: str
    operation: str
    method: str
    host: str
    correlation: str


class Watcher(Protocol):
    """Looks on. Safe to share between threads."""

    def waited(self, seconds: float) -> None:
        """A request waited so long for the rate budget and a place."""

    def repeats(self) -> None:
        """A request is sent once more."""

    def asking(self, asked: Asked) -> AbstractContextManager[None]:
        """Around one request and its whole answer; what goes wrong is raised within."""


_WATCHER: Final[ContextVar[Watcher | None]] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Whatever is asked within is told to this watcher."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def tell_waited(seconds: float) -> None:
    """Tell whoever looks on."""
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher.waited(seconds)


def tell_repeats() -> None:
    """Tell whoever looks on."""
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher.repeats()


def asking(asked: Asked) -> AbstractContextManager[None]:
    """Let whoever looks on see one request."""
    watcher = _WATCHER.get()
    return nullcontext() if watcher is None else watcher.asking(asked)
