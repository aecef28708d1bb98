"""Rekey: the exact keys and the evidence of decisions of what goes, as the new tenant makes them.

Each is found back under the old tenant's keys and made again under the new one's; what is not
found back was of a form that is no more: its record is matched anew by the next run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.context import Context, KoppelingRow
from sync_engine.nodes import (
    WITH_KEYS,
    Node,
    accepted_forms,
    load_nodes,
    lookup_links,
    named_keys,
    resolved_references,
)
from sync_engine.store.cipher import TenantCipher

_BATCH: Final = 500


class Rekeyer:
    """Fills `t_key` and `t_evidence`.

    Args:
        context: to read the old tenant in; the tables of planning are there.
        new: the new tenant's keys.
        koppelingen: those that go.
        issuers: koppeling that stays → the one that goes and issues its numbers from now on.
    """

    def __init__(
        self,
        context: Context,
        new: TenantCipher,
        koppelingen: Sequence[KoppelingRow],
        *,
        issuers: Mapping[int, int],
    ) -> None:
        self._issued = {new_: old for old, new_ in issuers.items()}
        self.context, self.koppelingen = context, koppelingen
        self._index = context.cipher.index, new.index
        self._evidence = context.cipher.fingerprint(b"evidence"), new.fingerprint(b"evidence")
        self._core: dict[int, int] = dict(
            context.work.execute("SELECT core_id, b_id FROM t_core WHERE b_id <> core_id")
        )

    def prepare(self) -> None:
        """Fill the temporary tables."""
        work = self.context.work
        work.temp_table(
            "t_key",
            "koppeling_id INTEGER, entity TEXT, source_key TEXT, before BLOB, after BLOB",
        )
        work.execute("CREATE INDEX IF NOT EXISTS t_key_before ON t_key (before)")
        work.temp_table(
            "t_evidence",
            "koppeling_id INTEGER, entity TEXT, source_key TEXT, before BLOB, after BLOB",
        )
        for row in self.koppelingen:
            self.context.koppeling = row
            for entity in Entity:
                self._rekey(row.id, entity)

    def _rekey(self, koppeling_id: int, entity: Entity) -> None:
        work = self.context.work
        for keys in self._batches("link", koppeling_id, entity) if entity in WITH_KEYS else ():
            names = ("koppeling_id", "entity", "source_key", "before", "after")
            rows = {
                (koppeling_id, str(entity), node.source_key, before, after)
                for nodes in self._nodes(koppeling_id, entity, keys)
                for node, pairs in nodes
                for before, after in pairs
            }
            work.load("t_key", names, sorted(rows))
        for keys in self._batches("decision", koppeling_id, entity):
            names = ("koppeling_id", "entity", "source_key", "before", "after")
            rows = set()
            for node, pairs in self._received(koppeling_id, entity, keys):
                before, after = (
                    fingerprint(b"|".join(sorted(pair[side] for pair in pairs)))
                    for side, fingerprint in enumerate(self._evidence)
                )
                rows.add((koppeling_id, str(entity), node.source_key, before, after))
            work.load("t_evidence", names, sorted(rows))

    def _batches(self, table: str, koppeling_id: int, entity: Entity) -> Iterator[list[str]]:
        last = ""
        while True:
            rows = self.context.work.execute(
                f"SELECT DISTINCT source_key FROM {table} WHERE koppeling_id = ? AND entity = ? "
                f"AND source_key > ? ORDER BY source_key LIMIT {_BATCH}",
                (koppeling_id, str(entity), last),
            )
            if not rows:
                return
            last = rows[-1][0]
            yield [row[0] for row in rows]

    def _nodes(
        self, koppeling_id: int, entity: Entity, keys: Sequence[str]
    ) -> Iterator[list[tuple[Node, list[tuple[bytes, bytes]]]]]:
        """Records by what is received of them and by what is accepted, with their keys."""
        yield self._received(koppeling_id, entity, keys)
        issuers: dict[str, int] = {}
        core = lookup_links(self.context, entity, keys, koppeling_id=koppeling_id)
        forms = accepted_forms(self.context, entity, keys, koppeling_id, issuers=issuers)
        yield self._keyed(
            entity,
            koppeling_id,
            [Node(key, form, False, core.get(key), 0, issuers[key]) for key, form in forms.items()],
        )

    def _received(
        self, koppeling_id: int, entity: Entity, keys: Sequence[str]
    ) -> list[tuple[Node, list[tuple[bytes, bytes]]]]:
        return self._keyed(entity, koppeling_id, load_nodes(self.context, entity, keys))

    def _keyed(
        self, entity: Entity, koppeling_id: int, nodes: Sequence[Node]
    ) -> list[tuple[Node, list[tuple[bytes, bytes]]]]:
        """Each record with its keys: (as the old tenant makes them, as the new one does)."""
        context = self.context
        here = resolved_references(context, entity, nodes, koppeling_id)
        there = {
            where: None if core_id is None else self._core.get(core_id, core_id)
            for where, core_id in here.items()
        }
        before, after = self._index
        found = []
        for node in nodes:
            issuer = self._issued.get(node.issuer, node.issuer)
            was = msgspec.structs.replace(node, issuer=issuer)
            told = named_keys(context, entity, was, here)
            tells = named_keys(context, entity, node, there)
            pairs = [
                (before(name, *parts), after(name, *others))
                for (name, parts, _), (_, others, _) in zip(told, tells, strict=True)
            ]
            found.append((node, pairs))
        return found
