"""Verdicts: what of a plan passes and what of it waits; each step is written down either way.

Guards that hold, a plan that a person saw and what he refused decide together. What passes is
prepared for apply, and its received forms with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from mappings.canonical.fields import Entity
from sync_engine import rows
from sync_engine.claims import Said
from sync_engine.context import Context
from sync_engine.fold import Claim, Folded, Json
from sync_engine.guard import Schools
from sync_engine.memberships import Touched
from sync_engine.project import has_parts
from sync_engine.rows import Prepared
from sync_engine.steps import STEP_COLUMNS, Limits, Planned, Step, count, deserts
from sync_engine.store.cipher import PersonCipher


def _references(step: Step) -> list[list[Json]]:
    return [pair for key, pair in step.changed.items() if key.endswith("_id")]


REFUSED = "geweigerd"
"""Why a step is not applied that a person refused."""


@dataclass(slots=True)
class FoldBatch:
    """A batch of core records under the fold."""

    entity: Entity
    cores: list[int]
    again: set[int] = field(default_factory=set)  # folded for another reason than a new form
    said: Said = field(default_factory=Said)
    touched: dict[int, list[Touched]] = field(default_factory=dict)
    handled: dict[int, set[str]] = field(default_factory=dict)
    folded: dict[int, Folded] = field(default_factory=dict)
    resolved: dict[tuple[int, str, str], int] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    behind: set[int] = field(default_factory=set)  # members who are not met in new scopes yet
    narrowed: set[int] = field(default_factory=set)  # of whose members only who came or went counts


class Verdicts:
    """Decides on the steps of one plan.

    Args:
        context: of the run.
        plan_id: the plan.
        limits: what of it may pass.
        planned: takes the counts.
        prepared: takes the rows of what passes.
        new: core ids of the records that the plan makes; it grows as the plan does.
        merged: core ids that the plan merges into others; so does this.
    """

    def __init__(
        self,
        context: Context,
        plan_id: int,
        *,
        limits: Limits,
        planned: Planned,
        prepared: Prepared,
        new: Collection[int],
        merged: Collection[int],
    ) -> None:
        self._context, self._plan_id, self._limits = context, plan_id, limits
        self._planned, self._prepared = planned, prepared
        self._new, self._merged = new, merged
        self._steps: list[tuple[object, ...]] = []
        self._schools: dict[frozenset[str], Schools] = {}
        self._brins = {
            f"{scope.resource}/{scope.key}": context.renumbering.schools(scope.brins)
            for number, scope in context.scopes.items()
            if context.scope_koppeling[number] == context.koppeling.id
        }

    def shown(self, digests: Sequence[bytes]) -> set[bytes] | None:
        """Of these steps, those that a person has seen; None where nobody has to."""
        if self._limits.shown is None:
            return None
        work = self._context.work
        work.temp_table("w_digest", f"digest {work.blob_type}")
        work.load("w_digest", ("digest",), [(digest,) for digest in digests])
        found = work.execute(
            "SELECT s.digest FROM step s WHERE s.plan_id = ? "
            "AND s.digest IN (SELECT digest FROM w_digest)",
            (self._limits.shown,),
        )
        return {bytes(row[0]) for row in found}

    def decide(
        self,
        batch: FoldBatch,
        step: Step,
        shown: set[bytes] | None,
        salts: Mapping[int, bytes],
    ) -> None:
        """Write a step down, and prepare what it writes where it passes.

        Args:
            batch: that it is of.
            step: which.
            shown: of the steps of the batch those that a person has seen, as `shown` gives them.
            salts: of the records that have one.
        """
        reason = self._reason(batch, step, self._guarded(batch, step), shown)
        salt = salts.get(step.core_id)
        is_new_person = salt is None and has_parts(step.entity)[0]
        if salt is None:
            salt = rows.new_salt()
        person = self._context.cipher.person(salt)
        state = "refused" if reason == REFUSED else "held" if reason else "planned"
        self.write(step, state, reason, salt=salt, person=person)
        if state == "refused":
            self._planned.refused += 1
            for shadow in batch.said.accept[step.core_id]:
                self._prepared.refuse(shadow)
        if reason:
            self._planned.held += state == "held"
            if step.is_new and self._limits.refused is None:  # what leans on it is refused with it
                self._unlink(step)
            return
        if is_new_person:
            self._prepared.salt(step.core_id, salt)
        self._prepared.write(step, person, handled=batch.handled.get(step.core_id, ()))
        self.accept(batch, step.core_id)

    def _reason(self, batch: FoldBatch, step: Step, held: str, shown: set[bytes] | None) -> str:
        """Why this step is not applied, or ''."""
        if self._limits.refused is None:
            if self._merged and any(pair[0] in self._merged for pair in _references(step)):
                return ""  # whom it refers to is no more: what is merged takes it along
            if held or shown is None or step.digest in shown:
                return held
            return "niet in het goedgekeurde plan, of sindsdien veranderd"
        if step.digest not in (shown or ()):
            return "niet in het geweigerde plan, of sindsdien veranderd"
        if not batch.said.accept.get(step.core_id):
            return "komt niet van een bron maar van beleid of een vastgezette waarde"
        return REFUSED

    def _guarded(self, batch: FoldBatch, step: Step) -> str:
        """Count the step for the guards, under its schools too; why it waits, or ''."""
        least = self._context.policy.guards.desert_from
        deserted = (
            step.op == "change"
            and step.core_id not in batch.narrowed  # who keeps others
            and deserts(step.changed, step.state, least=least)
        )
        schools = self._schools_of(batch.said.claims[step.core_id])
        tally = self._planned.tally
        for part in (tally, tally.of(schools)) if schools else (tally,):
            count(part, step.entity, step.op, changed=step.changed, deserted=deserted)
        return self._limits.held(
            step.entity, step.op, step.changed, schools=schools, deserted=deserted
        )

    def _schools_of(self, claims: Sequence[Claim]) -> Schools:
        """The schools that a record belongs to: those of the scopes in which its koppeling has it.

        A scope that has ended says nothing of now, unless there is no other.
        """
        own = claims
        if len(claims) > 1:
            own = [claim for claim in claims if claim.koppeling_id == self._context.koppeling.id]
            own = [claim for claim in own if not claim.ended] or own
        elif claims[0].koppeling_id != self._context.koppeling.id:
            own = ()
        places = frozenset([claim.scope for claim in own])
        schools = self._schools.get(places)
        if schools is None:
            names = {name for place in places for name in self._brins.get(place, ())}
            schools = self._schools[places] = tuple(sorted(names))
        return schools

    def accept(self, batch: FoldBatch, core_id: int) -> None:
        """The forms behind a record that changes, or that stands as they say, are accepted."""
        new = core_id in self._new
        for shadow in batch.said.accept.get(core_id, ()):
            situation = "gone" if shadow.gone else "unmatched" if new else "linked"
            self._prepared.accept(shadow, situation)

    def _unlink(self, step: Step) -> None:
        """A creation that is held has no number yet: what refers to it waits with it."""
        work = self._context.work
        work.execute("DELETE FROM w_link WHERE core_id = ?", (step.core_id,))
        work.execute("DELETE FROM w_key WHERE core_id = ?", (step.core_id,))

    def write(
        self, step: Step, state: str, reason: str, *, salt: bytes, person: PersonCipher
    ) -> None:
        """A step of a person has that person's salt; erasing both erases what it says."""
        sealed = person.encrypt(step.body, b"step|%s" % step.digest)
        self._steps.append(
            (
                None,
                self._plan_id,
                self._context.run_id,
                str(step.entity),
                step.core_id,
                step.source,
                step.op,
                state,
                reason,
                step.digest,
                salt,
                sealed,
            )
        )

    def flush(self) -> None:
        """Load the steps that were written down."""
        if not self._steps:
            return
        steps, self._steps = self._steps, []
        work = self._context.work
        numbers = self._context.step_ids.take("step", len(steps))
        with work.transaction():
            work.load(
                "step",
                STEP_COLUMNS,
                [(number, *step[1:]) for number, step in zip(numbers, steps, strict=True)],
            )
