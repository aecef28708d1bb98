"""The source records of a leerling and of what is his: what is read when a school calls."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec

from connectors.base import Scope
from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.context import Context, chunks, salts_of
from sync_engine.groups import Wanted, beside, keys_of, placed
from sync_engine.hubkeys import hub_key
from sync_engine.places import places

_HIS: Final = tuple(
    entity
    for entity in Entity
    if any(
        field.kind is Kind.REFERENCE and field.target is Entity.LEERLING and field.required
        for field in fields_of(entity).values()
    )
)
"""Entities that are a leerling's and nobody's without him."""


class PupilLookup:
    """Which records to look up for some leerlingen: their own, then those of their verzorgers.

    Args:
        context: of the run.
        pupils: core ids.
        scopes: what may be read, in the order in which it is read.
        alone: resources of which single records can be asked; of the others the scopes are read in
            which he stands, and no more than that.
    """

    def __init__(
        self,
        context: Context,
        pupils: Sequence[int],
        scopes: Sequence[Scope],
        *,
        alone: Collection[str],
    ) -> None:
        self._context, self._work = context, context.work
        self._pupils, self._scopes, self._alone = pupils, scopes, alone

    def rounds(self) -> Iterator[list[Wanted]]:
        """Two rounds: the second counts on the first having been received."""
        context = self._context
        keys = keys_of(context, Entity.LEERLING, self._pupils)
        if context.adds:  # also whom it has nothing of yet can be asked for
            keys = sorted({*keys, *map(hub_key, self._pupils)})
        own = self._standing(Entity.LEERLING, keys, everywhere=True)
        for entity in _HIS:
            own += self._standing(entity, keys_of(context, entity, self._owned(entity)))
        yield placed(self._scopes, own)
        verzorgers = set(keys_of(context, Entity.VERZORGER, self._verzorgers()))
        verzorgers |= self._named(keys)
        here = places(context, Entity.LEERLING, keys)  # where he was found just now too
        near = {context.scopes[place.scope_id].key for place in here if not place.gone}
        theirs = self._standing(Entity.VERZORGER, sorted(verzorgers), everywhere=True, near=near)
        yield placed(self._scopes, theirs)

    def _standing(
        self,
        entity: Entity,
        keys: Sequence[str],
        *,
        everywhere: bool = False,
        near: Collection[str] = (),
    ) -> list[tuple[Scope, str]]:
        """Where these records stand, and on request where else they may be by now.

        Args:
            entity: of these records.
            keys: the source's.
            everywhere: wherever they can be asked alone, and what is new wherever it may be.
            near: keys of the scopes to look in; empty is all.
        """
        context = self._context
        known = places(context, entity, keys)
        found = [(context.scopes[place.scope_id], place.raw_key) for place in known]
        if everywhere:
            raw = {place.key: place.raw_key for place in known}
            found += [
                (scope, raw.get(key, key))
                for key in keys
                for scope in beside(context, entity, self._scopes, near=set(near))
                if scope.resource in self._alone or key not in raw
            ]
        return found

    def _owned(self, entity: Entity) -> list[int]:
        """Core records of an entity that are of these leerlingen."""
        found: list[int] = []
        for part in chunks(self._pupils):
            rows = self._work.execute(
                f"SELECT id FROM {entity} WHERE {self._work.many('leerling_id')} ORDER BY id",
                (self._work.values(part),),
            )
            found += [row[0] for row in rows]
        return found

    def _verzorgers(self) -> list[int]:
        rows = self._work.execute(
            "SELECT DISTINCT verzorger_id FROM verzorger_relatie "
            f"WHERE {self._work.many('leerling_id')}",
            (self._work.values(list(self._pupils)),),
        )
        return sorted(row[0] for row in rows)

    def _named(self, keys: Sequence[str]) -> set[str]:
        """The verzorgers that the records which were just received name."""
        context, work = self._context, self._work
        found: set[str] = set()
        rows = work.execute(
            "SELECT id, record_id, received FROM v_shadow WHERE koppeling_id = ? AND entity = ? "
            "AND record_id IN (SELECT record_id FROM v_shadow WHERE koppeling_id = ? "
            f"AND entity = ? AND {work.many('source_key')})",
            (
                context.koppeling.id,
                str(Entity.VERZORGER_RELATIE),
                context.koppeling.id,
                str(Entity.LEERLING),
                work.values(list(keys)),
            ),
        )
        salts = salts_of(context, [row[1] for row in rows])
        for number, record, blob in rows:
            if record in salts:
                plain = context.cipher.person(salts[record]).decrypt(blob, b"shadow|%d" % number)
                named = msgspec.json.decode(plain).get("verzorger")
                found.update([str(named)] if named is not None else [])
        return found
