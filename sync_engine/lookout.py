"""Looks on while a run asks its source: counts the requests, and traces them where that is on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from config.clock import Clock
from connectors.errors import ConnectorError, RateLimitedError, SourceUnavailableError
from connectors.protocols.watching import Asked
from sync_engine import totals
from sync_engine.tracing import Tracing, step


class Lookout:
    """The watcher of one run.

    Args:
        clock: measures.
        tracing: where spans go; None for nowhere.

    Attributes:
        counts: name of a counter (totals.py) → what this run adds to it.
    """

    def __init__(self, clock: Clock, tracing: Tracing | None) -> None:
        self._clock, self._tracing = clock, tracing
        self._lock = threading.Lock()
        self.counts: dict[str, float] = {}

    def waited(self, seconds: float) -> None:
        """A request waited so long for the rate budget and a place."""
        self._count(f"{totals.REQUEST_SECONDS}.wait", seconds)

    def repeats(self) -> None:
        """A request is sent once more."""
        self._count(totals.RETRIES, 1)

    @contextmanager
    def asking(self, asked: Asked) -> Iterator[None]:
        """Around one request and its whole answer."""
        since = self._clock.monotonic()
        result = "unanswered"
        try:
            with step(
                self._tracing,
                asked.operation,
                {
                    "http.request.method": asked.method,
                    "server.address": asked.host,
                    "koppelhub.system": asked.system,
                    "koppelhub.correlation_id": asked.correlation,
                },
                client=True,
            ):
                yield
            result = "answered"
        except RateLimitedError:
            result = "limited"
            raise
        except SourceUnavailableError:
            raise
        except ConnectorError:
            result = "refused"
            raise
        finally:
            self._count(f"{totals.REQUESTS}.{result}", 1)
            self._count(f"{totals.REQUEST_SECONDS}.answer", self._clock.monotonic() - since)

    def _count(self, name: str, number: float) -> None:
        with self._lock:
            self.counts[name] = self.counts.get(name, 0.0) + number
