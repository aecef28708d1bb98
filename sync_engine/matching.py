"""Matching by exact keys: link, merge, or doubt. One record after another, in order of its key.

What is looked at are the pending records that share a key with the core or with each other; the
rest is new. Everything that is needed of them is read set-wise first, then judged in memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from config.policies import Unlinked
from mappings.canonical.fields import Entity
from sync_engine.context import Context, chunks
from sync_engine.fold import Json
from sync_engine.herinrichtingen import former_keys, has_former
from sync_engine.nodes import OBTAINED, load_nodes, lookup_links
from sync_engine.renumbering import HERINRICHTING, NUMBERED
from sync_engine.store.work import Row

# Kinds of keys that name one person for good: two that differ contradict each other.
EXCLUSIVE = frozenset({"bsn", "onderwijsnummer", "eck_id"})

# Numbers of one koppeling: one person may have two of them.
NUMBERS = frozenset({"leerlingnummer", "personeelsnummer"})

# Keys that tell two records of one and the same koppeling to be the same. The others only link
# across koppelingen: two lesgroepen of one school may share a name, and are two.
WITHIN = EXCLUSIVE | NUMBERS | {"relatie", OBTAINED}

# Keys of which a record may have several, and two records that are one different ones: who is in
# two sectors has two ECK iDs.
_MANY = NUMBERS | {HERINRICHTING, OBTAINED}

# Keys that join two records of one koppeling without asking: what the hub obtained for two of them,
# by their own keys, may be wrong.
_JOINING = WITHIN - {OBTAINED}
_OF_SCHOOL = frozenset(NUMBERED.values())
SAME_KEY = "source_key"
"""The kind of a match by the key itself: of koppelingen that are said to have the same keys."""

EXCHANGED = "exchanged with another record:"
"""How the rule of a case begins where two records of a source each took the other's number."""

_PROVISIONAL = 1 << 62
"""From here on: numbers of records that this run will make; younger than any that exists."""

Holder = tuple[int, str]  # koppeling id, source key


@dataclass(slots=True)
class Dispute:
    """What no rule can decide; becomes a case."""

    source_key: str
    kind: str
    rule: str
    candidates: list[dict[str, object]] = field(default_factory=list)


@dataclass(slots=True)
class Matched:
    """What the keys decided.

    Attributes:
        linked: source key → core id that exists.
        follows: source key of a new record → source keys that are the same.
        merges: younger core id → older core id.
        kinds: source key → the kind of the key that joined it.
    """

    linked: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    follows: dict[str, list[str]] = field(default_factory=dict)
    disputes: dict[str, Dispute] = field(default_factory=dict)
    merges: dict[int, int] = field(default_factory=dict)


Overlap = Callable[[Sequence[str], Sequence[int]], Callable[[str, int], bool]]
"""(source keys, core ids) → whether a record and a core record may be one by their periods."""


class Matcher:
    """Matches the pending records of one entity; their keys stand in `w_key`.

    Of records that are `settled` a person decided: others are matched with them, they are not.
    What stands in former scopes alone is matched with the rest of its koppeling as if it were of
    another: there a school goes on after it changed its number or its records.
    """

    def __init__(
        self,
        context: Context,
        entity: Entity,
        *,
        overlap: Overlap | None,
        settled: Collection[str] = (),
        going_on: Mapping[str, int] | None = None,
        parted: Callable[[], Sequence[tuple[int, int]]] = tuple,
    ) -> None:
        """Begin.

        Args:
            context: of the run.
            entity: of the records.
            overlap: where periods or places must fit too.
            settled: of whom a person decided.
            going_on: source key → core record that it goes on from, by another road than keys.
            parted: pairs of core records that a person said are not one.
        """
        self._going_on = going_on or {}
        self._former: set[str] = set()  # of the running koppeling
        self._crowded: set[str] = set()
        self.settled, self.parted = settled, parted
        self.context, self.entity, self.overlap = context, entity, overlap
        self.matched = Matched()
        self._found: dict[str, dict[int, str]] = defaultdict(dict)  # key → core → kind
        self._digests: dict[str, list[tuple[bytes, str]]] = defaultdict(list)  # shared in this run
        self._sharing: dict[bytes, Counter[int]] = defaultdict(Counter)  # digest → cores
        self._core: dict[str, int] = {}  # of pending records, as far as they have one
        self._leader: dict[int, str] = {}  # provisional core → source key
        self._holders: dict[int, set[Holder]] = defaultdict(set)
        self._live: dict[int, set[Holder]] = defaultdict(set)
        self._says: dict[Holder, dict[str, bytes]] = defaultdict(dict)
        self._said: dict[Holder, dict[str, bytes]] = defaultdict(dict)  # accepted, of pending ones
        self._apart: set[int] = set()
        self._parted: Sequence[tuple[int, int]] = ()
        self._stands: dict[str, int] = {}  # who records of this koppeling are, of those parted
        self._known_by: dict[str, set[bytes]] = defaultdict(set)  # its accepted keys
        self._exchanged: dict[str, tuple[str, int]] = {}  # key → kind of number, with which core

    def match(self, of_unlinked: Callable[[Collection[str]], set[str]]) -> Matched:
        """Decide for every pending record that shares a key.

        Args:
            of_unlinked: of some source keys, those without a link; such a record that comes out
                neither linked, following nor disputed is new.
        """
        involved = self._involved()
        if not involved:
            return self.matched
        self._crowd()
        unlinked = of_unlinked(involved)
        self._evidence(involved)
        provisional = count(_PROVISIONAL)
        for key in sorted(involved):
            if key not in unlinked and key not in self._core:
                continue  # a decision answered for it
            if key not in self.settled:
                self._judge(key)
            if key in unlinked and key not in self._core and key not in self.matched.disputes:
                number = next(provisional)
                self._leader[number] = key
                self._assign(key, number)
        for key in sorted(involved & unlinked & self._core.keys()):
            number = self._survivor(self._core[key])
            if number < _PROVISIONAL:
                self.matched.linked[key] = number
            elif self._leader[number] != key:
                self.matched.follows.setdefault(self._leader[number], []).append(key)
        merges = self.matched.merges
        self.matched.merges = {y: self._survivor(y) for y in merges if y < _PROVISIONAL}
        return self.matched

    # -- what is known -----------------------------------------------------------------------------

    def _involved(self) -> set[str]:
        """The pending records that share a key with any other record, or contradict their own."""
        work, own = self.context.work, self.context.koppeling.id
        pairs: list[tuple[str, int | None, str, int, int, str]] = []
        settled = (
            f"NOT (m.koppeling_id = {own} AND m.source_key IN (SELECT source_key FROM w_pending))"
        )
        rows = self._known(
            "SELECT k.source_key, k.core_id, k.kind, m.core_id, m.koppeling_id, m.source_key, "
            f"{settled} FROM w_key k "
            "JOIN {} m ON m.digest = k.digest WHERE k.entity = ? AND m.entity = k.entity "
            "AND (k.core_id IS NULL OR k.core_id <> m.core_id)",
            (str(self.entity),),
        )
        takes: dict[tuple[str, str], tuple[str, int]] = {}  # (who, from whom) → what
        for key, own_core, kind, core_id, koppeling_id, holder, stays in rows:
            if koppeling_id == own and kind not in WITHIN:
                if stays:
                    pairs.append((key, own_core, kind, core_id, koppeling_id, holder))
                continue
            if stays:
                self._found[key].setdefault(core_id, kind)
            elif own_core is not None and kind in EXCLUSIVE:
                takes[key, holder] = (kind, core_id)
            if own_core is not None:
                self._core[key] = own_core
        self._across(pairs)
        self._by_same_keys()
        self._exchanged = {
            key: what for (key, holder), what in sorted(takes.items()) if (holder, key) in takes
        }
        involved = set(self._found) | self._shared() | set(self._exchanged)
        exclusive = ", ".join(f"'{kind}'" for kind in sorted(EXCLUSIVE))
        differ = (
            "SELECT k.source_key, k.core_id FROM w_key k JOIN {} m "
            "ON m.core_id = k.core_id AND m.kind = k.kind AND m.digest <> k.digest "
            f"WHERE k.entity = ? AND k.kind IN ({exclusive})"
        )
        rows = self._known(f"{differ} AND {settled}", (str(self.entity),))
        rows += work.execute(
            f"{differ.format('w_key')} AND m.entity = k.entity", (str(self.entity),)
        )
        self._core.update(rows)
        involved.update(row[0] for row in rows)
        return involved

    def _known(self, query: str, params: Sequence[object]) -> list[Row]:
        """Rows about the keys `m` by which records are known; {} stands for where these are.

        Those of what a person's act moves are other ones than are stored (turn.py).
        """
        work = self.context.work
        if not self.context.turned:
            return work.execute(query.format("match_key"), params)
        rows = work.execute(query.format("w_turned_key"), params)
        return rows + work.execute(
            f"{query.format('match_key')} AND NOT EXISTS (SELECT 1 FROM w_turned t "
            "WHERE t.entity = m.entity AND t.koppeling_id = m.koppeling_id "
            "AND t.source_key = m.source_key)",
            params,
        )

    def _across(self, pairs: Sequence[tuple[str, int | None, str, int, int, str]]) -> None:
        """Records of this koppeling that share a key, one of a former scope and one that is not."""
        if not has_former(self.context, self.entity):
            return
        keys = {pair[0] for pair in pairs} | {pair[5] for pair in pairs} | set(self._going_on)
        self._note_former(keys)
        for key, own_core, kind, core_id, _, other in pairs:
            if (key in self._former) != (other in self._former):
                self._found[key].setdefault(core_id, kind)
                if own_core is not None:
                    self._core[key] = own_core
        linked = lookup_links(self.context, self.entity, sorted(self._going_on))
        for key, core_id in self._going_on.items():
            if key not in self._former and linked.get(key) != core_id:
                self._found[key].setdefault(core_id, HERINRICHTING)
                if key in linked:
                    self._core[key] = linked[key]

    def _note_former(self, keys: Collection[str]) -> None:
        """Which of these records of this koppeling are of schools before they changed."""
        self._former |= former_keys(self.context, self.entity, sorted(keys))
        name = NUMBERED.get(self.entity)
        if name is None:
            return
        for part in chunks(sorted(keys)):
            for node in load_nodes(self.context, self.entity, part):
                number = str(node.form.get(name))
                if self.context.renumbering.now(number) != number:
                    self._former.add(node.source_key)

    def _crowd(self) -> None:
        """Schools of which a koppeling has several by one number, before or after it changed.

        Which of them goes on as which no number tells.
        """
        name, renumbering = NUMBERED.get(self.entity), self.context.renumbering
        if name is None or not renumbering:
            return
        work, own = self.context.work, self.context.koppeling.id
        keys = [
            row[0]
            for row in work.execute(
                "SELECT DISTINCT source_key FROM v_shadow WHERE koppeling_id = ? AND entity = ? "
                "AND NOT received_gone",
                (own, str(self.entity)),
            )
        ]
        self._note_former(keys)
        linked = lookup_links(self.context, self.entity, keys)
        schools: dict[tuple[bool, tuple[str, ...]], dict[str, int | str]] = defaultdict(dict)
        for part in chunks(sorted(keys)):
            for node in load_nodes(self.context, self.entity, part):
                number, key = str(node.form.get(name)), node.source_key
                if renumbering.knows(number):
                    side = (key in self._former, renumbering.names(number))
                    schools[side][key] = linked.get(key, key)
        crowded = {names for (_, names), held in schools.items() if len(set(held.values())) > 1}
        self._crowded = {
            key for (_, names), held in schools.items() if names in crowded for key in held
        }

    def _is_of(self, holder: Holder) -> tuple[int, bool]:
        """The koppeling of a record; its former scopes are one of their own."""
        koppeling_id, key = holder
        return koppeling_id, koppeling_id == self.context.koppeling.id and key in self._former

    def _by_same_keys(self) -> None:
        """Persons whose key is that of a person of a koppeling that has the same keys."""
        context, entity = self.context, self.entity
        if not context.same_keys or entity not in {Entity.LEERLING, Entity.MEDEWERKER}:
            return
        others = [k for k, name in context.koppelingen.items() if name in context.same_keys]
        pending = [row[0] for row in context.work.execute("SELECT source_key FROM w_pending")]
        for part in chunks(pending):
            own = lookup_links(context, entity, part)
            for other in others:
                for key, core_id in lookup_links(context, entity, part, koppeling_id=other).items():
                    if own.get(key) != core_id:
                        self._found[key].setdefault(core_id, SAME_KEY)
                        if key in own:
                            self._core[key] = own[key]

    def _shared(self) -> set[str]:
        """Keys that several pending records have."""
        rows = self._shared_rows()
        for digest, kind, key, core_id in rows:
            self._digests[key].append((bytes(digest), kind))
            if core_id is not None:
                self._core[key] = core_id
                self._sharing[bytes(digest)][core_id] += 1
        return {row[2] for row in rows}

    def _shared_rows(self) -> list[Row]:
        """(digest, kind, source key, core id) of every key that two pending records share.

        Of keys that do not count within a koppeling those that join it to its former scopes.
        """
        within = ", ".join(f"'{kind}'" for kind in sorted(WITHIN))
        query = (
            "SELECT digest, kind, source_key, core_id FROM w_key WHERE digest IN (SELECT digest "
            f"FROM w_key WHERE entity = ? AND kind {{}} ({within}) GROUP BY digest "
            "HAVING COUNT(*) > 1)"
        )
        rows = self.context.work.execute(query.format("IN"), (str(self.entity),))
        if not has_former(self.context, self.entity):
            return rows
        others = self.context.work.execute(query.format("NOT IN"), (str(self.entity),))
        self._note_former({row[2] for row in others})
        sides: dict[bytes, set[bool]] = defaultdict(set)
        for digest, _, key, _ in others:
            sides[bytes(digest)].add(key in self._former)
        return rows + [row for row in others if len(sides[bytes(row[0])]) > 1]

    def _evidence(self, involved: set[str]) -> None:
        """What all holders of the core records concerned say."""
        cores = {core_id for found in self._found.values() for core_id in found}
        cores |= set(self._core.values())
        pending = self._pending_say(involved, cores)
        for part in chunks(sorted(cores)):
            self._core_says(part, pending)
        if has_former(self.context, self.entity):
            own = self.context.koppeling.id
            holders = {key for live in self._live.values() for k, key in live if k == own}
            self._note_former(holders | involved)
        self._apart = {
            row[0]
            for row in self.context.work.execute(
                "SELECT core_id FROM decision WHERE lifted_at IS NULL "
                "AND kind IN ('split', 'create') AND core_id IS NOT NULL"
            )
        }
        self._read_parted()
        if self.overlap is not None:
            fits = self.overlap(sorted(involved), sorted(cores))
            for key, found in self._found.items():
                for core_id in [c for c in found if not fits(key, c)]:
                    del found[core_id]

    def _read_parted(self) -> None:
        """Whom a person parted, and the records of this koppeling that are one of those."""
        self._parted = self.parted()
        work, own = self.context.work, self.context.koppeling.id
        for part in chunks(sorted({core_id for pair in self._parted for core_id in pair})):
            said = "SELECT source_key, {} FROM {} WHERE koppeling_id = ? AND entity = ?"
            said, of = f"{said} AND {work.many('core_id')}", (own, str(self.entity))
            params = (*of, work.values(part))
            # the tables themselves: a trial covers what this koppeling said
            self._stands.update(work.execute(said.format("core_id", work.base("link")), params))
            for key, digest in work.execute(said.format("digest", work.base("match_key")), params):
                self._known_by[key].add(bytes(digest))

    def _pending_say(self, involved: set[str], cores: set[int]) -> set[Holder]:
        """The keys of the pending records concerned, as they are received."""
        pending: set[Holder] = set()
        own = self.context.koppeling.id
        for key, core_id, kind, digest in self.context.work.execute(
            "SELECT source_key, core_id, kind, digest FROM w_key WHERE entity = ?",
            (str(self.entity),),
        ):
            if key in involved or core_id in cores:
                pending.add((own, key))
                self._says[own, key][kind] = bytes(digest)
                if core_id is not None:
                    self._holders[core_id].add((own, key))
        return pending

    def _core_says(self, cores: Sequence[int], pending: set[Holder]) -> None:
        """The accepted keys of these core records, and who is still there to bring them."""
        work, ids = self.context.work, self.context.work.values(cores)
        for core_id, koppeling_id, key, kind, digest in self._known(
            "SELECT m.core_id, m.koppeling_id, m.source_key, m.kind, m.digest FROM {} m "
            f"WHERE {work.many('m.core_id')}",
            (ids,),
        ):
            holder = (koppeling_id, key)
            self._holders[core_id].add(holder)
            (self._said if holder in pending else self._says)[holder][kind] = bytes(digest)
        live = (
            "SELECT l.{0}, l.koppeling_id, l.source_key FROM {1} l WHERE EXISTS "
            "(SELECT 1 FROM v_shadow s WHERE s.koppeling_id = l.koppeling_id "
            "AND s.entity = l.entity AND s.source_key = l.source_key AND NOT s.received_gone) "
            f"AND {work.many('l.{0}')}"
        )
        moved = ""
        if self.context.turned:
            moved = (
                " AND NOT EXISTS (SELECT 1 FROM w_move m WHERE m.koppeling_id = l.koppeling_id "
                "AND m.entity = l.entity AND m.source_key = l.source_key)"
            )
        rows = work.execute(live.format("core_id", "link") + moved, (ids,))
        rows += work.execute(live.format("to_id", "w_move"), (ids,)) if moved else []
        for core_id, koppeling_id, key in rows:
            self._live[core_id].add((koppeling_id, key))

    # -- one record --------------------------------------------------------------------------------

    def _judge(self, key: str) -> None:
        own = self._core.get(key)
        own = None if own is None else self._survivor(own)
        if own is not None and key in self._exchanged:  # each describes whom the other described
            kind, core_id = self._exchanged[key]
            found = {self._survivor(core_id): kind}
            everyone = sorted({own, *found})
            self._dispute(
                key, "contradiction", f"{EXCHANGED} {kind}", found=found, everyone=everyone
            )
            return
        found = self._candidates(key, own)
        everyone = sorted({*found, *(() if own is None else (own,))})
        if not everyone:
            return
        joins = everyone != [own]
        rule = f"exact: {found[min(found)]}" if found else "link"
        broken = self._contradiction(key, everyone, joins=joins)
        if broken:
            self._dispute(key, "contradiction", broken, found=found, everyone=everyone)
        elif joins and key in self._crowded and own is not None:
            return  # it is who it is; which of its namesakes goes on is asked of the new one
        elif joins and (key in self._crowded or self._asks_a_person(key, everyone)):
            self._dispute(key, "match", rule, found=found, everyone=everyone)
        elif joins:
            for younger in everyone[1:]:
                self._merge(younger, everyone[0])
            if own is None:
                self.matched.kinds[key] = found.get(everyone[0]) or found[min(found)]
                self._assign(key, everyone[0])

    def _candidates(self, key: str, own: int | None) -> dict[int, str]:
        """Core records other than its own that a key of this record leads to."""
        found: dict[int, str] = {}
        for core_id, kind in self._found.get(key, {}).items():
            found.setdefault(self._survivor(core_id), kind)
        for digest, kind in self._digests.get(key, ()):
            for core_id, number in self._sharing[digest].items():
                if number > 0:
                    found.setdefault(self._survivor(core_id), kind)
        ours = self._is_of((self.context.koppeling.id, key))
        return {
            core_id: kind
            for core_id, kind in found.items()
            if core_id != own
            and not self._is_parted(key, own, core_id)
            and (
                kind in WITHIN
                or not any(
                    self._is_of(holder) == ours and holder[1] != key
                    for holder in self._live[core_id]
                )
            )
        }

    def _is_parted(self, key: str, own: int | None, other: int) -> bool:
        """Whether a person parted this record from another, and no new key of it says otherwise."""
        stands = self._stands.get(key) if own is None or own >= _PROVISIONAL else own
        if stands is None or not self._parted:
            return False
        koppeling_id, others = self.context.koppeling.id, {other}
        if other >= _PROVISIONAL:  # in a trial nobody is linked
            mine = {key for of, key in self._holders[other] if of == koppeling_id}
            others = {self._survivor(self._stands[key]) for key in mine & self._stands.keys()}
        pairs = {frozenset(map(self._survivor, pair)) for pair in self._parted}
        stands = self._survivor(stands)
        if not any(frozenset((stands, one)) in pairs for one in others):
            return False
        new = set(self._says[koppeling_id, key].values()) - self._known_by[key]
        return not any(new & set(self._says[holder].values()) for holder in self._holders[other])

    def _contradiction(self, key: str, cores: Sequence[int], *, joins: bool) -> str:
        """The rule that is broken when two keys of one kind differ, else ''.

        Records that become one may differ in nothing but numbers; one that is linked already may
        change (a groep is renamed), but not become another person.
        """
        holders = {(self.context.koppeling.id, key)}.union(*(self._holders[c] for c in cores))
        said: dict[str, set[bytes]] = defaultdict(set)
        for holder in holders:
            for kind, digest in self._says.get(holder, {}).items():
                said[kind].add(digest)
        if joins:  # and whose number became that of somebody else is not joined with him by it
            for kind, digest in self._said.get((self.context.koppeling.id, key), {}).items():
                if kind in EXCLUSIVE:
                    said[kind].add(digest)
        if len(said.get("plaatsing", ())) == 1:  # two systems name one opleiding each in its way
            said.pop("inschrijving", None)
        for kind in sorted(said):
            if kind in _OF_SCHOOL and HERINRICHTING in said:
                continue  # two numbers of one school
            if len(said[kind]) > 1 and (kind in EXCLUSIVE or (joins and kind not in _MANY)):
                return f"two values of {kind}"
        return ""

    def _asks_a_person(self, key: str, cores: Sequence[int]) -> bool:
        """Whether policy, a decision, or two live records of one koppeling forbid to join."""
        policy = self.context.policy.reactions.of(str(self.entity))
        if policy.unlinked is Unlinked.CASE:
            return True
        if len(cores) < 2:
            return False
        if self._apart.intersection(cores):
            return True
        kinds = self._says.get((self.context.koppeling.id, key), {}).keys()
        if kinds & _JOINING:
            return False
        sources = [of for c in cores for of in {self._is_of(holder) for holder in self._live[c]}]
        return len(sources) > len(set(sources))

    def _dispute(
        self,
        key: str,
        kind: str,
        rule: str,
        *,
        found: Mapping[int, str],
        everyone: Sequence[int],
    ) -> None:
        """Nothing follows from a disputed record: not a link, and of its keys the accepted ones."""
        dispute = Dispute(key, kind, rule)
        dispute.candidates = [
            {"core_id": c, "rule": found.get(c, "link")} for c in everyone if c < _PROVISIONAL
        ]
        self.matched.disputes[key] = dispute
        holder = (self.context.koppeling.id, key)
        self._says[holder] = self._said.get(holder, {})
        own = self._core.get(key)
        for digest, _ in self._digests.get(key, ()):
            if own is not None:
                self._sharing[digest][own] -= 1

    def _assign(self, key: str, core_id: int) -> None:
        holder = (self.context.koppeling.id, key)
        self._core[key] = core_id
        self._holders[core_id].add(holder)
        self._live[core_id].add(holder)
        for digest, _ in self._digests.get(key, ()):
            self._sharing[digest][core_id] += 1

    def _merge(self, younger: int, older: int) -> None:
        self.matched.merges[younger] = older
        self._holders[older] |= self._holders.pop(younger, set())
        self._live[older] |= self._live.pop(younger, set())

    def _survivor(self, core_id: int) -> int:
        while core_id in self.matched.merges:
            core_id = self.matched.merges[core_id]
        return core_id


def periods_overlap(one: tuple[Json, Json], other: tuple[Json, Json]) -> bool:
    """Whether two half-open periods (ISO dates, None for open) share a day."""
    (start, end), (begin, until) = one, other
    starts = until is None or start is None or str(start) < str(until)
    return starts and (end is None or begin is None or str(begin) < str(end))
