"""Compares what is due with what was handed out, and hands out what must be carried out now.

One at a time over all processes, under a lease. What is due is written down first and handed out
after; what is written down, not settled and in nobody's hands is handed out again. So a process
that is killed anywhere loses nothing, and what was missed is caught up once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from config.duration import Schedule
from config.errors import ConfigurationError, KoppelhubError
from config.scheduling import Blackout
from config.sources import Source
from connectors import registry
from connectors.base import Capability
from sync_engine.admission import standing
from sync_engine.errors import RunActiveError
from sync_engine.hub import Hub
from sync_engine.options import Kind
from sync_engine.schedule import state
from sync_engine.schedule.due import free_from, missed, next_due, offset_of
from sync_engine.schedule.duties import DUTIES
from sync_engine.schedule.jobs import DutyJob, Job, Task
from sync_engine.schedule.state import OF_THE_HUB, Key, Place, State
from sync_engine.store.locks import lease
from sync_engine.store.work import Work

_log = logging.getLogger(__name__)

_NONE: Final = timedelta()
_AHEAD: Final = timedelta(minutes=10)
"""So much the clocks of two machines may differ."""
_BY_FULL: Final = "full"
"""The outcome of a delta that fell due while everything is read anyhow."""


class Dispatcher(Protocol):
    """Takes what must be carried out to who carries it out. Safe to share between threads."""

    def under_way(self) -> Collection[Key]:
        """What it was handed and is not over: queued, waiting to be tried again, running."""

    def hand_out(self, task: Task) -> None:
        """See to it that the task is carried out soon; a key that is under way is left as it is.

        Raises: StoreError if it cannot be told to anybody now.
        """


@dataclass(frozen=True, slots=True)
class Entry:
    """What has a schedule.

    Attributes:
        offset: of the koppeling, from the jitter.
        blackout: when nothing of it begins.
        light: the process that plans does it itself.
    """

    key: Key
    place: Place
    schedule: Schedule
    task: Task
    offset: timedelta = _NONE
    blackout: tuple[Blackout, ...] = ()
    light: bool = False


def entries(hub: Hub) -> list[Entry]:
    """Every koppeling that runs by itself, whole readings before deltas, then the duties.

    Who adds to what the others say comes after them: of what falls due at once it is last.
    """
    with hub.store.work() as work:
        ids: dict[str, int] = dict(work.execute("SELECT name, id FROM koppeling"))
    installed = registry.find().installed  # looks through all packages: once
    adding = {system for system, factory in installed.items() if factory.manifest.adds}
    sources = sorted(hub.sources(), key=lambda source: source.system in adding)
    found = [entry for source in sources for entry in _of(hub, source, ids[source.name])]
    for duty in DUTIES:
        if not duty.needed(hub):
            continue
        task = DutyJob(duty.name)
        place = Place(OF_THE_HUB, duty.name)
        found.append(Entry(task.key, place, duty.schedule, task, light=duty.light))
    return found


def _of(hub: Hub, source: Source, number: int) -> Iterator[Entry]:
    kinds = ((Kind.FULL, source.schedule), (Kind.DELTA, source.delta_schedule))
    offset = offset_of(source.name, hub.settings.scheduling.jitter)
    for kind, schedule in kinds:
        if schedule is not None:
            job = Job(source.name, kind)
            place = Place(number, str(kind))
            yield Entry(job.key, place, schedule, job, offset, hub.settings.blackout_of(source))


def check_schedules(hub: Hub) -> None:
    """Refuse deltas of a system that cannot tell what changed.

    Raises: ConfigurationError, which names all of them.
    """
    wrong = [s.name for s in hub.sources() if s.delta_schedule and not _tells_changes(hub, s)]
    if wrong:
        names = ", ".join(f"source[{name}].delta_schedule" for name in wrong)
        raise ConfigurationError(
            f"{names}: this system does not declare delta",
            advice="Haal delta_schedule weg bij deze koppeling; `koppelhub connectors` zegt welk "
            "systeem wijzigingen kan leveren.",
        )


def _tells_changes(hub: Hub, source: Source) -> bool:
    try:
        connector = hub.connect(source, hub.clock)
    except KoppelhubError:  # its runs say what is wrong with it
        return True
    try:
        resources = connector.manifest.resources
        return any(Capability.DELTA in resource.capabilities for resource in resources)
    finally:
        connector.close()


def upcoming(hub: Hub) -> dict[Key, datetime]:
    """When each of them is due next, of what the actor may act for; where none is behind."""
    now, zone = hub.clock.now(), hub.settings.timezone
    return {
        entry.key: next_due(
            entry.schedule, after=now, zone=zone, offset=entry.offset, blackout=entry.blackout
        )
        for entry in entries(hub)
    }


class Planner:
    """Plans for the koppelingen of one configuration.

    Args:
        hub: the installation.
        dispatcher: takes what a worker does.
        light: takes what the process that plans does itself; the same one by default.
    """

    def __init__(
        self, hub: Hub, dispatcher: Dispatcher, *, light: Dispatcher | None = None
    ) -> None:
        self._hub, self._dispatcher, self._light = hub, dispatcher, light or dispatcher
        self._entries = entries(hub)
        self._next: dict[Key, tuple[datetime, datetime]] = {}

    def tick(self) -> list[Key]:
        """Hand out what is due and what is left; what that was, the most urgent first.

        Raises: StoreError if the database cannot be asked: the next tick does it.
        """
        try:
            with lease(self._hub.store, "planner", clock=self._hub.clock):
                return self._plan()
        except RunActiveError:  # another process plans
            return []

    def _plan(self) -> list[Key]:
        now = self._hub.clock.now()
        # First of all: what ends after this has written down what came of it when that is read.
        busy = {*self._dispatcher.under_way(), *self._light.under_way()}
        with self._hub.store.work() as work:
            states = state.read_states(work)
            new = [entry.place for entry in self._entries if entry.place not in states]
            if new:
                with work.transaction():
                    state.begin(work, new, now=now)
            if any(known.due_at > now + _AHEAD for known in states.values()):
                _log.warning("the clock was set back: what it ran ahead is due in its time")
                with work.transaction():
                    state.forget_ahead(work, now=now)
                self._next.clear()
                states = state.read_states(work)
            due = self._due(states, now)
            if due:
                with work.transaction():
                    self._write_down(work, due, busy, states, now=now)
                states = state.read_states(work)
        chosen = [
            entry
            for entry in self._entries
            if entry.key not in busy and self._may_go(entry, states.get(entry.place), now)
        ]
        chosen = self._not_standing(chosen)
        chosen.sort(key=lambda entry: -entry.task.priority)
        for entry in chosen:
            (self._light if entry.light else self._dispatcher).hand_out(entry.task)
        return [entry.key for entry in chosen]

    def _not_standing(self, chosen: list[Entry]) -> list[Entry]:
        """Without koppelingen in maintenance or switched off: they stay due, and go on after it."""
        names = {entry.key.koppeling for entry in chosen}
        sources = [source for source in self._hub.sources() if source.name in names]
        if not sources:
            return chosen
        stand = standing(self._hub, sources)
        return [entry for entry in chosen if entry.key.koppeling not in stand]

    def _due(self, states: Mapping[Place, State], now: datetime) -> dict[Key, datetime]:
        """The instant that each of them missed since it was handed out last."""
        found = {}
        for entry in self._entries:
            known = states.get(entry.place)
            if known is None:
                continue
            due = self._missed(entry, known.due_at, now)
            if due is not None:
                found[entry.key] = due
        return found

    def _missed(self, entry: Entry, handled: datetime, now: datetime) -> datetime | None:
        zone, catch_up = self._hub.settings.timezone, self._hub.settings.scheduling.catch_up
        schedule, offset, blackout = entry.schedule, entry.offset, entry.blackout
        kept, coming = self._next.get(entry.key, (None, now))
        if kept != handled:
            coming = next_due(schedule, after=handled, zone=zone, offset=offset, blackout=blackout)
        due = None
        if coming <= now:
            due = missed(
                schedule,
                handled=handled,
                now=now,
                zone=zone,
                offset=offset,
                blackout=blackout,
                catch_up=catch_up,
            )
            if due is None:
                _log.warning("%s %s was missed too long ago to be caught up", *entry.key)
            coming = next_due(schedule, after=now, zone=zone, offset=offset, blackout=blackout)
        self._next[entry.key] = (handled, coming)
        return due

    def _write_down(
        self,
        work: Work,
        due: Mapping[Key, datetime],
        busy: Collection[Key],
        states: Mapping[Place, State],
        *,
        now: datetime,
    ) -> None:
        for entry in self._entries:
            instant = due.get(entry.key)
            if instant is None:
                continue
            state.hand_out(work, entry.place, instant)
            if entry.key.kind == Kind.DELTA:
                full = Key(entry.key.koppeling, str(Kind.FULL))
                waits = states.get(Place(entry.place.koppeling_id, str(Kind.FULL)))
                reads = full in busy and (waits is None or waits.retry_at is None)
                if full in due or reads:
                    state.settle(work, entry.place, instant, outcome=_BY_FULL, now=now)

    def _may_go(self, entry: Entry, known: State | None, now: datetime) -> bool:
        if known is None or not known.is_open:
            return False
        if known.retry_at is not None and known.retry_at > now:
            return False
        zone = self._hub.settings.timezone
        return free_from(now, zone=zone, blackout=entry.blackout) == now
