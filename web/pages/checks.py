"""Checks of koppelingen that people ask for on a page: in threads of their own, a few at once.

A source that does not answer keeps a check waiting for as long as its time-outs say, and no page:
the page waits a while, and shows what was found when it is there. What was found is kept as long as
this process lives; the audit trail has in one word what came of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from config.errors import KoppelhubError
from connectors.base import CheckResult
from sync_engine.checks import check_sources
from sync_engine.errors import SyncError
from sync_engine.hub import Hub

_AT_ONCE: Final = 2
_MOST_WAITING: Final = 20
_log = logging.getLogger(__name__)


class BusyError(SyncError):
    """Too many checks wait for their turn."""

    retryable = True
    default_advice = "Er wachten al veel controles. Probeer het over een minuut opnieuw."


@dataclass(frozen=True, slots=True)
class Checked:
    """One check.

    Attributes:
        by: who asked for it.
        results: by layer; empty while it is not over, or where it broke down.
        problem: why it broke down (Dutch); empty where it did not.
        is_over: whether there is an answer.
    """

    by: str
    at: datetime
    results: Sequence[CheckResult] = ()
    problem: str = ""
    is_over: bool = False


class Checks:
    """The checks of one process. Safe to share between threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="check")
        self._lock = Lock()
        self._known: dict[str, Checked] = {}
        self._busy: dict[str, Future[None]] = {}

    def ask(self, hub: Hub, name: str, *, within: timedelta) -> Checked:
        """Check a koppeling, unless that is under way; how it stands when the time is up.

        Raises: ConfigurationError if there is no such koppeling; BusyError.
        """
        source = hub.source(name)
        with self._lock:
            busy = self._busy.get(name)
            if busy is None:
                if len(self._busy) >= _MOST_WAITING:
                    raise BusyError("too many checks wait for their turn")
                self._known[name] = Checked(hub.actor.name, hub.clock.now())
                busy = self._pool.submit(self._check, hub, source.name)
                self._busy[name] = busy
        wait([busy], within.total_seconds())
        return self._known[name]

    def last(self, name: str) -> Checked | None:
        """The last check of a koppeling that was asked for here, or that is under way."""
        return self._known.get(name)

    def _check(self, hub: Hub, name: str) -> None:
        by, at = hub.actor.name, hub.clock.now()
        found = Checked(by, at, problem=KoppelhubError.default_advice, is_over=True)
        try:
            (one,) = check_sources(hub, name)
            found = Checked(by, at, one.results, is_over=True)
        except KoppelhubError as error:
            found = Checked(by, at, problem=error.advice, is_over=True)
        except Exception as error:  # noqa: BLE001 - the outermost edge of a check
            _log.error("a check broke down: %s", type(error).__name__)
        finally:
            with self._lock:
                self._known[name] = found
                del self._busy[name]
