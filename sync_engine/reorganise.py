"""Herinrichtingen for people: what is announced, what is in force, and how one is put in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from config.errors import ConfigurationError
from config.guards import BRIN_LENGTH
from config.herinrichting import AnnouncedHerinrichting
from config.nearest import choice
from sync_engine.errors import SyncError
from sync_engine.herinrichtingen import is_former, read_changes
from sync_engine.hub import Hub
from sync_engine.options import Kind, Options
from sync_engine.renumbering import Change, Herinrichting
from sync_engine.store.work import Work
from sync_engine.transfer import listing
from sync_engine.view import store_context


@dataclass(frozen=True, slots=True)
class HerinrichtingView:
    """One herinrichting.

    Attributes:
        state: announced, in force, differs (in force, and announced otherwise), finished, taken
            back, transferred or unconfigured (transferred, and the configuration names the old
            tenant still).
        numbers: each change as people write it: `99XX01 → 99YY03`; `somtoday → bestuur` where a
            koppeling goes to another tenant.
        run_id: the run that put it in force; undoing that run takes it back.
        behind: leerlingen that stand under the old numbers alone, and have not ended.
        id: of its row; None where it is announced only.
    """

    name: str
    tenant: str
    on: str
    state: str
    numbers: list[str]
    run_id: int | None = None
    operator: str = ""
    why: str = ""
    at: str = ""
    behind: int | None = None
    id: int | None = None


def list_herinrichtingen(hub: Hub) -> list[HerinrichtingView]:
    """What the configuration announces and what is or was in force, by the day."""
    with hub.store.work() as work:
        tenants = hub.tenants(work)
        rows = work.execute(
            "SELECT tenant_id, name, on_day, changes, run_id, operator, why, created_at, "
            "lifted_at, id, finished_run FROM herinrichting "
            f"WHERE {work.many('tenant_id')} ORDER BY on_day, id",
            (work.values(list(tenants)),),
        )
        found, moves = _transfers(hub, work, tenants)
    mine = {
        e.name: e
        for e in hub.settings.herinrichting
        if e.tenant in tenants.values() and e.name not in moves
    }
    known = set()
    for tenant_id, name, on, text, run_id, operator, why, at, lifted, number, over in rows:
        changes = read_changes(text)
        state, behind = "taken back", None
        if lifted is None:
            known.add(name)
            told = mine.get(name)
            made = Herinrichting(name, on, changes)
            same = told is None or (str(told.on), announced(told).changes) == (str(on), changes)
            state, behind = "in force" if same else "differs", _behind(hub, tenant_id, made)
            state = "finished" if same and over is not None else state
        found.append(
            HerinrichtingView(
                name,
                tenants[tenant_id],
                str(on),
                state,
                _written(changes),
                run_id=run_id,
                operator=operator,
                why=why,
                at=str(at),
                behind=behind,
                id=number,
            )
        )
    for name in sorted(mine.keys() - known):
        made = announced(mine[name])
        found.append(
            HerinrichtingView(
                name, mine[name].tenant, str(made.on), "announced", _written(made.changes)
            )
        )
    return found


def _transfers(
    hub: Hub, work: Work, tenants: dict[int, str]
) -> tuple[list[HerinrichtingView], set[str]]:
    """Koppelingen that go to another tenant: what was done and what is announced; their names."""
    told = {e.name: e for e in hub.settings.herinrichting if e.naar is not None}
    names: dict[int, str] = dict(work.execute("SELECT id, name FROM tenant"))
    states = {name: listing.state_of(hub, work, each) for name, each in told.items()}
    found = [
        HerinrichtingView(
            *(name, names[old], on, listing.DONE, _going(koppelingen, new)),
            operator=operator,
            at=at,
        )
        for name, old, new, on, koppelingen, operator, at in listing.done(work, list(tenants))
    ]
    for name, each in sorted(told.items()):
        numbers = _going(each.koppelingen, str(each.naar))
        view = HerinrichtingView(name, each.tenant, str(each.on), states[name], numbers)
        mine = {each.tenant, str(each.naar)} & set(tenants.values())
        if mine and states[name] != listing.DONE:
            if states[name] == listing.UNCONFIGURED:
                found = [one for one in found if (one.name, one.tenant) != (name, each.tenant)]
            found.append(view)
    return found, set(told)


def _going(koppelingen: Sequence[str], new: str) -> list[str]:
    return [f"{koppeling} → {new}" for koppeling in koppelingen]


def _written(changes: tuple[Change, ...]) -> list[str]:
    def written(change: Change) -> str:
        text = change.number
        if change.becomes != change.number:
            text += f" {'gaat op in' if change.joins else '→'} {change.becomes}"
        else:
            text += " (zelfde nummer, nieuwe records)"
        return f"{text}; {change.source} stopt" if change.source else text

    return [written(change) for change in changes]


def _behind(hub: Hub, tenant_id: int, made: Herinrichting) -> int:
    """Who stands under the old numbers alone, in every koppeling that has him."""
    numbers = {change.number for change in made.changes}
    with store_context(hub, tenant_id) as context:
        context.former_scopes = {
            scope_id
            for scope_id in context.former_scopes
            if numbers.intersection(context.scopes[scope_id].brins)
        }
        if not context.former_scopes:
            return 0
        rows = context.work.execute(
            "SELECT COUNT(*) FROM leerling c WHERE c.tenant_id = ? "
            "AND (c.geldig_tot IS NULL OR c.geldig_tot > ?) AND EXISTS (SELECT 1 FROM link l "
            f"WHERE l.core_id = c.id AND {is_former(context, 'l')}) AND NOT EXISTS (SELECT 1 "
            f"FROM link l WHERE l.core_id = c.id AND NOT {is_former(context, 'l')})",
            (tenant_id, context.today),
        )
        return int(rows[0][0])


# -- putting one in force --------------------------------------------------------------------------


def announced(told: AnnouncedHerinrichting) -> Herinrichting:
    """What the configuration announces, as the engine has it."""
    return Herinrichting(
        told.name,
        told.on,
        tuple(Change(c.number, c.becomes, c.into is not None, c.source or "") for c in told.nummer),
    )


def find(hub: Hub, name: str) -> AnnouncedHerinrichting:
    """The announced herinrichting of that name.

    Raises: ConfigurationError if there is none that the actor may act for; it names the nearest.
    """
    with hub.store.work() as work:
        tenants = set(hub.tenants(work).values())
    mine = {each.name: each for each in hub.settings.herinrichting if each.tenant in tenants}
    if name not in mine:
        raise ConfigurationError(
            f"the configuration announces no herinrichting {name!r}",
            advice=choice(name, mine) if mine else "Neem haar op als [[herinrichting]].",
        )
    return mine[name]


def in_force(hub: Hub, name: str) -> HerinrichtingView:
    """The herinrichting of that name that is in force.

    Raises: SyncError if there is none that the actor may act for; it names the nearest.
    """
    if any(each.name == name and each.naar is not None for each in hub.settings.herinrichting):
        message = f"herinrichting[{name}]: a transfer is finished once it is applied"
        raise SyncError(
            message, advice="Er is niets af te ronden: wie meegaat, ging in zijn geheel."
        )
    known = {each.name: each for each in list_herinrichtingen(hub) if each.behind is not None}
    if name not in known:
        raise SyncError(f"no herinrichting {name!r} is in force", advice=choice(name, known))
    return known[name]


def act_options(hub: Hub, told: AnnouncedHerinrichting, *, operator: str, why: str) -> Options:
    """How a herinrichting is put in force.

    Raises: ConfigurationError if it names a school or koppeling that its tenant has never had.
    """
    with hub.store.work() as work:
        known = _numbers(work, told.tenant)
        names = [
            row[0]
            for row in work.execute(
                "SELECT k.name FROM koppeling k JOIN tenant t ON t.id = k.tenant_id "
                "WHERE t.name = ?",
                (told.tenant,),
            )
        ]
    for change in told.nummer:
        where = f"herinrichting[{told.name}].nummer[{change.number}]"
        if change.number not in known:
            raise ConfigurationError(
                f"{where}: nothing was ever read of this school",
                advice=choice(change.number, known),
            )
        if change.source is not None and change.source not in names:
            raise ConfigurationError(
                f"{where}.source: its tenant has no such koppeling",
                advice=choice(change.source, names),
            )
    made = announced(told)
    return Options(kind=Kind.DECIDE, herinrichting=made, operator=operator, why=why)


def _numbers(work: Work, tenant: str) -> list[str]:
    """Every number of a school that was ever read for a tenant."""
    rows = work.execute(
        "SELECT DISTINCT s.brins FROM scope s JOIN koppeling k ON k.id = s.koppeling_id "
        "JOIN tenant t ON t.id = k.tenant_id WHERE t.name = ?",
        (tenant,),
    )
    listed = [number for (text,) in rows for number in msgspec.json.decode(text, type=list[str])]
    return list(dict.fromkeys([*listed, *(number[:BRIN_LENGTH] for number in listed)]))


def koppeling_of(hub: Hub, made: HerinrichtingView) -> str:
    """The koppeling whose run put it in force, or another of its tenant that is configured.

    Raises: SyncError if none is.
    """
    mine = [source.name for source in hub.sources() if source.tenant == made.tenant]
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT k.name FROM run r JOIN koppeling k ON k.id = r.koppeling_id WHERE r.id = ?",
            (made.run_id,),
        )
    names = [row[0] for row in rows if row[0] in mine] or mine
    if not names:
        raise SyncError("its tenant has no koppeling in the configuration", advice=_NO_SOURCE)
    return str(names[0])


_NO_SOURCE = "Neem eerst de koppeling op die de school voortaan levert."


def koppeling_for(hub: Hub, told: AnnouncedHerinrichting) -> str:
    """The configured koppeling whose run puts it in force: the one that brings the school last.

    Other koppelingen follow in their next runs.

    Raises: SyncError if none of its tenant is configured.
    """
    mine = [source.name for source in hub.sources() if source.tenant == told.tenant]
    wanted = [n for change in told.nummer for n in (change.becomes, change.number)]
    stops = {change.source for change in told.nummer}
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT k.name, s.brins FROM scope s JOIN koppeling k ON k.id = s.koppeling_id "
            f"WHERE {work.many('k.name')} ORDER BY s.id DESC",
            (work.values(mine),),
        )
    serving: list[str] = [
        name
        for number in wanted
        for name, text in rows
        if number in msgspec.json.decode(text, type=list[str]) and name not in stops
    ]
    if not serving and not mine:
        raise SyncError("its tenant has no koppeling in the configuration", advice=_NO_SOURCE)
    return [*serving, *(name for name in mine if name not in stops), *mine][0]
