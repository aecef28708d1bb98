"""Parting: records that were one because whom they are of was one, and who is parted from whom.

What a source tells of one who moves goes with him: where the core has it in one record with what is
told of who stays, it becomes a record of its own. What a key that does not hang on him joins stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.context import Context, chunks
from sync_engine.fold import Json
from sync_engine.nodes import KEYED, Node, accepted_forms, exact_keys, lookup_links
from sync_engine.retention import ADDING
from sync_engine.store.work import Row

Known = tuple[int, str]
"""Koppeling id, source key."""


def part_holders(context: Context) -> None:
    """What moves takes what is its own out of records that it shares with what stays (`w_move`)."""
    for entity, names in KEYED.items():  # what is known by others of these comes after them
        moved = {name: _moved(context, _target(entity, name)) for name in names}
        if any(moved.values()):
            _Shared(context, entity, moved).part()


def _target(entity: Entity, name: str) -> Entity:
    target = fields_of(entity)[name].target
    assert target is not None  # noqa: S101 - KEYED names references alone
    return target


def _moved(context: Context, entity: Entity) -> dict[Known, tuple[int, int]]:
    """Record → the core records that it was and becomes; a new one has no number yet."""
    rows = context.work.execute(
        "SELECT koppeling_id, source_key, before_id, to_id FROM w_move WHERE entity = ? "
        "AND before_id IS NOT NULL AND to_id IS NOT NULL AND before_id <> to_id",
        (str(entity),),
    )
    return {(k, key): (before, to or -before) for k, key, before, to in rows}


def parted(context: Context, entity: Entity) -> list[tuple[int, int]]:
    """Core records of which a person said that they are not one, by splitting: pairs of ids."""
    rows = context.work.execute(
        "SELECT d.id, COALESCE(a.survivor_id, d.core_id), COALESCE(b.survivor_id, f.core_id) "
        "FROM decision d JOIN former_link f ON f.run_id = d.run_id "
        "AND f.koppeling_id = d.koppeling_id AND f.entity = d.entity "
        "AND f.source_key = d.source_key LEFT JOIN alias a ON a.core_id = d.core_id "
        "LEFT JOIN alias b ON b.core_id = f.core_id "
        "WHERE d.kind = 'split' AND d.lifted_at IS NULL AND d.entity = ?",
        (str(entity),),
    )
    return [(one, other) for number, one, other in rows if number not in context.lifting]


def parted_from(
    context: Context, entity: Entity, keys: Sequence[str], pairs: Sequence[tuple[int, int]]
) -> dict[str, set[int]]:
    """Source key of the running koppeling → core records that it was parted from, by its link.

    In a trial too, where the link is covered.
    """
    work, own = context.work, context.koppeling.id
    found: dict[str, set[int]] = {}
    for part in chunks(keys) if pairs else ():
        rows = work.execute(
            f"SELECT source_key, core_id FROM {work.base('link')} WHERE koppeling_id = ? "
            f"AND entity = ? AND {work.many('source_key')}",
            (own, str(entity), work.values(part)),
        )
        for key, core_id in rows:
            found[key] = {c for pair in pairs if core_id in pair for c in pair if c != core_id}
    return found


@dataclass(frozen=True, slots=True)
class _Holder:
    """A record that is known by others: its exact keys before and after these move.

    Attributes:
        of: name → the core record that it refers to, after.
        moves: something that it refers to does.
    """

    known: Known
    of: Mapping[str, int | None]
    was: frozenset[object]
    keys: frozenset[object]
    moves: bool

    @property
    def hangs(self) -> bool:
        """Whether no key that it had is left to it."""
        return self.moves and not self.was & self.keys


@dataclass(slots=True)
class _Shared:
    """Records of one entity that several sources' records are, some of who moves."""

    context: Context
    entity: Entity
    moved: Mapping[str, Mapping[Known, tuple[int, int]]]

    def part(self) -> None:
        """Move what goes along."""
        found: set[int] = set()
        for name, moves in self.moved.items():
            for part in chunks(sorted({before for before, _ in moves.values()})):
                rows = self.context.work.execute(
                    f"SELECT id FROM {self.entity} WHERE {self.context.work.many(f'{name}_id')}",
                    (self.context.work.values(part),),
                )
                found.update(row[0] for row in rows)
        for part in chunks(sorted(found)):
            self._part_some(part)

    def _part_some(self, cores: Sequence[int]) -> None:
        work = self.context.work
        rows = work.execute(
            "SELECT l.core_id, l.koppeling_id, l.source_key FROM link l WHERE l.entity = ? "
            f"AND {work.many('l.core_id')} AND l.koppeling_id NOT IN {ADDING} "
            "AND NOT EXISTS (SELECT 1 FROM w_move m WHERE m.koppeling_id = l.koppeling_id "
            "AND m.entity = l.entity AND m.source_key = l.source_key)",
            (str(self.entity), work.values(cores)),
        )
        shared: dict[int, list[Known]] = defaultdict(list)
        for core_id, koppeling_id, key in rows:
            shared[core_id].append((koppeling_id, key))
        shared = {core_id: known for core_id, known in shared.items() if len(known) > 1}
        holders = self._holders([known for several in shared.values() for known in several])
        moves: list[Row] = []
        for core_id, several in sorted(shared.items()):
            moves += self._apart(core_id, [holders[one] for one in several if one in holders])
        work.load("w_move", ("koppeling_id", "entity", "source_key", "before_id", "to_id"), moves)

    def _apart(self, core_id: int, holders: list[_Holder]) -> list[Row]:
        """Rows of `w_move`: who leaves a record to the others, those of one together."""
        groups: dict[tuple[int | None, ...], list[_Holder]] = defaultdict(list)
        for holder in sorted(holders, key=lambda one: (one.hangs, one.known)):
            groups[tuple(holder.of.values())].append(holder)
        stays, *leaving = groups.values()  # the first does not hang on who moves, if any does not
        moves: list[Row] = []
        for group in leaving:
            if all(one.hangs for one in group) and not self._joined(group, stays):
                number = self.context.ids.take("core", 1)[0]
                moves += [
                    (one.known[0], str(self.entity), one.known[1], core_id, number) for one in group
                ]
        return moves

    @staticmethod
    def _joined(group: list[_Holder], stays: list[_Holder]) -> bool:
        return any(one.keys & other.keys for one in group for other in stays)

    # -- what is known of them ---------------------------------------------------------------------

    def _holders(self, known: Iterable[Known]) -> dict[Known, _Holder]:
        found: dict[Known, _Holder] = {}
        by_koppeling: dict[int, list[str]] = defaultdict(list)
        for koppeling_id, key in known:
            by_koppeling[koppeling_id].append(key)
        for koppeling_id, keys in sorted(by_koppeling.items()):
            issuers: dict[str, int] = {}
            forms = accepted_forms(self.context, self.entity, keys, koppeling_id, issuers=issuers)
            links = self._links(koppeling_id, forms)
            for key, form in forms.items():
                node = Node(key, form, False, None, 0, issuers[key])
                found[koppeling_id, key] = self._holder(koppeling_id, node, links)
        return found

    def _links(
        self, koppeling_id: int, forms: Mapping[str, Mapping[str, Json]]
    ) -> dict[str, dict[str, int]]:
        """Name of a reference → what its values are linked to now."""
        return {
            name: lookup_links(
                self.context,
                _target(self.entity, name),
                sorted({str(f[name]) for f in forms.values() if f.get(name) is not None}),
                koppeling_id=koppeling_id,
            )
            for name in KEYED[self.entity]
        }

    def _holder(
        self, koppeling_id: int, node: Node, links: Mapping[str, Mapping[str, int]]
    ) -> _Holder:
        before: dict[tuple[str, str], int | None] = {}
        after: dict[tuple[str, str], int | None] = {}
        moves = False
        for name in KEYED[self.entity]:
            value = str(node.form.get(name))
            was = links[name].get(value)
            move = self.moved[name].get((koppeling_id, value))
            before[node.source_key, name] = was
            after[node.source_key, name] = was if move is None else move[1]
            moves = moves or move is not None
        was_known, known = (
            frozenset(exact_keys(self.entity, node, node.issuer, of)) for of in (before, after)
        )
        of = {name: after[node.source_key, name] for name in KEYED[self.entity]}
        names = [name for name, moved in self.moved.items() if moved]
        return _Holder(
            (koppeling_id, node.source_key),
            {name: of[name] for name in names},
            was_known,
            known,
            moves,
        )
