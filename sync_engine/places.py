"""Where the records of a koppeling stand: in which scope, and inside which raw record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mappings.canonical.fields import Entity
from sync_engine.context import Context, chunks


@dataclass(frozen=True, slots=True)
class Place:
    """One canonical record of the running koppeling in one scope.

    Attributes:
        key: its canonical key.
        raw_key: the source's own key of the raw record that holds it.
        gone: the source no longer has it there.
    """

    key: str
    scope_id: int
    raw_key: str
    gone: bool


def own_keys(
    context: Context, entity: Entity, cores: Sequence[int], *, planned: bool = False
) -> dict[int, list[str]]:
    """Core id → the keys under which the running koppeling knows it, in order.

    Args:
        context: of the run.
        entity: which.
        cores: core ids, of other entities too: those are left out.
        planned: those too that it will know it by once the plan of this run is applied.
    """
    work, wanted = context.work, (context.koppeling.id, str(entity))
    found: dict[int, set[str]] = defaultdict(set)
    for table in ("link", "w_link") if planned else ("link",):
        for part in chunks(cores):
            # by core id alone: asked for more, SQLite goes over all links of the entity
            for core_id, koppeling_id, kind, key in work.execute(
                f"SELECT core_id, koppeling_id, entity, source_key FROM {table} "
                f"WHERE {work.many('core_id')}",
                (work.values(part),),
            ):
                if (koppeling_id, kind) == wanted:
                    found[core_id].add(key)
    return {core_id: sorted(keys) for core_id, keys in found.items()}


def places(context: Context, entity: Entity, keys: Sequence[str]) -> list[Place]:
    """Every place where these records stand, those of this run included; the best known first.

    A record that is still there goes before one that is gone, a current scope before a later one.
    """
    work = context.work
    shadows = [
        row
        for part in chunks(keys)
        for row in work.execute(
            "SELECT source_key, scope_id, received_gone, record_id FROM v_shadow "
            f"WHERE koppeling_id = ? AND entity = ? AND {work.many('source_key')}",
            (context.koppeling.id, str(entity), work.values(part)),
        )
    ]
    raw: dict[int, str] = {}
    for part in chunks(sorted({row[3] for row in shadows})):
        raw.update(
            work.execute(
                f"SELECT id, source_key FROM v_record WHERE {work.many('id')}",
                (work.values(part),),
            )
        )
    found = [
        Place(key, scope_id, raw[record], bool(gone))
        for key, scope_id, gone, record in shadows
        if record in raw
    ]
    rank = {number: (scope.rank, scope.key) for number, scope in context.scopes.items()}
    return sorted(found, key=lambda place: (place.gone, rank[place.scope_id], place.key))
