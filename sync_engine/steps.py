"""Steps: one record of a plan, what names it, and what of a plan may pass. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.fold import Folded, Json
from sync_engine.guard import Hold, Tally
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
                and (not hold.field or hold.field in changed)
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
    passing: int = 0
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
