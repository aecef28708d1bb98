"""Correlation: which core record is this source record?

In order, the first that answers wins: an existing link or decision; an exact key; a score. A score
never links by itself. While a record is disputed nothing is created from it (design.md).

Works on the pending records of one entity of one koppeling, set-based: exact keys become blind
indexes in a temporary table, and one join finds every match.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from config.policies import Unmatched
from mappings.canonical.fields import Entity
from sync_engine.context import BATCH, Context, chunks
from sync_engine.fold import Json
from sync_engine.herinrichtingen import PERSONS
from sync_engine.hubkeys import key_number
from sync_engine.lookalikes import SCORED, Lookalikes
from sync_engine.matching import Dispute, Matcher, periods_overlap
from sync_engine.nodes import (
    KEY_COLUMNS,
    Node,
    digests_of,
    load_nodes,
    lookup_links,
    resolved_references,
)
from sync_engine.parting import parted, parted_from
from sync_engine.project import required_references
from sync_engine.renumbering import HERINRICHTING
from sync_engine.succession import of_pupils, persons, same_place, went_before

LINK_COLUMNS = ("koppeling_id", "entity", "source_key", "core_id", "rule", "run_id")


HUB_KEY = "hub key"
"""The rule of a link that the source names itself: its key is the hub's own."""
DECISION = "decision"
SCORE = "score"


class Decided(msgspec.Struct, frozen=True):
    """What a person decided of one source record: link, create, split or ignore.

    Attributes:
        core_id: the record that it is.
        evidence: of the keys that it had then; None answers for any.
    """

    kind: str
    core_id: int | None
    evidence: bytes | None = None


@dataclass(slots=True)
class Correlated:
    """What correlation decided for one entity.

    Attributes:
        new: core ids of the records that are made; the source keys stand in `w_link`.
        linked: source key → core id that exists, or is made for another key.
        disputes: cases to open.
        waiting: source keys whose required reference is not there yet.
        unknown: source keys, of a koppeling that only adds, that are no key of a core record.
        vanished: source keys that were never in the core and are gone again.
        merges: younger core id → older core id.
        rules: source key → the rule that answered, of what a person decided or a key joined.
    """

    new: range = range(0)
    linked: dict[str, int] = field(default_factory=dict)
    disputes: dict[str, Dispute] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    vanished: set[str] = field(default_factory=set)
    merges: dict[int, int] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)


def prepare(context: Context) -> None:
    """Make the temporary tables of correlation and the view over all links."""
    work = context.work
    blob = work.blob_type
    work.temp_table(
        "w_link",
        "koppeling_id INTEGER, entity TEXT, source_key TEXT, core_id BIGINT, rule TEXT, "
        "run_id INTEGER, PRIMARY KEY (koppeling_id, entity, source_key)",
        # the second is asked for every batch, and hardly ever there
        index=["(core_id)", "(entity) WHERE rule = 'merged'"],
    )
    work.temp_table("w_new", "place BIGINT PRIMARY KEY, source_key TEXT")
    work.temp_table(
        "w_key",
        f"digest {blob}, koppeling_id INTEGER, source_key TEXT, entity TEXT, kind TEXT, "
        "core_id BIGINT",
    )
    if context.adopting:
        work.execute(  # what stands in the core keeps its number
            "INSERT INTO w_link SELECT koppeling_id, entity, source_key, core_id, 'adopted', "
            "run_id FROM w_adopted"
        )
    work.temp_table("w_alias", "core_id BIGINT PRIMARY KEY, survivor_id BIGINT, entity TEXT")


class Correlator:
    """Correlates the pending records of one entity after another, in fold order."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._alone: dict[Entity, bool] = {}
        self._follows: dict[str, list[str]] = {}
        self._going_on: dict[str, int] = {}  # what is a pupil's: from which one of before
        self._decided: set[str] = set()  # a person said: make it a record of its own
        self._settled: set[str] = set()  # a person decided, on the keys that it has now
        self._adopted: list[tuple[object, ...]] = []  # keys of what this run adopts

    def correlate(
        self, entity: Entity, nodes: Iterable[Sequence[Node]], *, may_create: bool
    ) -> Correlated:
        """Decide for every pending record of one entity.

        Args:
            entity: which.
            nodes: batches of pending records, each linked or not yet linked.
            may_create: False holds every creation of this entity back.
        """
        result = Correlated()
        self._decided, self._settled, self._going_on = set(), set(), {}
        self.context.work.execute("DELETE FROM w_key WHERE core_id IS NULL")
        self.context.work.execute("DELETE FROM w_new")
        for batch in nodes:
            self._keys_of_batch(entity, batch, result)
        self._match(entity, result)
        self._score(entity, result)
        self._create(entity, result, may_create=may_create)
        self._merge(entity, result)
        adopted, self._adopted = self._adopted, []
        self.context.work.load("w_key", KEY_COLUMNS, adopted)
        self._keep_keys(entity, result)
        return result

    # -- keys ------------------------------------------------------------------------------------

    def _keys_of_batch(self, entity: Entity, batch: Sequence[Node], result: Correlated) -> None:
        context = self.context
        decisions = self._decisions(entity, [node.source_key for node in batch])
        resolved = resolved_references(context, entity, batch, context.koppeling.id)
        adopted = self._adopts(entity, [node.source_key for node in batch])
        named = by_hub_key(context, entity, [n.source_key for n in batch if n.core_id is None])
        rows: list[tuple[object, ...]] = []
        new: list[tuple[int, str]] = []  # until a key, a score or a rule says otherwise
        for node in batch:
            key = node.source_key
            decision = decisions.get(key)
            if node.core_id is None and decision is not None:
                result.rules[key] = f"{DECISION}: {decision.kind}"
            if node.core_id is None and node.gone and decision is None:
                result.vanished.add(key)
                continue
            if node.core_id is None and decision is not None and decision.kind == "ignore":
                continue
            core_id = node.core_id
            if core_id is None and any(
                resolved.get((key, name)) is None for name in required_references(entity)
            ):
                result.waiting.add(key)
                continue
            decided = None if decision is None or decision.kind != "link" else decision.core_id
            if core_id is None and decided is not None:
                core_id = result.linked[key] = decided
            elif core_id is None and context.adds:  # it makes nobody, whatever the policy
                if key not in named:
                    result.unknown.add(key)
                    continue
                core_id = result.linked[key] = named[key]
                result.rules[key] = HUB_KEY
            elif core_id is None:
                new.append((node.place, key))
                if decision is not None:  # create, split
                    self._decided.add(key)
            every = digests_of(context, entity, node, resolved)
            digests = [one for one in every if one[1] not in context.without]
            # what is adopted is who it is: it is not matched, but others may match it from now on
            into = self._adopted if key in adopted else rows
            into += [
                (digest, context.koppeling.id, key, str(entity), kind, core_id)
                for digest, kind in digests
            ]
            if decision is not None:
                self._settle(entity, key, decision, [digest for digest, _ in every])
        self._going_on |= of_pupils(context, entity, batch, resolved)
        context.work.load("w_key", KEY_COLUMNS, rows)
        context.work.load("w_new", ("place", "source_key"), new)

    def _adopts(self, entity: Entity, keys: Sequence[str]) -> set[str]:
        """Those of these records that are adopted now; also where that was broken off before."""
        context, work = self.context, self.context.work
        own = context.koppeling.id
        if all(context.scope_koppeling[scope] != own for scope in context.adopted_scopes):
            return set()
        rows = work.execute(
            "SELECT source_key, scope_id FROM v_shadow WHERE koppeling_id = ? AND entity = ? "
            f"AND pending AND {work.many('source_key')}",
            (own, str(entity), work.values(keys)),
        )
        return {key for key, scope_id in rows if scope_id in context.adopted_scopes}

    def _decisions(self, entity: Entity, keys: Sequence[str]) -> dict[str, Decided]:
        """What a person decided of these records, the newest that is not taken back."""
        context, work = self.context, self.context.work
        if DECISION in context.without:
            return {}
        rows = work.execute(
            "SELECT d.source_key, d.id, d.kind, COALESCE(a.survivor_id, d.core_id), d.evidence "
            "FROM decision d LEFT JOIN alias a ON a.core_id = d.core_id "
            "WHERE d.koppeling_id = ? AND d.entity = ? AND d.lifted_at IS NULL "
            f"AND {work.many('d.source_key')} ORDER BY d.id",
            (context.koppeling.id, str(entity), work.values(keys)),
        )
        found = {
            key: Decided(kind, core_id, evidence)
            for key, number, kind, core_id, evidence in rows
            if number not in context.lifting
        }
        for key in keys:
            now = context.deciding.get((str(entity), key))
            if now is not None:
                found[key] = Decided(*now)
        return found

    def _settle(
        self, entity: Entity, key: str, decision: Decided, digests: Sequence[bytes]
    ) -> None:
        """A decision answers for a record as long as its keys are those that were decided on."""
        evidence = self.context.cipher.fingerprint(b"evidence")(b"|".join(sorted(digests)))
        if (str(entity), key) in self.context.deciding:
            self.context.evidence[str(entity), key] = evidence
        if decision.evidence is None or bytes(decision.evidence) == evidence:
            self._settled.add(key)

    # -- exact -----------------------------------------------------------------------------------

    def _match(self, entity: Entity, result: Correlated) -> None:
        """What the exact keys of this run, of the core, and of each other decide."""
        overlap = self._overlap if entity is Entity.INSCHRIJVING else None
        if entity in {Entity.VAK, Entity.OPLEIDING} and self.context.former_scopes:
            overlap = partial(same_place, self.context, entity)
        matcher = Matcher(
            self.context,
            entity,
            overlap=overlap,
            settled=self._settled,
            going_on=self._going_on,
            parted=partial(self._parted, entity),
        )
        matched = matcher.match(self._of_new)
        result.linked |= matched.linked
        result.disputes |= matched.disputes
        result.merges = matched.merges
        result.rules |= {key: f"exact: {kind}" for key, kind in matched.kinds.items()}
        self._follows = matched.follows
        following = [key for twins in matched.follows.values() for key in twins]
        self._not_new([*matched.linked, *matched.disputes, *following])

    def _parted(self, entity: Entity) -> Sequence[tuple[int, int]]:
        """Whom a person parted, where that counts."""
        return () if DECISION in self.context.without else parted(self.context, entity)

    def _of_new(self, keys: Collection[str]) -> set[str]:
        """Those of these source keys for which a new record would be made."""
        work = self.context.work
        return {
            row[0]
            for part in chunks(sorted(keys))
            for row in work.execute(
                "SELECT n.source_key FROM w_pending p CROSS JOIN w_new n WHERE n.place = p.place "
                f"AND {work.many('p.source_key')}",
                (work.values(part),),
            )
        }

    def _not_new(self, keys: Sequence[str]) -> None:
        work = self.context.work
        for part in chunks(keys):
            work.execute(
                "DELETE FROM w_new WHERE place IN (SELECT place FROM w_pending "
                f"WHERE {work.many('source_key')})",
                (work.values(part),),
            )

    def _batches_of_new(self) -> Iterator[list[str]]:
        """The undecided source keys of new records, in the order of their arrival."""
        last: int | None = None
        while True:
            where, params = ("", ()) if last is None else ("WHERE place > ?", (last,))
            rows = self.context.work.execute(
                f"SELECT source_key, place FROM w_new {where} ORDER BY place LIMIT {BATCH}", params
            )
            if not rows:
                return
            last = rows[-1][1]
            yield [row[0] for row in rows if row[0] not in self._decided]

    def _overlap(self, keys: Sequence[str], cores: Sequence[int]) -> Callable[[str, int], bool]:
        """Inschrijvingen are the same only in one schooljaar, and when their periods overlap."""
        work = self.context.work
        said: dict[str, tuple[Json, Json]] = {}
        held: dict[int, tuple[Json, Json]] = {}
        years: dict[str | int, Json] = {}
        before = went_before(self.context, cores)
        for key_part in chunks(keys):
            for node in load_nodes(self.context, Entity.INSCHRIJVING, key_part):
                period = (node.form.get("geldig_van"), node.form.get("geldig_tot"))
                said[node.source_key] = period
                years[node.source_key] = node.form.get("schooljaar")
        for part in chunks(cores):
            for core_id, start, end, year in work.execute(
                "SELECT id, geldig_van, geldig_tot, schooljaar FROM inschrijving "
                f"WHERE {work.many('id')}",
                (work.values(part),),
            ):
                held[core_id], years[core_id] = (start, end), year

        def fits(key: str, core: int) -> bool:
            if core not in held or (years[key] and years[core] and years[key] != years[core]):
                return False
            (start, end), (begin, until) = said[key], held[core]
            # a school that changed goes on where it left off
            touches = core in before and (start == until or end == begin)
            return touches or periods_overlap(said[key], held[core])

        return fits

    # -- score -----------------------------------------------------------------------------------

    def _score(self, entity: Entity, result: Correlated) -> None:
        """Persons that no exact key knows: who in the core looks like them?"""
        if self.context.adds:
            return
        self._go_on(entity, result)
        if entity not in SCORED or SCORE in self.context.without or self._is_alone(entity):
            return
        looks = Lookalikes(
            self.context,
            nodes=partial(load_nodes, self.context),
            links=partial(lookup_links, self.context),
        )
        for part in self._batches_of_new():
            disputed = []
            found = looks.of(entity, part)
            pairs = self._parted(entity) if found else ()
            others = parted_from(self.context, entity, sorted(found), pairs)
            for key, candidates in found.items():
                dispute = Dispute(key, SCORE, "looks like")
                dispute.candidates = [
                    {"core_id": c.core_id, "score": round(c.score, 3), "agrees": list(c.agrees)}
                    for c in candidates
                    if c.core_id not in others.get(key, ())
                ]
                if not dispute.candidates:
                    continue
                result.disputes[key] = dispute
                disputed.append(key)
            self._not_new(disputed)

    def _go_on(self, entity: Entity, result: Correlated) -> None:
        """Persons of a school that changed, who are one of before by all that is known of them."""
        work = self.context.work
        if not self.context.former_scopes or entity not in PERSONS:
            return
        pending = {row[0] for row in work.execute("SELECT source_key FROM w_pending")}
        known = pending & lookup_links(self.context, entity, sorted(pending)).keys()
        linked = sorted(known - self._settled - result.disputes.keys() - result.linked.keys())
        joined, merged = persons(self.context, entity, self._batches_of_new(), linked)
        result.linked |= joined
        result.rules |= dict.fromkeys(joined, HERINRICHTING)
        self._not_new(list(joined))
        taken = {*result.merges, *result.merges.values()}
        result.merges |= {y: s for y, s in merged.items() if not taken & {y, s}}

    def _is_alone(self, entity: Entity) -> bool:
        """Whether no other koppeling of this tenant has records of this entity.

        What is known by former scopes is as known by another; who only adds has no records.
        """
        if self.context.former_scopes:
            return False
        if entity not in self._alone:
            own = {self.context.koppeling.id, *self.context.adding}
            others = [k for k in self.context.koppelingen if k not in own]
            work = self.context.work
            rows = work.execute(
                f"SELECT 1 FROM link WHERE entity = ? AND {work.many('koppeling_id')} LIMIT 1",
                (str(entity), work.values(others)),
            )
            self._alone[entity] = not rows
        return self._alone[entity]

    # -- new -------------------------------------------------------------------------------------

    def _create(self, entity: Entity, result: Correlated, *, may_create: bool) -> None:
        """Give new records their number, and write all links of this entity."""
        context = self.context
        reaction = context.policy.reactions.of(str(entity)).unmatched
        if not may_create:
            context.work.execute("DELETE FROM w_new")
        elif reaction is not Unmatched.CREATE:
            for keys in self._batches_of_new():
                if reaction is Unmatched.CASE:
                    for key in keys:
                        result.disputes[key] = Dispute(key, "unmatched", "policy asks a person")
                self._not_new(keys)
        self._link_new(entity, result)
        context.work.load("w_link", LINK_COLUMNS, self._links(entity, result))
        self._follows = {}

    def _link_new(self, entity: Entity, result: Correlated) -> None:
        """Number what is new in the order of its arrival, which is that of its shadow."""
        context, work = self.context, self.context.work
        count = work.execute("SELECT COUNT(*) FROM w_new")[0][0]
        if not count:
            return
        result.new = context.ids.take("core", count)
        work.execute(
            "INSERT INTO w_link (koppeling_id, entity, source_key, core_id, rule, run_id) "
            "SELECT ?, ?, source_key, ? + ROW_NUMBER() OVER (ORDER BY place), 'new', ? FROM w_new "
            "ORDER BY source_key",
            (context.koppeling.id, str(entity), result.new.start - 1, context.run_id),
        )

    def _links(self, entity: Entity, result: Correlated) -> Iterator[tuple[object, ...]]:
        """Links to what another record of this run makes, or what exists."""
        own, run = self.context.koppeling.id, self.context.run_id
        following = {twin: leader for leader, twins in self._follows.items() for twin in twins}
        made = lookup_links(self.context, entity, sorted(set(following.values())))
        for twin, leader in following.items():
            if leader in made:
                result.linked[twin] = made[leader]
                yield own, str(entity), twin, made[leader], "exact: same run", run
        for key, core_id in sorted(result.linked.items()):
            if key not in following:
                rule = HUB_KEY if self.context.adds else "exact"
                yield own, str(entity), key, core_id, rule, run

    def _merge(self, entity: Entity, result: Correlated) -> None:
        """Every link of the younger record goes to the older one."""
        context, work = self.context, self.context.work
        merges = sorted(result.merges.items())
        work.load(
            "w_alias",
            ("core_id", "survivor_id", "entity"),
            [(y, s, str(entity)) for y, s in merges],
        )
        for younger, survivor in merges:
            rows = work.execute(
                "SELECT koppeling_id, source_key FROM link WHERE core_id = ?", (younger,)
            )
            work.load(
                "w_link",
                LINK_COLUMNS,
                [(k, str(entity), key, survivor, "merged", context.run_id) for k, key in rows],
            )

    def _keep_keys(self, entity: Entity, result: Correlated) -> None:
        """Keys of records that have a core record stay, to be applied; the others are dropped."""
        work = self.context.work
        linked = (
            "(SELECT l.core_id FROM {} l WHERE l.koppeling_id = w_key.koppeling_id "
            "AND l.entity = w_key.entity AND l.source_key = w_key.source_key)"
        )
        work.execute(  # the links of this run go before the older ones
            f"UPDATE w_key SET core_id = COALESCE({linked.format('w_link')}, "
            f"{linked.format('link')}, core_id) WHERE entity = ?",
            (str(entity),),
        )
        work.execute("DELETE FROM w_key WHERE core_id IS NULL")
        for part in chunks(sorted(result.disputes)):
            work.execute(
                f"DELETE FROM w_key WHERE entity = ? AND {work.many('source_key')}",
                (str(entity), work.values(part)),
            )


def by_hub_key(context: Context, entity: Entity, keys: Sequence[str]) -> dict[str, int]:
    """Source key → core record of this tenant that it is the hub key of.

    Only a koppeling that adds has such keys; what was merged is what it became.
    """
    if not context.adds:
        return {}
    work, named = context.work, {key: key_number(key) for key in keys}
    found: dict[int, int] = {}
    for part in chunks(sorted({number for number in named.values() if number is not None})):
        became: dict[int, int] = {}
        for table in ("alias", "w_alias"):
            became.update(
                work.execute(
                    f"SELECT core_id, survivor_id FROM {table} WHERE {work.many('core_id')}",
                    (work.values(part),),
                )
            )
        wanted = sorted({became.get(number, number) for number in part})
        rows = work.execute(
            f"SELECT id FROM {entity} WHERE tenant_id = ? AND {work.many('id')}",
            (context.koppeling.tenant_id, work.values(wanted)),
        )
        there = {row[0] for row in rows}
        found.update(
            (number, became.get(number, number))
            for number in part
            if became.get(number, number) in there
        )
    return {key: found[number] for key, number in named.items() if number in found}
