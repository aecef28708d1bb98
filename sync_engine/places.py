"""Where the records of a koppeling stand: in which scope, and inside which raw record."""

from __future__ import annotations

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
