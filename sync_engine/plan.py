"""Plan: the difference between what the sources say and what the core holds, record by record.

Per entity, in fold order: correlate what is pending, fold every core record that is concerned,
compare with its present state, and write one step per record that would change, with the rows that
would make it so in temporary tables. Nothing of the core is written here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine import correlate, herinrichtingen, rows, turn_tables
from sync_engine.acts import Act
from sync_engine.asked import Asked
from sync_engine.claims import gather
from sync_engine.comings import narrow
from sync_engine.concern import OPEN_COLUMNS, concerned, find_pending, wait_with_disputed
from sync_engine.context import BATCH, Context, chunks
from sync_engine.correlate import Correlated, Correlator
from sync_engine.correlating import correlate_pending
from sync_engine.fold import Claim, Folded, FoldRules, Json, Reference, fold
from sync_engine.memberships import members_of, put_back
from sync_engine.nodes import lookup_links
from sync_engine.project import State, difference, has_parts, project, references
from sync_engine.rows import Prepared, States
from sync_engine.steps import (
    Limits,
    Planned,
    Step,
    body_of,
    count,
    operation,
    stable,
)
from sync_engine.succession import left_behind
from sync_engine.verdicts import FoldBatch, Verdicts


def prepare(context: Context, *, acting: bool) -> None:
    """Make (or empty) every temporary table of planning, those of an act where there is one."""
    correlate.prepare(context)
    rows.prepare(context)
    turn_tables.prepare(context, acting=acting)
    work = context.work
    work.temp_table("w_pending", "source_key TEXT PRIMARY KEY, place BIGINT", index=["(place)"])
    work.temp_table("w_core", "core_id BIGINT PRIMARY KEY, again BOOLEAN")
    work.temp_table("w_refold", "core_id BIGINT, entity TEXT")
    work.temp_table("w_rekey", "koppeling_id INTEGER, entity TEXT, source_key TEXT")
    work.temp_table(
        "w_case",
        "kind TEXT, entity TEXT, source_key TEXT, rule TEXT, detail TEXT",
        index=["(source_key)"],
    )
    work.temp_table("w_vanished", "entity TEXT, source_key TEXT")
    work.temp_table("w_disputed", "entity TEXT, source_key TEXT")
    work.temp_table(
        "w_open",
        "koppeling_id INTEGER, entity TEXT, source_key TEXT, target_entity TEXT, target_key TEXT",
    )
    work.temp_table("w_answered", "koppeling_id INTEGER, entity TEXT, source_key TEXT")


class Planner:
    """Makes one plan."""

    def __init__(
        self, context: Context, plan_id: int, limits: Limits, *, act: Act | None = None
    ) -> None:
        self.act = act
        self.context = context
        self.plan_id = plan_id
        self.limits = limits
        self.planned = Planned()
        self.rules: FoldRules = context.rules()
        self._correlator = Correlator(context)
        self._states = States(context)
        self._prepared = Prepared(context)
        self._new: set[int] = set()
        self._answered: list[tuple[object, ...]] = []
        self._opened: list[tuple[object, ...]] = []
        self._skip: set[str] = set()
        self._judged: set[str] | None = None
        self._merged: set[int] = set()  # core ids that this plan merges into others
        self._made = range(0)  # core ids of the records of this entity that this plan makes
        self._digest = context.cipher.fingerprint(b"step")
        self._accepted_only = limits.cores is not None
        self._verdicts = Verdicts(
            context,
            plan_id,
            limits=limits,
            planned=self.planned,
            prepared=self._prepared,
            new=self._new,
            merged=self._merged,
        )

    def plan(self) -> Planned:
        """Plan every entity that has something pending or to be folded again."""
        prepare(self.context, acting=self.act is not None)
        self._asked = Asked(self.context)
        context = self.context
        before = context.work.execute(  # what an earlier pass over this plan held stands there too
            "SELECT COALESCE(MAX(id), 0) FROM step WHERE plan_id = ?", (self.plan_id,)
        )[0][0]
        herinrichtingen.concern(context)
        if self.act is None:
            context.work.execute(
                "INSERT INTO w_refold SELECT core_id, entity FROM v_refold WHERE tenant_id = ?",
                (context.koppeling.tenant_id,),
            )
        else:
            self.act.begin()
        if self.limits.cores is not None:
            keep = context.work.many("core_id")
            context.work.execute(
                f"DELETE FROM w_refold WHERE NOT ({keep})",
                (context.work.values(self.limits.cores),),
            )
        for entity in Entity:
            if self.act is not None or self._has_work(entity):
                self._entity(entity)
        self._remove()
        if self.planned.held:  # a form that waits tells nobody apart yet
            context.work.execute(
                "DELETE FROM w_key WHERE core_id IN "
                "(SELECT core_id FROM step WHERE plan_id = ? AND state = 'held' AND id > ?)",
                (self.plan_id, before),
            )
        return self.planned

    # -- one entity ------------------------------------------------------------------------------

    def _has_work(self, entity: Entity) -> bool:
        """Whether anything of an entity waits to be judged or to be folded; most nights few do."""
        found = self.context.work.execute(
            "SELECT 1 FROM w_refold WHERE entity = ? UNION ALL "
            "SELECT 1 FROM w_rekey WHERE entity = ? UNION ALL "
            "SELECT 1 FROM v_shadow WHERE koppeling_id = ? AND entity = ? AND pending LIMIT 1",
            (str(entity), str(entity), self.context.koppeling.id, str(entity)),
        )
        return bool(found)

    def _entity(self, entity: Entity) -> None:
        work = self.context.work
        work.execute("DELETE FROM w_pending")
        if self.act is not None:
            self.act.turn.entity(entity)
        if self.limits.cores is None:
            find_pending(self.context, entity, chosen=self.act is not None)
        self._skip = wait_with_disputed(self.context, entity)
        self._made = range(0)
        if self.act is not None:  # what is judged now, and no other form, may be believed
            self._judged = set()
            if self.act.accepts:
                self._judged = {row[0] for row in work.execute("SELECT source_key FROM w_pending")}
        correlated = correlate_pending(
            self.context, self._correlator, entity, may_create=self.limits.may_create(entity)
        )
        if correlated is not None:
            self._made = correlated.new
            self._note(entity, correlated)
        if self.act is not None:
            self.act.turn.keep_keys(entity)
        concerned(self.context, entity, has_pending=correlated is not None)
        for cores, again in self._batches():
            self._fold_batch(entity, cores, again)
        self._prepared.flush()
        self._verdicts.flush()

    def _remove(self) -> None:
        """Steps for the records that nothing says any more, what refers to others first."""
        if self.act is None:
            return
        for entity, cores in self.act.turn.removals():
            for part in chunks(cores):
                self._remove_some(entity, part)
        self._verdicts.flush()

    def _remove_some(self, entity: Entity, cores: Sequence[int]) -> None:
        states, salts = self._states.read(entity, cores), self._core_salts(entity, cores)
        for core_id, state in states.items():
            changed = {key: [value, None] for key, value in state.items() if value is not None}
            self._reveal(core_id, changed)
            body = body_of(changed)
            named = stable(entity, "remove", str(core_id), changed=changed, body=body, labels={})
            digest = self._digest(named)
            step = Step(entity, core_id, "", "remove", changed, {}, body, digest, is_new=False)
            count(self.planned.tally, entity, "remove", changed={})
            salt = salts.get(core_id) or rows.new_salt()
            person = self.context.cipher.person(salt)
            self._verdicts.write(step, "planned", "", salt=salt, person=person)
        self.context.work.load(
            "w_remove", ("core_id", "entity"), [(core_id, str(entity)) for core_id in states]
        )

    def _note(self, entity: Entity, correlated: Correlated) -> None:
        """Count situations; what is in doubt is not accepted."""
        planned = self.planned
        planned.situations["disputed"] += len(correlated.disputes)
        planned.situations["unmatched"] += len(correlated.new)
        planned.situations["unknown"] += len(correlated.unknown)
        planned.situations["unlinked"] += len(correlated.linked)
        planned.found[str(entity), "unmatched"] += len(correlated.new)
        planned.found[str(entity), "unlinked"] += len(correlated.linked)
        planned.waiting += len(correlated.waiting)
        self._skip |= set(correlated.disputes)
        self._merged.update(correlated.merges)

    def _batches(self) -> Iterator[tuple[list[int], set[int]]]:
        """What is concerned, and of that what is folded for another reason than a new form."""
        last: int | None = None
        while True:
            where, params = ("WHERE core_id > ?", (last,)) if last is not None else ("", ())
            found = self.context.work.execute(
                f"SELECT core_id, again FROM w_core {where} ORDER BY core_id LIMIT {BATCH}", params
            )
            if not found:
                return
            cores = [row[0] for row in found]
            last = cores[-1]
            yield cores, {row[0] for row in found if row[1]}

    # -- one batch -------------------------------------------------------------------------------

    def _fold_batch(self, entity: Entity, cores: list[int], again: set[int]) -> None:
        waiting = self._fold_some(FoldBatch(entity, cores, again))
        if waiting and not self._accepted_only:
            # what is new waits for what it refers to; what was accepted goes on being folded
            self._accepted_only = True
            self._fold_some(FoldBatch(entity, waiting, set(waiting)))
            self._accepted_only = False

    def _fold_some(self, batch: FoldBatch) -> list[int]:
        """Fold and compare; the core records that wait for a required reference."""
        entity, cores = batch.entity, batch.cores
        batch.said = gather(
            self.context,
            entity,
            cores,
            skip=self._skip,
            accepted_only=self._accepted_only,
            only=self._judged,
            new=self._made,
        )
        for core_id, claims in batch.said.claims.items():
            batch.folded[core_id] = fold(
                entity, claims, pins=batch.said.pins.get(core_id, {}), rules=self.rules
            )
        if self.act is not None and entity is Entity.GROEP:
            batch.touched = self.act.turn.touched(cores)
        known = [core_id for core_id in cores if core_id not in self._made]
        states = self._read(batch, known)
        self._resolve(batch)
        if entity is Entity.GROEP and self.context.former_scopes:
            batch.behind = left_behind(self.context, members_of(states.values(), batch.touched))
        salts = self._core_salts(entity, known)
        waiting = self._compare(batch, states, salts)
        self._asked.flush()
        self._flush_open()
        self._prepared.flush()
        self._verdicts.flush()
        return waiting

    def _read(self, batch: FoldBatch, known: Sequence[int]) -> dict[int, State]:
        """The present states; of a groep that only a new form concerns, who came or went."""
        context = self.context
        states = self._states.read(batch.entity, known, members=False)
        if not has_parts(batch.entity)[1]:
            return states
        if self.act is None and not (context.former_scopes or context.adopting or context.turned):
            batch.narrowed = narrow(
                context,
                batch.entity,
                batch.said,
                folded=batch.folded,
                states=states,
                again=batch.again,
            )
        self._states.read_members(states, [c for c in known if c not in batch.narrowed])
        return states

    def _resolve(self, batch: FoldBatch) -> None:
        """Core ids of everything that these records refer to, in one look-up per entity."""
        wanted: dict[tuple[int, Entity], set[str]] = defaultdict(set)
        names = references(batch.entity)
        for folded in batch.folded.values() if names else ():
            for name in names:
                value = folded.values.get(name)
                if isinstance(value, Reference):
                    wanted[value.koppeling_id, value.entity].add(value.key)
                elif isinstance(value, list):
                    for item in value:
                        if isinstance(item, Reference):
                            wanted[item.koppeling_id, item.entity].add(item.key)
        for (koppeling_id, target), keys in wanted.items():
            links = lookup_links(self.context, target, list(keys), koppeling_id=koppeling_id)
            for key, core_id in sorted(links.items()):  # of two names the same one, always
                batch.resolved[koppeling_id, target, key] = core_id
                if core_id in self._new:
                    batch.labels[core_id] = f"{koppeling_id}/{target}/{key}"

    def _core_salts(self, entity: Entity, cores: Sequence[int]) -> dict[int, bytes]:
        if not has_parts(entity)[0]:
            return {}
        work = self.context.work
        found: dict[int, bytes] = {}
        for part in chunks(cores):
            found.update(
                (row[0], row[1])
                for row in work.execute(
                    f"SELECT core_id, salt FROM core_salt WHERE {work.many('core_id')}",
                    (work.values(part),),
                )
            )
        return found

    def _compare(
        self, batch: FoldBatch, states: Mapping[int, State], salts: Mapping[int, bytes]
    ) -> list[int]:
        """Steps for the records whose state differs; the rest is accepted as it stands.

        Returns: the core records that wait.
        """
        steps: list[Step] = []
        waiting: list[int] = []
        for core_id in batch.cores:
            folded = batch.folded.get(core_id)
            if folded is None:
                continue
            step = self._step(batch, core_id, folded, states.get(core_id))
            if step is None:
                self._verdicts.accept(batch, core_id)
            elif step.op == "wait":
                waiting.append(core_id)
            else:
                steps.append(step)
        shown = self._verdicts.shown([step.digest for step in steps])
        for step in steps:
            self._verdicts.decide(batch, step, shown, salts)
        return waiting

    def _step(
        self, batch: FoldBatch, core_id: int, folded: Folded, current: State | None
    ) -> Step | None:
        claims = batch.said.claims[core_id]
        held = [claim.held_until for claim in claims if claim.held_until is not None]
        resolved = batch.resolved
        projected = project(
            folded,
            current,
            resolve=lambda r: resolved.get((r.koppeling_id, r.entity, r.key)),
            index=self._index,
            held_until=max(held) if held else None,
            stays=batch.behind,
        )
        self._open(batch, claims, projected.unresolved)
        source = min([f"{claim.koppeling}/{claim.source_key}" for claim in claims])
        if projected.waiting:
            self.planned.waiting += not self._accepted_only
            return Step(batch.entity, core_id, source, "wait", {}, {}, b"", b"", is_new=False)
        self._asked.keep(
            batch.entity,
            core_id,
            claims,
            pinned=batch.said.pins.get(core_id, ()),
            current=current,
            state=projected.state,
        )
        if core_id in batch.touched:
            self._put_back(batch, core_id, current, projected.state)
        changed = difference(current, projected.state)
        if not changed:
            return None
        if current is None:
            op = "create"
            self._new.add(core_id)
            batch.labels[core_id] = source
        else:
            op = operation(changed, current, folded)
        if op == "change":
            self._reveal(core_id, changed)
        subject, body = source if op == "create" else str(core_id), body_of(changed)
        name = stable(batch.entity, op, subject, changed=changed, body=body, labels=batch.labels)
        return Step(
            batch.entity,
            core_id,
            source,
            op,
            changed,
            projected.state,
            body,
            self._digest(name),
            is_new=current is None,
        )

    def _put_back(
        self, batch: FoldBatch, core_id: int, current: State | None, target: State
    ) -> None:
        """Memberships that an undone run wrote are the rows that they were."""
        handled, chosen = put_back(
            core_id, batch.touched[core_id], current, target, behind=batch.behind
        )
        batch.handled[core_id] = handled
        for member_id in chosen:
            self._prepared.put_back(member_id)

    def _index(self, role: str, value: str, issuer: int) -> str:
        return self.context.cipher.index(f"identificatie/{role}", str(issuer), value).hex()

    def _reveal(self, core_id: int, changed: dict[str, list[Json]]) -> None:
        """The journal holds an identifier's value before, not its index."""
        for key, pair in changed.items():
            if key.startswith("identificatie/") and isinstance(pair[0], dict):
                pair[0] = {"waarde": self._states.reveal(core_id, key), **pair[0]}

    def _open(
        self, batch: FoldBatch, claims: Sequence[Claim], unresolved: Sequence[Reference]
    ) -> None:
        if not references(batch.entity):
            return
        entity = str(batch.entity)
        holders = sorted({(claim.koppeling_id, claim.source_key) for claim in claims})
        self._answered += [(koppeling_id, entity, key) for koppeling_id, key in holders]
        erased = self.context.erased
        if erased:
            waiting = [r for r in unresolved if not erased.holds(r.entity, r.koppeling_id, r.key)]
            self.planned.withheld += len(unresolved) - len(waiting)
            unresolved = waiting
        self.planned.unresolved += len(unresolved)
        self._opened += [
            (koppeling_id, entity, key, str(reference.entity), reference.key)
            for reference in unresolved
            for koppeling_id, key in _who_names(batch.entity, claims, reference)
        ]

    def _flush_open(self) -> None:
        work = self.context.work
        work.load("w_answered", ("koppeling_id", "entity", "source_key"), self._answered)
        work.load("w_open", OPEN_COLUMNS, self._opened)
        self._answered, self._opened = [], []


def _who_names(
    entity: Entity, claims: Sequence[Claim], reference: Reference
) -> list[tuple[int, str]]:
    """The records whose own form names what is not found; what another names is no news of them."""
    same = [claim for claim in claims if claim.koppeling_id == reference.koppeling_id]
    fields = [
        name
        for name, description in fields_of(entity).items()
        if description.kind is Kind.REFERENCE and description.target is reference.entity
    ]
    naming = [c for c in same if any(c.form.get(name) == reference.key for name in fields)]
    return sorted({(claim.koppeling_id, claim.source_key) for claim in naming or same})
