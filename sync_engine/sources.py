"""How every koppeling stands, for `koppelhub source list`: switches, circuit, patience, budget."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from config.errors import ConfigurationError
from config.sources import Source
from connectors.base import Budget
from sync_engine.hub import Hub
from sync_engine.politeness import CircuitView, circuits, hosts_of, patience_of
from sync_engine.store.shared import shared
from sync_engine.switches import Switch, read_switches


@dataclass(frozen=True, slots=True)
class SourceView:
    """One koppeling.

    Attributes:
        state: on, maintenance or off.
        since: since when it is not on.
        until: until when it is in maintenance, where that was said.
        by: who did that; `system` where its own failures did.
        why: in the words of who did.
        hosts: those that its settings name.
        circuits: those of them that did not answer lately.
        patience_until: until when its system asked not to be asked.
        per_second: requests a second that its system declares; zero is no limit.
        simultaneous: requests at once.
        hours: permitted local hours; None for always.
        runs: how many runs of its system may be under way at once.
    """

    name: str
    system: str
    tenant: str
    state: str
    since: datetime | None
    until: datetime | None
    by: str
    why: str
    hosts: tuple[str, ...]
    circuits: tuple[CircuitView, ...]
    patience_until: datetime | None
    per_second: float
    simultaneous: int
    hours: tuple[int, int] | None
    runs: int


def list_sources(hub: Hub) -> list[SourceView]:
    """The koppelingen that the actor may act for, as they stand.

    Raises: StoreError.
    """
    now, sources = hub.clock.now(), hub.sources()
    with hub.store.work() as work:
        numbers = {name: number for number, name in work.execute("SELECT id, name FROM koppeling")}
        switches = read_switches(work, numbers.values())
    state = shared(hub.store)
    try:
        down = circuits(state, policy=hub.settings.politeness, now=now)
        return [
            _view(
                hub,
                source,
                switches[numbers[source.name]],
                tuple(one for one in down if one.system == source.system),
                patience_of(state, source.name, now=now),
            )
            for source in sources
        ]
    finally:
        state.close()


def _view(
    hub: Hub,
    source: Source,
    switch: Switch,
    down: tuple[CircuitView, ...],
    patience: datetime | None,
) -> SourceView:
    budget, hosts = _budget(hub, source), hosts_of(source)
    state, since, until, by, why = _stands(switch, hub.clock.now())
    return SourceView(
        source.name,
        source.system,
        source.tenant,
        state,
        since,
        until,
        by,
        why,
        tuple(sorted(hosts)),
        tuple(one for one in down if one.host in hosts),
        patience,
        budget.per_second,
        budget.simultaneous,
        source.hours if source.hours is not None else budget.hours,
        hub.settings.politeness.runs_of(source.system),
    )


def _stands(
    switch: Switch, now: datetime
) -> tuple[str, datetime | None, datetime | None, str, str]:
    """State, since, until, by whom and why."""
    if switch.in_maintenance(now):
        until = switch.maintenance_until
        by, why = switch.maintenance_by, switch.maintenance_why
        return "maintenance", switch.maintenance_at, until, by, why
    if switch.is_off:
        return "off", switch.off_at, None, switch.off_by, switch.off_why
    return "on", None, None, "", ""


def _budget(hub: Hub, source: Source) -> Budget:
    """What its connector declares; nothing where its settings do not make one."""
    try:
        return hub.manifest(source).budget
    except ConfigurationError:
        return Budget(0.0, 0)


def named(hub: Hub, names: Collection[str], *, system: str | None) -> tuple[str, ...]:
    """The koppelingen that a person names, one by one or all of one system.

    Raises: ConfigurationError if one is not there, or none is meant.
    """
    found = [hub.source(name).name for name in names]
    if system is not None:
        mine = [source.name for source in hub.sources() if source.system == system]
        if not mine:
            message = f"no source is of system {system!r}"
            raise ConfigurationError(
                message, advice="Zie `koppelhub source list` voor de koppelingen en hun systemen."
            )
        found += mine
    if not found:
        raise ConfigurationError(
            "no source is named", advice="Noem een koppeling, of met --system alle van een systeem."
        )
    return tuple(dict.fromkeys(found))
