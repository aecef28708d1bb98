"""What waits for the helpdesk, over all koppelingen: counts, and for each what to type."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from config.clock import local_date, local_minute
from sync_engine.cases import KINDS, QUARANTINE
from sync_engine.hub import Hub
from sync_engine.lately import lately
from sync_engine.pinned import PinRow, in_force
from sync_engine.plans import list_plans
from sync_engine.quarantine import since as quarantined
from sync_engine.selection import Selection
from sync_engine.store.values import instant, instant_text
from sync_engine.store.work import Work
from sync_engine.switches import read_switches

SOON: Final = timedelta(days=14)
"""A pin that ends within this time is told."""

_EVENTS: Final = {
    "shrunk": "een onderdeel levert veel minder dan eerst",
    "empty": "de bron leverde niets",
    "schema drift": "de bron levert velden die wij niet kennen",
    "contract changed": "de rechten of de levering zijn veranderd",
    "dropped field": "velden zijn weggelaten omdat zij een regel breken",
}
"""Kinds of events that somebody must look at → what they say (Dutch)."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that waits.

    Attributes:
        kind: plan, off, replacement, case, quarantine, run, event, pin, message or refused.
        what: what it is (Dutch), without personal data.
        count: how many records or cases it is.
        since: when it began to wait; empty where that is not known.
        command: what to type.
    """

    kind: str
    koppeling: str
    what: str
    count: int
    since: str
    command: str


@dataclass(slots=True)
class Todo:
    """All that waits; `counts` is kind → how many."""

    counts: dict[str, int] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)


def todo(hub: Hub, chosen: Selection) -> Todo:
    """Everything that waits in these koppelingen, the most pressing first.

    Of a koppeling that has ended nothing waits but pins: nobody can run it any more.
    """
    every = chosen
    configured = {source.name for source in hub.sources()}
    names = {number: name for number, name in chosen.koppelingen.items() if name in configured}
    chosen = replace(chosen, koppelingen=names)
    items = _plans(hub, chosen)
    with hub.store.work() as work:
        items += _off(work, chosen)
        items += _last_runs(hub, work, chosen)
        items += _replacements(work, chosen)
        items += _cases(work, chosen)
        items += [
            Item(
                "quarantine",
                name,
                "1 record kan niet gelezen worden"
                if count == 1
                else f"{count} records kunnen niet gelezen worden",
                count,
                since,
                f"koppelhub quarantine list --source {name}",
            )
            for name, (count, since) in quarantined(work, chosen).items()
        ]
        items += _messages(work, chosen)
        items += _refused(work, chosen)
        items += _events(work, chosen)
    items += _pins(hub, every)
    found: Counter[str] = Counter()
    for item in items:
        found[item.kind] += item.count
    return Todo(dict(found), items)


def _plans(hub: Hub, chosen: Selection) -> list[Item]:
    return [
        Item(
            "plan",
            plan.koppeling,
            f"plan {plan.id}: {plan.waiting} "
            f"{'wijziging wacht' if plan.waiting == 1 else 'wijzigingen wachten'} tot "
            f"{local_minute(instant(plan.expires_at), hub.settings.timezone)}"
            + "".join(f"; {hold['reason']}" for hold in plan.holds),
            1,
            plan.created_at,
            f"koppelhub plan show {plan.id}",
        )
        for plan in list_plans(hub, koppelingen=chosen.names)
    ]


def _off(work: Work, chosen: Selection) -> list[Item]:
    """Koppelingen that are switched off: nothing of them is fresh until somebody acts."""
    switches = read_switches(work, chosen.koppelingen)
    return [
        Item(
            "off",
            chosen.koppelingen[number],
            f"uitgeschakeld: {switch.off_why}",
            1,
            instant_text(switch.off_at),
            f"koppelhub source on {chosen.koppelingen[number]}",
        )
        for number, switch in switches.items()
        if switch.off_at is not None
    ]


def _last_runs(hub: Hub, work: Work, chosen: Selection) -> list[Item]:
    """The last whole run of each koppeling, where it did not end well: as health judges it."""
    longest = hub.settings.policy.limits.run_time
    runs = lately(work, list(chosen.koppelingen), now=hub.clock.now(), longest=longest)
    return [
        Item(
            "run",
            name,
            f"laatste run {'mislukt' if last.outcome == 'failed' else 'afgebroken'}: "
            f"{last.error or last.outcome}",
            1,
            instant_text(last.started_at),
            f"koppelhub run show {last.id}",
        )
        for name, last in sorted(
            (name, runs[number].last)
            for number, name in chosen.koppelingen.items()
            if runs[number].ended_badly
        )
        if last is not None
    ]


_REPLACED: Final = {
    "alarm": "bij {0} noemt het andere systeem een ander pseudoniem: zoek het uit",
    "proposed": "van {0} is een ander PGN voorgesteld; een collega keurt het goed",
}
"""State of an exchange of a PGN → what it says (Dutch)."""


def _replacements(work: Work, chosen: Selection) -> list[Item]:
    """What a second person must look at of PGNs that changed (replacing.py), alarms first."""
    condition, params = "true", []
    if chosen.scopes is not None:
        condition = (
            "EXISTS (SELECT 1 FROM link l JOIN shadow s ON s.koppeling_id = l.koppeling_id "
            "AND s.entity = l.entity AND s.source_key = l.source_key WHERE l.core_id = e.core_id "
            f"AND l.koppeling_id = e.koppeling_id AND {work.many('s.scope_id')})"
        )
        params = [work.values(chosen.scopes)]
    rows = work.execute(
        "SELECT k.name, e.state, COUNT(*), MIN(e.changed_at) FROM exchange e "
        "JOIN koppeling k ON k.id = e.koppeling_id WHERE e.kind = 'pgn' "
        f"AND {work.many('e.state')} AND {work.many('k.id')} AND {condition} "
        "GROUP BY k.name, e.state ORDER BY e.state, k.name",
        (work.values(list(_REPLACED)), work.values(list(chosen.koppelingen)), *params),
    )
    return [
        Item(
            "replacement",
            name,
            _REPLACED[state].format("1 leerling" if count == 1 else f"{count} leerlingen"),
            count,
            since,
            f"koppelhub eckid replacements --source {name}",
        )
        for name, state, count, since in rows
    ]


def _cases(work: Work, chosen: Selection) -> list[Item]:
    condition, params = "true", []
    if chosen.scopes is not None:
        condition = (
            "EXISTS (SELECT 1 FROM shadow s WHERE s.koppeling_id = z.koppeling_id "
            "AND s.entity = z.entity AND s.source_key = z.source_key "
            f"AND {work.many('s.scope_id')})"
        )
        params = [work.values(chosen.scopes)]
    rows = work.execute(
        "SELECT k.name, z.kind, COUNT(*), MIN(r.started_at), MIN(z.id), "
        "SUM(CASE WHEN z.assignee IS NULL THEN 1 ELSE 0 END) FROM zaak z "
        "JOIN koppeling k ON k.id = z.koppeling_id LEFT JOIN run r ON r.id = z.opened_run "
        f"WHERE z.state = 'open' AND z.kind <> ? AND {work.many('k.id')} AND {condition} "
        "GROUP BY k.name, z.kind ORDER BY k.name, z.kind",
        (QUARANTINE, work.values(list(chosen.koppelingen)), *params),
    )
    return [
        Item(
            "case",
            name,
            f"{count} open {'zaak' if count == 1 else 'zaken'} ({KINDS.get(kind, kind)}), "
            f"{int(free)} van niemand",
            count,
            since or "",
            f"koppelhub case show {first}"
            if count == 1
            else f"koppelhub case list --source {name} --kind {kind}",
        )
        for name, kind, count, since, first, free in rows
    ]


def _messages(work: Work, chosen: Selection) -> list[Item]:
    """Corrections to a target that wait for a person's word, whatever school they are of."""
    return [
        Item(
            "message",
            chosen.koppelingen[number],
            "1 correctie aan het andere systeem wacht op een besluit"
            if count == 1
            else f"{count} correcties aan het andere systeem wachten op een besluit",
            count,
            since or "",
            f"koppelhub outbox list --source {chosen.koppelingen[number]}",
        )
        for number, count, since in work.execute(
            "SELECT koppeling_id, COUNT(*), MIN(made_at) FROM outbox WHERE state = 'asks' "
            f"AND {work.many('koppeling_id')} GROUP BY koppeling_id ORDER BY koppeling_id",
            (work.values(list(chosen.koppelingen)),),
        )
    ]


def _refused(work: Work, chosen: Selection) -> list[Item]:
    """Records whose newest form somebody refused, or a run undid: they stay as they were."""
    condition, params = chosen.of_scope(work, "s.scope_id")
    return [
        Item(
            "refused",
            name,
            f"van {count} {'record' if count == 1 else 'records'} is wat de bron zegt afgewezen "
            "of teruggedraaid",
            count,
            since or "",
            f"koppelhub refused list --source {name}",
        )
        for name, count, since in work.execute(
            "SELECT k.name, COUNT(*), MIN(r.started_at) FROM shadow s "
            "JOIN koppeling k ON k.id = s.koppeling_id LEFT JOIN run r ON r.id = s.refused_run "
            f"WHERE s.refused_fp IS NOT NULL AND {work.many('k.id')} AND {condition} "
            "GROUP BY k.name ORDER BY k.name",
            (work.values(list(chosen.koppelingen)), *params),
        )
    ]


def _events(work: Work, chosen: Selection) -> list[Item]:
    """What the last run of each koppeling that read anything told."""
    condition, params = chosen.of_scope(work, "e.scope_id")
    if chosen.scopes is not None:
        condition = f"(e.scope_id IS NULL OR {condition})"
    rows = work.execute(
        "SELECT k.name, e.kind, COUNT(*), MIN(e.at), e.run_id FROM event e "
        "JOIN koppeling k ON k.id = e.koppeling_id WHERE e.run_id IN (SELECT MAX(r.id) FROM run r "
        "WHERE EXISTS (SELECT 1 FROM reading d WHERE d.run_id = r.id) "
        f"AND {work.many('r.koppeling_id')} GROUP BY r.koppeling_id) AND {condition} "
        "GROUP BY k.name, e.kind, e.run_id ORDER BY k.name, e.kind",
        (work.values(list(chosen.koppelingen)), *params),
    )
    return [
        Item("event", name, _EVENTS[kind], count, at, f"koppelhub run show {run_id}")
        for name, kind, count, at, run_id in rows
        if kind in _EVENTS
    ]


# -- pins ------------------------------------------------------------------------------------------


def _pins(hub: Hub, chosen: Selection) -> list[Item]:
    """Pins that end soon, and those that say what the sources say by now."""
    with hub.store.work() as work:
        condition, params = chosen.of_scope(work, "s.scope_id")
        rows = work.execute(
            "SELECT p.id FROM pin p LEFT JOIN alias a ON a.core_id = p.core_id "
            "WHERE p.lifted_at IS NULL AND EXISTS (SELECT 1 FROM link l JOIN shadow s "
            "ON s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
            "AND s.source_key = l.source_key "
            "WHERE l.core_id = COALESCE(a.survivor_id, p.core_id) "
            f"AND {work.many('l.koppeling_id')} AND {condition})",
            (work.values(list(chosen.koppelingen)), *params),
        )
    of_these = {row[0] for row in rows}
    if not of_these:
        return []
    soon = (local_date(hub.clock.now(), hub.settings.timezone) + SOON).isoformat()
    pins = [row for row in in_force(hub) if row.id in of_these]
    ending = [row for row in pins if row.until and row.until <= soon]
    return [_pin(row, f"houdt op na {row.until}") for row in ending] + [
        _pin(row, "verschilt niet meer van de bron") for row in pins if row.idle
    ]


def _pin(row: PinRow, what: str) -> Item:
    return Item(
        "pin",
        "",
        f"vastgezet {row.entity}.{row.field} van {row.key} {what}",
        1,
        row.since,
        f"koppelhub pin lift {row.id}",
    )
