"""Who is concerned: the core records that a plan folds again, and who waits to be told.

Works in the temporary tables of a plan, set-based.
"""

from __future__ import annotations

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.context import Context, chunks
from sync_engine.correlate import Correlated
from sync_engine.nodes import KEYED, load_nodes
from sync_engine.project import required_references

OPEN_COLUMNS = ("koppeling_id", "entity", "source_key", "target_entity", "target_key")


def find_pending(context: Context, entity: Entity, *, chosen: bool) -> None:
    """What is received and not accepted of one entity, or has other keys by what this plan does.

    Args:
        context: of the run.
        entity: which.
        chosen: only what a person acts on (`w_chosen`).
    """
    work = context.work
    only = f"AND source_key IN (SELECT source_key FROM w_chosen WHERE entity = '{entity}') "
    params: list[object] = [context.koppeling.id, str(entity)]
    mine = ""
    if context.apart:
        mine = f"AND NOT ({work.many('scope_id')}) "
        params.append(work.values(context.apart))
    work.execute(
        # not DISTINCT: that would lead SQLite away from the index of what is pending
        "INSERT INTO w_pending SELECT source_key, id FROM v_shadow "
        f"WHERE koppeling_id = ? AND entity = ? AND pending {only if chosen else ''}"
        f"{mine}ON CONFLICT (source_key) DO NOTHING",
        params,
    )
    work.execute(
        "INSERT INTO w_pending SELECT w.source_key, s.id FROM w_rekey w CROSS JOIN v_shadow s "
        "WHERE w.koppeling_id = ? AND w.entity = ? AND s.koppeling_id = w.koppeling_id "
        "AND s.entity = w.entity AND s.source_key = w.source_key "
        "ON CONFLICT (source_key) DO NOTHING",
        (context.koppeling.id, str(entity)),
    )


def wait_with_disputed(context: Context, entity: Entity) -> set[str]:
    """Source keys of what a source tells in one record with somebody who is in doubt, and of him.

    What is his waits as he does: it is taken out of what is pending, and stays so in the store.
    """
    work = context.work
    theirs = {fields_of(entity)[name].target for name in required_references(entity)}
    found: set[str] = set()
    for target in theirs - {None}:
        rows = work.execute("SELECT source_key FROM w_disputed WHERE entity = ?", (str(target),))
        for part in chunks([row[0] for row in rows]):
            records = work.execute(
                "SELECT record_id FROM v_shadow WHERE koppeling_id = ? AND entity = ? "
                f"AND {work.many('source_key')}",
                (context.koppeling.id, str(target), work.values(part)),
            )
            told = work.execute(
                f"SELECT source_key FROM v_shadow WHERE {work.many('record_id')} "
                "AND entity = ? AND pending",
                (work.values([row[0] for row in records]), str(entity)),
            )
            found.update(row[0] for row in told)
    work.load("w_disputed", ("entity", "source_key"), [(str(entity), k) for k in sorted(found)])
    for part in chunks(sorted(found)):
        work.execute(f"DELETE FROM w_pending WHERE {work.many('source_key')}", (work.values(part),))
    return found


def tell_waiting(context: Context, entity: Entity, keys: set[str]) -> None:
    """A record that waits is told when its target appears."""
    opened = []
    for part in chunks(sorted(keys)):
        for node in load_nodes(context, entity, part):
            for name, description in fields_of(entity).items():
                value = node.form.get(name)
                if description.required and description.target and value is not None:
                    opened.append(
                        (
                            context.koppeling.id,
                            str(entity),
                            node.source_key,
                            str(description.target),
                            str(value),
                        )
                    )
    context.work.load("w_open", OPEN_COLUMNS, opened)


def refold_referrers(context: Context, entity: Entity, correlated: Correlated) -> None:
    """Records that refer to what was linked or merged in this run are folded again."""
    work = context.work
    work.execute(
        "INSERT INTO w_refold SELECT l.core_id, o.entity FROM w_link w "
        "JOIN open_reference o ON o.koppeling_id = w.koppeling_id "
        "AND o.target_entity = w.entity AND o.target_key = w.source_key "
        "JOIN link l ON l.koppeling_id = o.koppeling_id AND l.entity = o.entity "
        "AND l.source_key = o.source_key WHERE w.entity = ? AND w.koppeling_id = ?",
        (str(entity), context.koppeling.id),
    )
    keyed = [str(holder) for holder, _ in _keyed_by(entity)]
    work.execute(  # a member or a mentor who arrives is no reason to ask again who a record is
        "INSERT INTO w_rekey SELECT o.koppeling_id, o.entity, o.source_key FROM w_link w "
        "JOIN open_reference o ON o.koppeling_id = w.koppeling_id "
        "AND o.target_entity = w.entity AND o.target_key = w.source_key "
        f"WHERE w.entity = ? AND w.koppeling_id = ? AND {work.many('o.entity')}",
        (str(entity), context.koppeling.id, work.values(keyed)),
    )
    for younger, survivor in correlated.merges.items():
        _rekey(context, entity, younger)
        for holder in Entity:
            for name, description in fields_of(holder).items():
                if description.kind is Kind.REFERENCE and description.target is entity:
                    work.execute(
                        f"INSERT INTO w_refold SELECT id, ? FROM {holder} WHERE {name}_id = ?",
                        (str(holder), younger),
                    )
        work.execute(
            "INSERT INTO w_refold SELECT groep_id, 'groep' FROM groepsdeelname "
            "WHERE persoon_id = ? AND NOT beeindigd",
            (younger,),
        )
        work.execute(
            "INSERT INTO w_refold (core_id, entity) VALUES (?, ?)", (survivor, str(entity))
        )


def _rekey(context: Context, entity: Entity, younger: int) -> None:
    """The keys of what refers to a record that was merged are others now: match it again."""
    for holder, name in _keyed_by(entity):
        context.work.execute(
            "INSERT INTO w_rekey SELECT l.koppeling_id, l.entity, l.source_key "
            f"FROM {holder} h JOIN link l ON l.core_id = h.id WHERE h.{name}_id = ?",
            (younger,),
        )


def _keyed_by(entity: Entity) -> list[tuple[Entity, str]]:
    """Whose keys, or whose being there at all, hang on a reference to records of an entity."""
    every = [(holder, name) for holder, names in KEYED.items() for name in names]
    return [(holder, name) for holder, name in every if fields_of(holder)[name].target is entity]


def concerned(context: Context, entity: Entity, *, has_pending: bool) -> None:
    """The core records of this entity whose fold may have changed, and those not by a form alone.

    What this run links, and what was marked, is folded `again`.
    """
    work, own = context.work, context.koppeling.id
    work.execute("DELETE FROM w_core")
    # CROSS JOIN keeps SQLite from going over all links of the entity instead of what is pending
    if has_pending:
        for table, again in (("w_link", "TRUE"), ("link", "FALSE")):
            work.execute(
                f"INSERT INTO w_core SELECT l.core_id, {again} FROM w_pending p "
                f"CROSS JOIN {table} l WHERE l.koppeling_id = ? AND l.entity = ? "
                "AND l.source_key = p.source_key ON CONFLICT (core_id) DO NOTHING",
                (own, str(entity)),
            )
    work.execute(
        "INSERT INTO w_core SELECT DISTINCT core_id, TRUE FROM w_refold WHERE entity = ? "
        "AND core_id IS NOT NULL ON CONFLICT (core_id) DO UPDATE SET again = TRUE",
        (str(entity),),
    )
    work.execute("DELETE FROM w_core WHERE core_id IN (SELECT core_id FROM w_alias)")
