"""What the store and the configuration know of every koppeling, for health to be judged from.

A fixed number of statements, however many koppelingen there are; reads only.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from config.operators import SYSTEM
from config.sources import Source
from connectors import registry
from connectors.base import Capability, CircuitState, Manifest
from sync_engine import expiry
from sync_engine.admission import CIRCUIT, MAINTENANCE, SWITCHED_OFF
from sync_engine.cases import open_cases
from sync_engine.exchanges import alarms
from sync_engine.hub import Hub
from sync_engine.lately import Lately, lately
from sync_engine.outbox import states
from sync_engine.plans import Waiting, waiting_plans
from sync_engine.politeness import circuits, hosts_of
from sync_engine.quarantine import counts as quarantined
from sync_engine.schedule.heartbeat import processes
from sync_engine.schedule.outlook import Outlook, outlook
from sync_engine.schedule.state import read_states
from sync_engine.selection import Selection
from sync_engine.store.shared import shared
from sync_engine.store.values import instant
from sync_engine.store.work import Work
from sync_engine.switches import Switch, read_switches
from sync_engine.totals import totals
from sync_engine.troubles import Facts, Gate, KoppelingFacts, Process

_BRIN: Final = 4


def gather(hub: Hub, sources: Sequence[Source], *, at: datetime) -> Facts:
    """Everything that is known of these koppelingen at this instant."""
    with hub.store.work() as work, work.snapshot():
        ids = {
            name: number
            for number, name in work.execute(
                f"SELECT id, name FROM koppeling WHERE {work.many('name')}",
                (work.values([source.name for source in sources]),),
            )
        }
        known = _Known(hub, work, list(ids.values()), at)
        expiries = expiry.of_installation(work)
        alive = tuple(Process(str(one.kind), one.at) for one in processes(work))
    installed = registry.find().installed  # looks through all packages: once
    manifests = {system: factory.manifest for system, factory in installed.items()}
    read = tuple(
        _facts(hub, source, known, ids[source.name], manifests.get(source.system))
        for source in sources
    )
    free, size = _disk(hub)
    return Facts(
        read,
        processes=alive,
        needs_workers=hub.store.path is None,
        free_bytes=free,
        size_bytes=size,
        expiries=expiries,
    )


class _Known:
    """The answers of the store, by id of the koppeling (by name where a table keeps that)."""

    def __init__(self, hub: Hub, work: Work, ids: list[int], at: datetime) -> None:
        longest = hub.settings.policy.limits.run_time
        self.at = at
        self.clock = read_states(work)
        self.switches = read_switches(work, ids)
        self.circuits = _circuits(hub, at)
        self.runs: dict[int, Lately] = lately(work, ids, now=at, longest=longest)
        self.plans: dict[int, Waiting] = waiting_plans(work, ids, now=at)
        self.cases = open_cases(work, ids)
        self.events = _events(work, self.runs)
        self.schools = _schools(work, ids)
        names: dict[int, str] = dict(
            work.execute(
                f"SELECT id, name FROM koppeling WHERE {work.many('id')}", (work.values(ids),)
            )
        )
        self.quarantine = quarantined(work, Selection(names))
        self.refused: dict[str, int] = dict(
            work.execute(
                "SELECT koppeling, COUNT(*) FROM kern_inbox WHERE fout IS NOT NULL "
                "GROUP BY koppeling"
            )
        )
        self.outbox = _outbox(work, ids)
        self.alarms = alarms(work, ids)
        self.totals = totals(work, ids)


def _facts(
    hub: Hub,
    source: Source,
    known: _Known,
    number: int,
    manifest: Manifest | None,
) -> KoppelingFacts:
    freshness = hub.settings.freshness_of(source)
    runs = known.runs[number]
    plans = known.plans.get(number)
    cases, since = known.cases.get(number, (0, None))
    clock = outlook(hub, source, number, known.clock, now=known.at, since=runs.good_at)
    waiting, oldest = known.outbox.get(number, (0, None))
    return KoppelingFacts(
        name=source.name,
        system=source.system,
        tenant=source.tenant,
        schools=_served(hub, source, known.schools.get(number, set())),
        promised=freshness.promised,
        critical=freshness.critical,
        lately=runs,
        scheduled=clock.due is not None,
        own_promise=source.freshness is not None,
        due_after_good=clock.after,
        next_due=clock.due,
        not_begun=_not_begun(clock, runs),
        events={} if runs.last is None else known.events.get(runs.last.id, {}),
        gates=_gates(source, number, known, clock),
        held_plans=0 if plans is None else plans.plans,
        held_plan=None if plans is None else plans.newest,
        open_cases=cases,
        cases_since=None if since is None else instant(since),
        quarantine=known.quarantine.get(source.name, 0),
        outbox=waiting,
        outbox_oldest=oldest,
        reads=_reads(source, manifest),
        inbox_refused=known.refused.get(source.name, 0),
        alarms=known.alarms.get(number, 0),
        expiries=expiry.of_source(hub, source, manifest),
        unacknowledged=_unacknowledged(hub, manifest),
        totals=known.totals.get(number, {}),
    )


def _served(hub: Hub, source: Source, read: set[str]) -> tuple[str, ...]:
    """BRINs of a koppeling: as configured, else as it lists them, else all of its tenant."""
    tenant = hub.settings.find_tenant(source.tenant)
    brins = [school.brin.reveal() for school in tenant.school]
    if source.vestigingen is not None:
        read = {number.brin.reveal() for number in source.vestigingen}
    return tuple(brin for brin in brins if brin in read) or tuple(brins)


def _unacknowledged(hub: Hub, manifest: Manifest | None) -> tuple[str, ...]:
    if not hub.settings.production or manifest is None:  # its runs say that there is no connector
        return ()
    return hub.settings.unacknowledged(a.name for a in manifest.assumptions)


# -- the store -------------------------------------------------------------------------------------


def _events(work: Work, runs: Mapping[int, Lately]) -> dict[int, dict[str, int]]:
    """Run id → kind of event → how often, of the last run of each."""
    last = [one.last.id for one in runs.values() if one.last is not None]
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for run_id, kind, count in work.execute(
        "SELECT run_id, kind, COUNT(*) FROM event WHERE kind IN ('empty', 'shrunk') "
        f"AND {work.many('run_id')} GROUP BY run_id, kind",
        (work.values(last),),
    ):
        found[run_id][kind] = count
    return found


def _schools(work: Work, ids: Sequence[int]) -> dict[int, set[str]]:
    """Koppeling id → BRINs of what it lists."""
    found: dict[int, set[str]] = defaultdict(set)
    for number, listed in work.execute(
        "SELECT DISTINCT koppeling_id, brins FROM scope WHERE ended_run IS NULL AND NOT adopted "
        f"AND {work.many('koppeling_id')}",
        (work.values(ids),),
    ):
        found[number] |= {text[:_BRIN] for text in msgspec.json.decode(listed, type=list[str])}
    return found


def _outbox(work: Work, ids: Sequence[int]) -> dict[int, tuple[int, datetime | None]]:
    """Koppeling id → messages that are not over, and since when the oldest waits; only if any."""
    return {
        number: (count, since and instant(since))
        for number, count, since in work.execute(
            "SELECT koppeling_id, COUNT(*), MIN(made_at) FROM outbox "
            f"WHERE state IN ({states.listed(states.OPEN)}) AND {work.many('koppeling_id')} "
            "GROUP BY koppeling_id",
            (work.values(ids),),
        )
    }


def _reads(source: Source, manifest: Manifest | None) -> bool:
    """Whether anything is read from a koppeling, or it is only delivered to."""
    if manifest is None or not source.resources:
        return True
    chosen = [r for r in manifest.resources if r.name in source.resources]
    return not chosen or any(Capability.SNAPSHOT in r.capabilities for r in chosen)


def _not_begun(clock: Outlook, runs: Lately) -> tuple[str, str, datetime] | None:
    """(error, advice, when) of what was due last, where it failed before it was a run."""
    if clock.failed_at is None or (runs.last and runs.last.started_at > clock.failed_at):
        return None
    if runs.ended_badly:  # the run says it better
        return None
    return clock.error, clock.advice, clock.failed_at


def _gates(source: Source, number: int, known: _Known, clock: Outlook) -> tuple[Gate, ...]:
    """What keeps runs of a koppeling from starting now, each reason once."""
    found = list(_switched(known.switches[number], known.at))
    down = (known.circuits.get((source.system, host)) for host in sorted(hosts_of(source)))
    found += [gate for gate in down if gate is not None]
    if clock.waits_for:
        found.append(Gate(clock.waits_for, until=clock.until))
    return tuple({gate.reason: gate for gate in reversed(found)}.values())[::-1]


def _switched(switch: Switch, at: datetime) -> Iterator[Gate]:
    """What a person or its own failures keep a koppeling from."""
    if switch.in_maintenance(at):
        yield Gate(MAINTENANCE, switch.maintenance_at, switch.maintenance_until, by_hand=True)
    if switch.is_off:
        yield Gate(SWITCHED_OFF, switch.off_at, by_hand=switch.off_by != SYSTEM)


def _circuits(hub: Hub, at: datetime) -> dict[tuple[str, str], Gate]:
    """(system, host) → what keeps everybody from a host that does not answer."""
    state = shared(hub.store)
    try:
        views = circuits(state, policy=hub.settings.politeness, now=at)
    finally:
        state.close()
    return {
        (view.system, view.host): Gate(CIRCUIT, view.since, view.until)
        for view in views
        if view.state is not CircuitState.CLOSED
    }


def _disk(hub: Hub) -> tuple[int | None, int]:
    """(free bytes, size of the database), where it stands on this machine."""
    path = hub.store.path
    if path is None:
        return None, 0
    try:
        return shutil.disk_usage(path.parent).free, path.stat().st_size
    except OSError:
        return None, 0
