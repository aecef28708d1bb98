"""Steps: one record of a plan, what names it, and what of a plan may pass. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.fold import Folded, Json
from sync_engine.guard import MEMBERS, Hold, Tally, guard_field
from sync_engine.project import State

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
    """

    holds: tuple[Hold, ...] = ()
    approved: int | None = None

    def may_create(self, entity: Entity) -> bool:
        """Whether new records of this entity may be made at all."""
        return not any(h.entity == entity and h.op == "create" for h in self.holds)

    def held(self, entity: Entity, op: str, changed: Mapping[str, object]) -> str:
        """Why this step waits, or ''."""
        for hold in self.holds:
            if (
                hold.entity == entity
                and hold.op == op
                and (not hold.field or any(guard_field(key) == hold.field for key in changed))
            ):
                return hold.reason
        return ""


@dataclass(slots=True)
class Planned:
    """What a plan came to.

    Attributes:
        tally: counts of the steps that may pass and of those that are held.
        situations: situation → records.
    """

    tally: Tally = field(default_factory=Tally)
    held: int = 0
    unresolved: int = 0
    waiting: int = 0
    situations: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(slots=True)
class Step:
    """One core record that would change.

    Attributes:
        source: `koppeling/key` that names it before it has a number.
        op: create, change, close or reopen.
        changed: key of the flat state → [before, after].
        digest: names the step for approval.
    """

    entity: Entity
    core_id: int
    source: str
    op: str
    changed: dict[str, list[Json]]
    state: State
    digest: bytes
    is_new: bool


def count(tally: Tally, entity: Entity, op: str, *, changed: Mapping[str, Sequence[Json]]) -> None:
    """Add one step to what guards judge, under the fields by which `Limits.held` holds it.

    Members who only come are no change: nothing that the core knows is lost by them.
    """
    name = str(entity)
    tally.steps[name, op] += 1
    if op != "change":
        return
    fields: set[str] = set()
    for key, (before, after) in changed.items():
        field_name = guard_field(key)
        if field_name != MEMBERS:
            fields.add(field_name)
            tally.emptied[name, field_name] += before is not None and after is None
        elif before is not None:
            fields.add(MEMBERS)
            tally.emptied[name, MEMBERS] += _is_lost(after)
    tally.fields.update((name, field_name) for field_name in fields)


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


def stable(
    entity: Entity,
    op: str,
    core_id: int,
    source: str,
    changed: Mapping[str, list[Json]],
    labels: Mapping[int, str],
) -> bytes:
    """What names one step for approval: the same step in a later plan gives the same bytes.

    Numbers that this plan gives to new records are replaced by their source, for a later plan
    gives them other numbers.
    """
    body = []
    for key in sorted(changed):
        before, after = changed[key]
        name = key
        if key.endswith("_id"):
            before, after = (
                labels.get(value, value) if isinstance(value, int) else value
                for value in (before, after)
            )
        elif key.startswith("groepsdeelname/"):
            head, _, last = key.rpartition("/")
            name = f"{head}/{labels.get(int(last), last)}"
        body.append((name, before, after))
    body.sort(key=_first)
    subject = source if op == "create" else str(core_id)
    return msgspec.json.encode([str(entity), op, subject, body])


_first = itemgetter(0)
