"""Steps: one record of a plan, what names it, and what of a plan may pass. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import msgspec

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.fold import Folded, Json
from sync_engine.guard import DESERTED, MEMBERS, Hold, Schools, Tally, guard_field
from sync_engine.project import State, is_obtained

STEP_COLUMNS = (
    "id",
    "plan_id",
    "run_id",
    "entity",
    "core_id",
    "source",
    "op",
    "state",
    "held_for",
    "digest",
    "salt",
    "change",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What of a plan may pass.

    Attributes:
        holds: parts that a guard holds.
        approved: plan whose steps may pass, and no others; None lets everything pass.
        refused: plan whose steps are refused; nothing passes.
        cores: of what is marked only these are folded again, and nothing that is received is
            used; None is everything.
    """

    holds: tuple[Hold, ...] = ()
    approved: int | None = None
    refused: int | None = None
    cores: tuple[int, ...] | None = None

    @property
    def shown(self) -> int | None:
        """The plan that a person has seen."""
        return self.refused if self.approved is None else self.approved

    def may_create(self, entity: Entity) -> bool:
        """Whether new records of this entity may be made at all."""
        return not any(h.covers(entity, "create", ()) for h in self.holds if not h.school)

    def held(
        self,
        entity: Entity,
        op: str,
        changed: Mapping[str, object],
        *,
        schools: Schools = (),
        deserted: bool = False,
    ) -> str:
        """Why this step waits, or ''.

        Args:
            entity: of its record.
            op: what is done to it.
            changed: what changes.
            schools: that its record belongs to.
            deserted: it takes all leerlingen from a groep.
        """
        for hold in self.holds:
            if hold.covers(entity, op, schools) and (
                not hold.field
                or (hold.field == DESERTED and deserted)
                or any(guard_field(key) == hold.field for key in changed)
            ):
                return hold.reason
        return ""


@dataclass(slots=True)
class Planned:
    """What a plan came to.

    Attributes:
        tally: counts of the steps that may pass and of those that are held.
        refused: steps that a person refused.
        situations: situation → records; `unknown` are those of a koppeling that only adds, whose
            keys are of nobody in the core.
        found: (entity, situation) → records that were linked (`unlinked`) or made (`unmatched`).
    """

    tally: Tally = field(default_factory=Tally)
    held: int = 0
    refused: int = 0
    unresolved: int = 0
    withheld: int = 0  # references to erased persons: they are not unresolved, they stay so
    waiting: int = 0
    situations: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    found: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))


class Step(msgspec.Struct):
    """One core record that would change.

    Attributes:
        source: `koppeling/key` that names it before it has a number.
        op: create, change, close or reopen.
        changed: key of the flat state → [before, after].
        digest: names the step for approval.
        body: `changed` as JSON, the same in every plan.
    """

    entity: Entity
    core_id: int
    source: str
    op: str
    changed: dict[str, list[Json]]
    state: State
    body: bytes
    digest: bytes
    is_new: bool


def count(
    tally: Tally,
    entity: Entity,
    op: str,
    *,
    changed: Mapping[str, Sequence[Json]],
    deserted: bool = False,
) -> None:
    """Add one step to what guards judge, under the fields by which `Limits.held` holds it.

    Members who only come are no change, nor are pseudonyms: nothing that the core knows is lost by
    them.
    """
    name = str(entity)
    tally.steps[name, op] += 1
    if op != "change":
        return
    fields: set[str] = set()
    for key, (before, after) in changed.items():
        field_name = guard_field(key)
        if before is None and is_obtained(after):
            continue
        if field_name != MEMBERS:
            fields.add(field_name)
            tally.emptied[name, field_name] += before is not None and after is None
        elif before is not None:
            fields.add(MEMBERS)
            tally.emptied[name, MEMBERS] += _is_lost(after)
    tally.fields.update((name, field_name) for field_name in fields)
    tally.deserted[name] += deserted


_LEERLINGEN = f"{MEMBERS}/leerling/"


def deserts(changed: Mapping[str, Sequence[Json]], state: State, *, least: int) -> bool:
    """Whether a change takes all leerlingen from a groep that had at least so many.

    Args:
        changed: key of the flat state → [before, after].
        state: of the groep afterwards.
        least: leerlingen that a groep has that is worth a question.
    """
    lost = sum(
        before is not None and _is_lost(after)
        for key, (before, after) in changed.items()
        if key.startswith(_LEERLINGEN)
    )
    return lost >= least and all(
        _is_lost(value) for key, value in state.items() if key.startswith(_LEERLINGEN)
    )


def _is_lost(after: Json) -> bool:
    """Whether a membership is gone, or ended: the fourth part says so (project.py)."""
    return after is None or (isinstance(after, list) and len(after) > 3)


def operation(changed: Mapping[str, list[Json]], current: State, folded: Folded) -> str:
    """Close and reopen are named apart: guards judge them apart."""
    if folded.closed and not current.get("tot_afgeleid") and "geldig_tot" in changed:
        return "close"
    if current.get("tot_afgeleid") and not folded.closed:
        return "reopen"
    return "change"


_in_order = msgspec.json.Encoder(order="sorted").encode


def body_of(changed: Mapping[str, Sequence[Json]]) -> bytes:
    """What a step changes, as JSON in a fixed order."""
    return _in_order(changed)


def stable(
    entity: Entity,
    op: str,
    subject: str,
    *,
    changed: Mapping[str, Sequence[Json]],
    body: bytes,
    labels: Mapping[int, str],
) -> bytes:
    """What names one step for approval: the same step in a later plan gives the same bytes.

    Numbers that this plan gives to new records are replaced by their source, for a later plan
    gives them other numbers.

    Args:
        entity: of the record.
        op: what is done to it.
        subject: the record: its source where it is new, else its number.
        changed: what changes.
        body: the same by `body_of`.
        labels: number of a new record that it refers to → its source.
    """
    if labels and _refers(entity):
        body = body_of({_named(k, labels): _labelled(k, p, labels) for k, p in changed.items()})
    return b"%s|%s|%s|%s" % (entity.encode(), op.encode(), subject.encode(), body)


@cache
def _refers(entity: Entity) -> bool:
    return any(field.target is not None for field in fields_of(entity).values())


def _named(key: str, labels: Mapping[int, str]) -> str:
    if not key.startswith("groepsdeelname/"):
        return key
    head, _, last = key.rpartition("/")
    return f"{head}/{labels.get(int(last), last)}"


def _labelled(key: str, pair: Sequence[Json], labels: Mapping[int, str]) -> Sequence[Json]:
    if not key.endswith("_id"):
        return pair
    return [labels.get(value, value) if isinstance(value, int) else value for value in pair]
