"""Herinrichtingen in the store: which are in force, which scopes they replace, whom they concern.

What a source said of a school before it changed its number or its records stands in *former*
scopes. Within one koppeling they count as a koppeling of their own: their records and those of the
new scopes may be the same (matching.py), are believed after them, and close nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias

import msgspec

from config.clock import local_date
from mappings.canonical.fields import Entity
from sync_engine.context import Context, chunks
from sync_engine.renumbering import NUMBERED, Change, Herinrichting, Renumbering, places
from sync_engine.store.values import instant
from sync_engine.store.work import Work

PERSONS: Final = (Entity.MEDEWERKER, Entity.LEERLING, Entity.VERZORGER)
"""Entities whose new records may be those of former scopes by all that they say."""


def in_force(work: Work, tenants: Sequence[int]) -> list[Herinrichting]:
    """The herinrichtingen of these tenants that nobody took back, oldest first."""
    rows = work.execute(
        "SELECT id, name, on_day, changes, finished_run, last_days FROM herinrichting "
        f"WHERE lifted_at IS NULL AND {work.many('tenant_id')} ORDER BY on_day, id",
        (work.values(list(tenants)),),
    )
    return [
        Herinrichting(
            name,
            _day(on),
            read_changes(changes),
            number,
            finished=run is not None,
            last_days=msgspec.json.decode(days, type=dict[str, date]) if days else {},
        )
        for number, name, on, changes, run, days in rows
    ]


def known_at(
    work: Work, every: Sequence[Herinrichting], until: datetime | None
) -> list[Herinrichting]:
    """Of these herinrichtingen the ones that were in force before an instant."""
    rows = work.execute(
        f"SELECT id FROM herinrichting WHERE created_at < ? AND {work.many('id')}",
        (until, work.values([each.id for each in every])),
    )
    known = {row[0] for row in rows}
    return [each for each in every if each.id in known]


def read_changes(text: str) -> tuple[Change, ...]:
    """The changes of a herinrichting, as its row keeps them."""
    return msgspec.json.decode(text, type=tuple[Change, ...])


def _day(value: date | str) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def load(context: Context) -> None:
    """The numbers of the tenant as they count in this run; after its scopes were loaded."""
    every = [
        msgspec.structs.replace(each, finished=False, last_days={})
        if each.id in {context.finishing, context.unfinishing}
        else each
        for each in in_force(context.work, [context.koppeling.tenant_id])
        if each.id != context.withdrawn
    ]
    on = context.today
    if context.proposed is not None:
        every.append(context.proposed)
        if context.dry:  # a preview shows the day itself
            on = max(on, context.proposed.on)
    context.renumbering = Renumbering(every, on=on)
    guards = context.renumbering.guards(context.policy.guards)
    if guards is not context.policy.guards:
        context.policy = context.policy.model_copy(update={"guards": guards})
    sort_out(context)


def sort_out(context: Context) -> None:
    """Which scopes are former ones; again wherever scopes were made or ended."""
    context.former_scopes, context.stopped_scopes = set(), set()
    context.finished_scopes = {}
    if not context.renumbering:
        return
    for number in _covered(context):
        scope = context.scopes[number]
        koppeling = context.koppelingen[context.scope_koppeling[number]]
        if context.renumbering.stopped_on(koppeling, scope.brins) is not None:
            context.stopped_scopes.add(number)
            context.former_scopes.add(number)
        elif number in context.ended_scopes:
            context.former_scopes.add(number)
    for listed in _together(context):
        new = [n for n in listed if not context.renumbering.is_old(context.scopes[n].brins)]
        context.former_scopes |= set(listed) - set(new) if new else set()
        if context.renumbering.is_anew(context.scopes[listed[0]].brins):
            context.former_scopes |= set((new or listed)[:-1])
    _last_days(context)


def _together(context: Context) -> Iterable[list[int]]:
    """Scopes that a koppeling lists for one school and schooljaar, oldest first."""
    found: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number in sorted(_covered(context) - context.former_scopes):
        scope = context.scopes[number]
        school = tuple(sorted(context.renumbering.every_name(scope.brins)))
        koppeling = context.scope_koppeling[number]
        found[koppeling, scope.resource, scope.schooljaar, school].append(number)
    return found.values()


def _last_days(context: Context) -> None:
    """Of finished former scopes the last day of what was left behind there.

    That is remembered with the herinrichting; where this run finishes it, it is the last day on
    which the scope was read to its end and its koppeling still brought it.
    """
    for each in context.renumbering.every:
        for text, day in each.last_days.items():
            if int(text) in context.former_scopes:
                context.finished_scopes[int(text)] = day
        if each.id != context.finishing or not each.id:
            continue
        names = {n for c in each.changes for n in context.renumbering.names(c.number)}
        over = [
            number
            for number in context.former_scopes
            if names.issuperset(places(context.scopes[number].brins))
        ]
        for part in chunks(sorted(over)):
            for number, at in context.work.execute(
                "SELECT id, complete_at FROM scope WHERE complete_at IS NOT NULL "
                f"AND {context.work.many('id')}",
                (context.work.values(part),),
            ):
                scope, koppeling = context.scopes[number], context.scope_koppeling[number]
                stop = context.renumbering.stopped_on(context.koppelingen[koppeling], scope.brins)
                days = [local_date(instant(at)), *([] if stop is None else [stop - _ONE_DAY])]
                context.finished_scopes[number] = min(days)


_ONE_DAY = timedelta(days=1)


# -- whom it concerns ------------------------------------------------------------------------------


def note_changed(context: Context) -> None:
    """Match and fold again what leans on numbers or former scopes that are others than before.

    Only under the lock of the tenant. What must be done is written down with the fingerprint, so
    that a run that is killed leaves it to the next; a dry run does it for its own plan alone.
    """
    sort_out(context)
    work, tenant = context.work, context.koppeling.tenant_id
    renumbering = context.renumbering
    said = {
        "every": renumbering.every,
        "in force": [each.id for each in renumbering.every if each.on <= renumbering.on],
        "former": sorted(context.former_scopes),
        "finished": sorted(context.finished_scopes.items()),
    }
    fingerprint = context.cipher.fingerprint(b"fold input")(msgspec.json.encode(said))
    name = f"nummers/{context.koppeling.id}"
    rows = work.execute(
        "SELECT fingerprint FROM fold_input WHERE tenant_id = ? AND name = ?", (tenant, name)
    )
    if (bytes(rows[0][0]) == fingerprint) if rows else not renumbering:
        return
    context.rekeying = True
    if context.dry:
        return
    with work.transaction():
        for query, params in _nodes(context):
            work.execute(
                "UPDATE shadow SET pending = true WHERE accepted_fp IS NOT NULL "
                "AND refused_fp IS NULL AND koppeling_id = ? "
                f"AND (entity, source_key) IN (SELECT entity, source_key FROM ({query}) n)",
                (context.koppeling.id, *params),
            )
        for query, params in _cores(context):
            work.execute(
                "INSERT INTO refold (core_id, tenant_id, entity, reason) "
                f"SELECT DISTINCT core_id, CAST(? AS INTEGER), entity, 'nummers' FROM ({query}) n "
                "WHERE true ON CONFLICT (core_id) DO NOTHING",
                (tenant, *params),
            )
        work.execute(
            "INSERT INTO fold_input (tenant_id, name, fingerprint) VALUES (?, ?, ?) "
            "ON CONFLICT (tenant_id, name) DO UPDATE SET fingerprint = excluded.fingerprint",
            (tenant, name, fingerprint),
        )


def concern(context: Context) -> None:
    """Put into a plan what a change of numbers concerns: to be matched, and to be folded again."""
    if not context.rekeying:
        return
    for query, params in _nodes(context):
        context.work.execute(
            f"INSERT INTO w_rekey SELECT koppeling_id, entity, source_key FROM ({query}) n", params
        )
    for query, params in _cores(context):
        context.work.execute(
            f"INSERT INTO w_refold SELECT DISTINCT core_id, entity FROM ({query}) n", params
        )


Queries: TypeAlias = Iterator[tuple[str, tuple[object, ...]]]


def _nodes(context: Context) -> Queries:
    """Queries of the records of the running koppeling that are matched again.

    Its instellingen and vestigingen; and, where a school goes on from former scopes, the persons of
    the new ones, who may be those of the former by all that they say.
    """
    own = context.koppeling.id
    for entity in NUMBERED:
        yield (
            "SELECT koppeling_id, entity, source_key FROM link "
            "WHERE koppeling_id = ? AND entity = ?",
            (own, str(entity)),
        )
    beside = [
        number
        for number in _covered(context) - context.former_scopes
        if context.scope_koppeling[number] == own
    ]
    for entity in PERSONS if context.former_scopes else ():
        yield (
            "SELECT DISTINCT koppeling_id, entity, source_key FROM shadow WHERE entity = ? "
            f"AND {context.work.many('scope_id')}",
            (str(entity), context.work.values(sorted(beside))),
        )


def _cores(context: Context) -> Queries:
    """Queries of the core records whose fold depends on numbers or on what is a former scope."""
    work, tenant = context.work, context.koppeling.tenant_id
    for entity in NUMBERED:
        yield (
            f"SELECT id AS core_id, '{entity}' AS entity FROM {entity} WHERE tenant_id = ?",
            (tenant,),
        )
    for part in chunks(sorted(_covered(context) | context.changed_scopes)):
        yield (
            "SELECT l.core_id, l.entity FROM shadow s CROSS JOIN link l "
            "WHERE l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
            f"AND l.source_key = s.source_key AND {work.many('s.scope_id')}",
            (work.values(part),),
        )


def _covered(context: Context) -> set[int]:
    """The scopes of schools that change, former ones and those that they go on in."""
    return {
        number
        for number, scope in context.scopes.items()
        if number not in context.adopted_scopes and context.renumbering.covers(scope.brins)
    }


def of_changed_schools(context: Context, records: Sequence[int]) -> int:
    """How many of these raw records are instellingen or vestigingen whose number changes.

    That one is missing where its school goes on under a record of its own says nothing of how much
    the source delivers.
    """
    work, found = context.work, 0
    for entity, column in NUMBERED.items():
        for part in chunks(records):
            found += sum(
                context.renumbering.knows(str(number))
                for (number,) in work.execute(
                    f"SELECT c.{column} FROM shadow s JOIN link l "
                    "ON l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
                    f"AND l.source_key = s.source_key JOIN {entity} c ON c.id = l.core_id "
                    f"WHERE s.entity = ? AND {work.many('s.record_id')}",
                    (str(entity), work.values(part)),
                )
            )
    return found


def former_keys(context: Context, entity: Entity, keys: Sequence[str]) -> set[str]:
    """Of these source keys of the running koppeling, those of schools before they changed.

    They stand in former scopes alone. An instelling or vestiging may stand in a scope of all of
    them: it is a former one too when it has a number that is not that of the day, or is missing.
    """
    if not has_former(context, entity):
        return set()
    work = context.work
    former: set[str] = set()
    live: set[str] = set()
    for part in chunks(sorted(keys)):
        for key, scope_id, gone, missing in work.execute(
            "SELECT s.source_key, s.scope_id, s.received_gone, r.missing_since FROM v_shadow s "
            "LEFT JOIN v_record r ON r.id = s.record_id WHERE s.koppeling_id = ? "
            f"AND s.entity = ? AND {work.many('s.source_key')}",
            (context.koppeling.id, str(entity), work.values(part)),
        ):
            over = entity in NUMBERED and (gone or missing is not None)
            if scope_id in context.former_scopes or over:
                former.add(key)
            elif not gone:
                live.add(key)
    return former - live


def has_former(context: Context, entity: Entity) -> bool:
    """Whether any record of an entity may be of a school before that changed."""
    return bool(context.former_scopes or (entity in NUMBERED and context.renumbering))


def is_former(context: Context, link: str, scopes: Collection[int] | None = None) -> str:
    """Condition that a row of `link` is of a record that stands in former scopes alone.

    Args:
        context: of the run.
        link: alias of the table.
        scopes: only these; all former ones without.
    """
    chosen = context.former_scopes if scopes is None else scopes
    if not chosen:
        return "false"
    listed = ", ".join(str(number) for number in sorted(chosen))
    shadow = (
        f"SELECT 1 FROM v_shadow f WHERE f.koppeling_id = {link}.koppeling_id "
        f"AND f.entity = {link}.entity AND f.source_key = {link}.source_key AND"
    )
    return (
        f"(EXISTS ({shadow} f.scope_id IN ({listed})) "
        f"AND NOT EXISTS ({shadow} f.scope_id NOT IN ({listed}) AND NOT f.received_gone))"
    )


# -- by the word of a person -----------------------------------------------------------------------


def write(context: Context, made: Herinrichting, *, operator: str, why: str) -> None:
    """Put a herinrichting in force; within the transaction of its act."""
    context.work.execute(
        "INSERT INTO herinrichting (tenant_id, name, on_day, changes, operator, why, created_at, "
        "run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            context.koppeling.tenant_id,
            made.name,
            made.on,
            msgspec.json.encode(made.changes).decode(),
            operator,
            why,
            context.now,
            context.run_id,
        ),
    )


def finish(context: Context, number: int) -> None:
    """Who was left behind is gone from this run on; within the transaction of its act."""
    known = {text for each in context.renumbering.every for text in each.last_days}
    days = {
        str(scope_id): day
        for scope_id, day in sorted(context.finished_scopes.items())
        if str(scope_id) not in known
    }
    context.work.execute(
        "UPDATE herinrichting SET finished_run = ?, last_days = ? WHERE id = ?",
        (context.run_id, msgspec.json.encode(days).decode(), number),
    )


def unfinish(context: Context, number: int) -> None:
    """Whoever is left behind is waited for again; within the transaction of an undo."""
    context.work.execute(
        "UPDATE herinrichting SET finished_run = NULL, last_days = NULL WHERE id = ?", (number,)
    )


def lift(context: Context, number: int, *, operator: str, at: datetime) -> None:
    """Take one back; within the transaction of the undo of its run."""
    context.work.execute(
        "UPDATE herinrichting SET lifted_at = ?, lifted_by = ? WHERE id = ?",
        (at, operator, number),
    )


def of_run(context: Context, run_id: int, *, column: str = "run_id") -> int:
    """The herinrichting that a run put in force (or finished) and that counts; 0 for none."""
    rows = context.work.execute(
        f"SELECT id FROM herinrichting WHERE {column} = ? AND lifted_at IS NULL", (run_id,)
    )
    return int(rows[0][0]) if rows else 0
