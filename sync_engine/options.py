"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from mappings.canonical.fields import Entity
from sync_engine.guard import Allowance
from sync_engine.renumbering import Herinrichting, places

Progress = Callable[[str, str, int], None]
"""Called with (phase, what, records so far); for progress bars."""


class Kind(StrEnum):
    """What kind of run."""

    FULL = "full"
    DELTA = "delta"
    ONLY = "only"
    APPLY = "apply"
    REPLAY = "replay"
    ADOPT = "adopt"
    REFOLD = "refold"
    REFUSE = "refuse"
    UNDO = "undo"
    DECIDE = "decide"


class Verdict(StrEnum):
    """What a person decides of one record, or of two."""

    LINK = "link"  # it is that record of the core
    CREATE = "create"  # it is a record of its own
    SPLIT = "split"  # it is not the record that it is linked to
    IGNORE = "ignore"  # nothing is made of it
    MERGE = "merge"  # two records of the core are one


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision to be carried out.

    Attributes:
        entity: of the record.
        source_key: of the record, at the koppeling of the run; empty for MERGE.
        core_id: whom it is linked to; one of the two that become one.
        other: the other of the two.
        case_id: the case that it answers.
    """

    verdict: Verdict
    entity: Entity
    source_key: str = ""
    core_id: int | None = None
    other: int | None = None
    case_id: int | None = None


@dataclass(frozen=True, slots=True)
class Apart:
    """Some schools, apart from the others of their koppeling.

    Attributes:
        scopes: those of other schools, or of these and others: what waits there is left.
        schools: BRINs and vestigingsnummers of these.
        unsaid: a scope that says of no school that it is of it is of these.
    """

    scopes: tuple[int, ...] = ()
    schools: tuple[str, ...] = ()
    unsaid: bool = False

    def has(self, numbers: Sequence[str]) -> bool:
        """Whether all that a scope says it is of is of these schools."""
        if not numbers:
            return self.unsaid
        return all(any(n.startswith(s) for s in self.schools) for n in places(numbers))


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    Attributes:
        kind: everything, what changed, some records, an approved plan, what the archive holds, what
            stood in the core before any source, or what a person acts on.
        pupils: core ids of leerlingen to look up with what is theirs (kind ONLY).
        by_hand: a person asked for it: exempt from permitted hours, counted in the rate budget.
        cores: core ids of what is folded again from what is accepted (kind REFOLD).
        resources: names as the source names them; empty for all that are configured.
        only: source keys to look up (kind ONLY), of the resources named.
        groups: core ids of groepen to look up with their members (kind ONLY).
        quarantine: only what is in quarantine, of it only `only` where that is given (kind REPLAY).
        since: only payloads that were stored on this day or later (kind REPLAY).
        brins: BRINs or vestigingsnummers to select scopes by; empty for all.
        dry: stop before anything is written but the plan.
        plan_only: stop before anything is applied; `plan apply` goes on.
        approved: plan to apply (kind APPLY), or that was shown of an act (UNDO, DECIDE).
        refused: plan to refuse (kind REFUSE).
        undone: run to undo (kind UNDO).
        decision: what to decide (kind DECIDE).
        alike: cases whose records are their one candidate (kind DECIDE), all in one act.
        lifted: the decision to take back (kind DECIDE), by the number of its act.
        herinrichting: what to put in force (kind DECIDE).
        finished: the herinrichting to finish (kind DECIDE), by its number.
        why: of a refusal, a decision or an undo, in the words of who acts.
        time_limit: after this the run ends by itself, cleanly.
        due: the instant of its schedule, of a run by the clock; it is carried out once.
        operator: who asked for it.
        apart: what is left as it is, where who asked may act for some schools of a tenant only;
            None where he may for all.
        allowed: what may pass the guards in this run alone, where a person said so.
    """

    kind: Kind = Kind.FULL
    resources: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    quarantine: bool = False
    pupils: tuple[int, ...] = ()
    by_hand: bool = False
    cores: tuple[int, ...] = ()
    since: date | None = None
    brins: tuple[str, ...] = ()
    dry: bool = False
    plan_only: bool = False
    approved: int | None = None
    refused: int | None = None
    undone: int | None = None
    decision: Decision | None = None
    alike: tuple[int, ...] = ()
    lifted: int | None = None
    herinrichting: Herinrichting | None = None
    finished: int | None = None
    why: str = ""
    time_limit: timedelta | None = None
    due: datetime | None = None
    operator: str = "system"
    allowed: tuple[Allowance, ...] = ()
    apart: Apart | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it tries everything there is to read of a koppeling, and means to apply it."""
        some = self.resources or self.brins
        reads = self.kind in {Kind.FULL, Kind.DELTA}
        return reads and not (some or self.dry or self.plan_only)

    @property
    def is_decision(self) -> bool:
        """Whether a person decides who records are or what schools become, or takes that back."""
        made = self.decision or self.alike or self.herinrichting
        return bool(made) or self.lifted is not None or self.finished is not None
