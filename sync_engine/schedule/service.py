"""What `koppelhub serve` runs beside its pages: the planner, and on SQLite the runs themselves."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from config.errors import ConfigurationError
from sync_engine.current import Current
from sync_engine.errors import RunActiveError
from sync_engine.hub import Hub
from sync_engine.schedule.embedded import Threads
from sync_engine.schedule.heartbeat import Heartbeat, ProcessKind
from sync_engine.schedule.planner import Dispatcher, Planner, check_schedules
from sync_engine.store.locks import lease

_log = logging.getLogger(__name__)

LAST_SECONDS: Final = timedelta(seconds=60)
"""How long runs have to end once they are asked to; the next process finishes what did not."""
_LIGHT: Final = 2
_SECOND_ADVICE: Final = (
    "Er draait al een `koppelhub serve` op deze database. Stop die eerst; op SQLite is er één."
)


@contextmanager
def _queue(hub: Hub) -> Iterator[Dispatcher]:
    """The queue of workers; loaded only where there is one."""
    from sync_engine.schedule.workers import Queue

    with closing(Queue(hub.store)) as queue:
        yield queue


@contextmanager
def _alone(hub: Hub) -> Iterator[None]:
    """Only one process serves a SQLite database."""
    try:
        held = ExitStack()
        held.enter_context(lease(hub.store, "serve"))
    except RunActiveError as error:
        raise RunActiveError(str(error), advice=_SECOND_ADVICE) from None
    with held:
        yield


class _Planning:
    """Plans for the configuration as it is now; a schedule that cannot be kept changes nothing.

    Raises: StoreError if the database cannot be asked.
    """

    def __init__(self, current: Current, dispatcher: Dispatcher, *, light: Dispatcher) -> None:
        self._current, self._dispatcher, self._light = current, dispatcher, light
        self._for = current.hub()
        self._planner = self._made(self._for)

    def tick(self) -> None:
        """Hand out what is due."""
        now = self._current.hub()
        if now is not self._for:
            self._for = now
            try:
                check_schedules(now)
                self._planner = self._made(now)
            except ConfigurationError as error:
                _log.error("the schedules as they are now are not used: %s", error)
        self._planner.tick()

    def _made(self, hub: Hub) -> Planner:
        return Planner(hub, self._dispatcher, light=self._light)


class Service:
    """The clock of one process, from `with` to its end.

    Args:
        hub: the installation.

    Raises: StoreError if the queue of workers cannot be used.

    Attributes:
        current: the installation as its configuration says now.
        dispatcher: takes what a person asks for, too.
        ended_well: whether every run had ended when it stopped.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.current = Current(hub)
        self._held = ExitStack()
        settings = hub.settings.scheduling
        embedded = hub.store.path is not None
        self._threads = Threads(self.current, workers=settings.workers if embedded else _LIGHT)
        self.dispatcher: Dispatcher = self._threads
        if not embedded:
            self.dispatcher = self._held.enter_context(_queue(hub))
        label = f"serve, {settings.workers} tegelijk" if embedded else "serve"
        self._heartbeat = Heartbeat(hub.store, hub.clock, kind=ProcessKind.SERVE, label=label)
        self.ended_well = True

    def __enter__(self) -> Self:
        """Begin.

        Raises: ConfigurationError if a schedule cannot be kept; RunActiveError if another process
            serves this SQLite database.
        """
        try:
            check_schedules(self._hub)
            if self._hub.store.path is not None:
                self._held.enter_context(_alone(self._hub))
        except BaseException:
            self._held.close()
            raise
        settings = self._hub.settings.scheduling
        planning = _Planning(self.current, self.dispatcher, light=self._threads)
        self._threads.start()
        self._threads.every(settings.heartbeat, self._heartbeat.beat, name="heartbeat")
        self._threads.every(settings.tick, planning.tick, name="planner")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask every run to end at its next page, wait for them, and stop."""
        self.ended_well = self._threads.stop(within=LAST_SECONDS)
        if not self.ended_well:
            _log.warning("runs did not end in time; the next process finishes them")
        self._heartbeat.end()
        self._held.close()
