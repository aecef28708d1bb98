"""Whether a run of a koppeling may begin now, and if not, from when on.

Asked before every run that a worker does, of the clock or by hand. What holds a run back costs
nobody a worker: it is postponed at once. A run by hand is exempt from permitted hours, blackout and
being switched off; nobody is exempt from maintenance, a host that is down, or the limit of runs of
one system, whose slots are leases: they are free as soon as their process is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

from config.clock import local_minute, zone
from config.errors import ConfigurationError
from config.sources import Source
from connectors.base import CircuitState
from sync_engine.hub import Hub
from sync_engine.options import Kind
from sync_engine.politeness import circuits, hosts_of, patience_of
from sync_engine.schedule.due import free_from
from sync_engine.store.shared import Shared, shared
from sync_engine.switches import ASKING, Switch, read_switches
from sync_engine.windows import Window, closes_at, open_from, outside

MAINTENANCE: Final = "maintenance"
SWITCHED_OFF: Final = "switched_off"
HOURS: Final = "hours"
BLACKOUT: Final = "blackout"
CIRCUIT: Final = "circuit"
PATIENCE: Final = "patience"
SLOTS: Final = "slots"

_NEXT_SLOT: Final = timedelta(seconds=15)
_DAYS: Final = 15
"""How far is looked for a time that is permitted and in no blackout."""
_SPREAD: Final = 15.0
"""Seconds over which those that wait for the same are spread."""

SAYS: Final = {
    MAINTENANCE: "in onderhoud",
    SWITCHED_OFF: "uitgeschakeld",
    HOURS: "buiten de toegestane uren",
    BLACKOUT: "binnen een blokvenster",
    CIRCUIT: "het bronsysteem antwoordt niet",
    PATIENCE: "het bronsysteem vroeg om later terug te komen",
    SLOTS: "alle plaatsen voor dit systeem zijn bezet",
}
"""Reason → what people are told (Dutch)."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """A run that may not begin now.

    Attributes:
        until: from when on it may be tried again; None where a person must act first.
        reason: maintenance, switched_off, hours, blackout, circuit, patience or slots.
    """

    until: datetime | None
    reason: str


@contextmanager
def admitted(hub: Hub, source: Source, *, by_hand: bool) -> Iterator[Postponed | None]:
    """Hold a slot of the source's system for one run; or what it is postponed to, and no slot.

    Raises: StoreError.
    """
    state = shared(hub.store)
    try:
        refusal = postponed(hub, source, state, by_hand=by_hand)
        if refusal is not None:
            yield refusal
            return
        limit = hub.settings.politeness.runs_of(source.system)
        with state.first_free([f"slot-{source.system}-{n}" for n in range(limit)]) as slot:
            if slot is not None:
                yield None
                return
        yield Postponed(hub.clock.now() + _NEXT_SLOT + _offset(source), SLOTS)
    finally:
        state.close()


@contextmanager
def at_the_keyboard(hub: Hub, source: Source, kind: Kind) -> Iterator[list[str]]:
    """What a person is told before a run that he starts himself (Dutch); it is his to go on.

    He takes a slot where one is free, so that workers see him, and waits for none. In maintenance
    the run itself refuses. Of a run that asks no source there is nothing to tell.
    Raises: StoreError.
    """
    if kind not in ASKING:
        yield []
        return
    state = shared(hub.store)
    try:
        remarks = _remarks(hub, source, state)
        limit = hub.settings.politeness.runs_of(source.system)
        with state.first_free([f"slot-{source.system}-{n}" for n in range(limit)]) as slot:
            if slot is None:
                remarks.append(f"{SAYS[SLOTS]} ({limit}); deze run komt erbij")
            yield remarks
    finally:
        state.close()


def _remarks(hub: Hub, source: Source, state: Shared) -> list[str]:
    now = hub.clock.now()
    stands = standing(hub, [source]).get(source.name)
    found = [_closed(hub, source, now), _host_is_down(hub, source, state, now)]
    found.append(_patience(source, state, now))
    remarks = [
        f"{SAYS[refusal.reason]}{_until(hub, refusal)}" for refusal in found if refusal is not None
    ]
    if stands is not None and stands.reason == SWITCHED_OFF:
        remarks.insert(
            0,
            "deze koppeling is uitgeschakeld en draait niet vanzelf; zie `koppelhub source list`",
        )
    return remarks


def _until(hub: Hub, refusal: Postponed) -> str:
    if refusal.until is None:
        return ""
    return f" tot {local_minute(refusal.until, hub.settings.timezone)}"


def postponed(hub: Hub, source: Source, state: Shared, *, by_hand: bool) -> Postponed | None:
    """What keeps a run from beginning now, slots apart. Raises: StoreError."""
    now = hub.clock.now()
    stands = standing(hub, [source]).get(source.name)
    if stands is not None and not (by_hand and stands.reason == SWITCHED_OFF):
        return stands
    closed = None if by_hand else _closed(hub, source, now)
    return closed or _host_is_down(hub, source, state, now) or _patience(source, state, now)


def standing(hub: Hub, sources: Sequence[Source]) -> dict[str, Postponed]:
    """Which koppelingen do not run by a person's will or their own failures: two statements.

    A clock that asks this first hands out nothing in vain, and what is due is still due afterwards.
    """
    now = hub.clock.now()
    with hub.store.work() as work:
        names = [source.name for source in sources]
        numbers: dict[int, str] = dict(
            work.execute(
                f"SELECT id, name FROM koppeling WHERE {work.many('name')}", (work.values(names),)
            )
        )
        switches = read_switches(work, numbers)
    found: dict[str, Postponed] = {}
    for number, switch in switches.items():
        refusal = _stands(switch, now)
        if refusal is not None:
            found[numbers[number]] = refusal
    return found


def _stands(switch: Switch, now: datetime) -> Postponed | None:
    if switch.in_maintenance(now):
        return Postponed(switch.maintenance_until, MAINTENANCE)
    return Postponed(None, SWITCHED_OFF) if switch.is_off else None


def _closed(hub: Hub, source: Source, now: datetime) -> Postponed | None:
    """Outside of permitted hours, or inside a blackout: both must be open to begin."""
    hours, name = permitted(hub, source), hub.settings.timezone
    dark = hub.settings.blackout_of(source)
    asked = open_from(now, hours, zone(name))
    opens = free_from(asked, zone=name, blackout=dark)
    for _ in range(_DAYS):  # where both leave no time at all, as far as was looked
        permits = open_from(opens, hours, zone(name))
        if permits == opens:
            break
        opens = free_from(permits, zone=name, blackout=dark)
    if opens == now:
        return None
    return Postponed(opens, HOURS if asked > now else BLACKOUT)


def permitted(hub: Hub, source: Source) -> tuple[Window, ...]:
    """The part of the day in which a koppeling does not run by itself: its own, or its system's."""
    if source.hours is not None:
        return outside(source.hours)
    try:
        hours = hub.manifest(source).budget.hours
    except ConfigurationError:
        return ()  # the run itself says what is wrong
    return () if hours is None else outside(hours)


def time_left(hub: Hub, source: Source) -> timedelta | None:
    """How long a run of the clock that begins now may take, for its permitted hours; None for ever.

    It ends cleanly then, and says that it is not whole.
    """
    now = hub.clock.now()
    closes = closes_at(now, permitted(hub, source), zone(hub.settings.timezone))
    return None if closes is None else closes - now


def _host_is_down(hub: Hub, source: Source, state: Shared, now: datetime) -> Postponed | None:
    hosts = hosts_of(source)
    for view in circuits(state, policy=hub.settings.politeness, now=now):
        if view.system != source.system or view.host not in hosts or view.until is None:
            continue
        if view.state is CircuitState.OPEN:
            return Postponed(view.until + _offset(source), CIRCUIT)
        if view.probed:
            return Postponed(now + _NEXT_SLOT + _offset(source), CIRCUIT)
    return None


def _patience(source: Source, state: Shared, now: datetime) -> Postponed | None:
    until = patience_of(state, source.name, now=now)
    return None if until is None else Postponed(until, PATIENCE)


def _offset(source: Source) -> timedelta:
    """Always the same for one koppeling: those that wait for the same do not come all at once."""
    digest = blake2b(source.name.encode(), digest_size=4).digest()
    return timedelta(seconds=int.from_bytes(digest, "big") / 2**32 * _SPREAD)
