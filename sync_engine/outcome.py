"""How a run ends, and the exit code that says so. One table; `koppelhub exit-codes` prints it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from sync_engine.guard import Hold
from sync_engine.turn import Doubt


class Outcome(StrEnum):
    """How a run ends; design.md, Outcomes are honest."""

    DONE = "done"
    PARTIAL = "partial"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Failure(StrEnum):
    """What a failed run means for those after it."""

    REFUSED = "refused"  # credentials, rights or settings: a person must mend them
    LASTING = "lasting"  # it does not pass by itself, as far as is known
    PASSING = "passing"  # no answer, too busy
    OWN = "own"  # our own database: it says nothing of the source


class ExitCode(IntEnum):
    """What a command answers to the shell; 75 is worth trying again, 2 needs a person."""

    DONE = 0
    PARTIAL = 1
    FAILED = 2
    HELD = 3
    REFUSED = 4
    USAGE = 64
    LATER = 75


EXIT_MEANING: dict[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.PARTIAL: "partial, or a warning",
    ExitCode.FAILED: "failed, or critical",
    ExitCode.HELD: "held: a person must approve",
    ExitCode.REFUSED: "refused: not declared, or no right",
    ExitCode.USAGE: "usage: the command line is wrong",
    ExitCode.LATER: "try again later: busy, rate limited or unavailable",
}

EXIT_OF: dict[Outcome, ExitCode] = {
    Outcome.DONE: ExitCode.DONE,
    Outcome.PARTIAL: ExitCode.PARTIAL,
    Outcome.HELD: ExitCode.HELD,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.CANCELLED: ExitCode.FAILED,
}


READ_WELL = frozenset({"complete", "delta", "replayed", "adopted"})
"""States of a reading that came to its end."""


@dataclass(slots=True)
class ReadingReport:
    """What one run read of one scope."""

    resource: str
    scope: str
    state: str  # complete, incomplete, refused, failed, delta, replayed, adopted
    read: int = 0
    added: int = 0
    changed: int = 0
    missing: int = 0
    gone: int = 0
    quarantined: int = 0
    warnings: int = 0
    suppressed: int = 0  # of erased persons: counted, not stored
    reason: str = ""
    advice: str = ""
    schools: tuple[str, ...] = ()  # BRINs and vestigingsnummers of the scope
    finished_at: str = ""  # when the scope was closed, of a run of before
    waits: bool = False  # what misses comes by itself, in a later run


@dataclass(slots=True)
class RunReport:
    """What one run did; everything a person or a script needs, no personal data."""

    run_id: int
    koppeling: str
    kind: str
    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    plan_id: int | None = None
    readings: list[ReadingReport] = field(default_factory=list)
    steps: dict[str, int] = field(default_factory=dict)  # planned: "leerling.create" → records
    applied: dict[str, int] = field(default_factory=dict)  # and of those, what the core has now
    situations: dict[str, int] = field(default_factory=dict)
    merged: dict[str, int] = field(default_factory=dict)  # entity → records that became another's
    held: int = 0
    holds: list[Hold] = field(default_factory=list)
    refusals: int = 0  # steps that a person refused in this run
    doubts: list[Doubt] = field(default_factory=list)  # what an undo leaves as it is
    unresolved: int = 0
    withheld: int = 0  # references to erased persons
    waiting: int = 0
    quarantine: int = 0
    skipped: dict[str, int] = field(default_factory=dict)  # why a replay left records out
    cases: int = 0
    events: list[str] = field(default_factory=list)
    error: str = ""
    advice: str = ""
    retryable: bool = False
    refused: bool = False  # it may never succeed: not declared, or a stale plan
    failure: Failure | None = None  # what kind of failure it was, where it failed
    longest_hold_seconds: float = 0.0

    @property
    def unread(self) -> int:
        """Parts of the source that were not read to their end, and would have been."""
        missed = (r for r in self.readings if not r.waits)
        return sum(r.state not in READ_WELL or bool(r.reason) for r in missed)

    @property
    def waits(self) -> int:
        """Parts of which something is still to come, by itself."""
        return sum(r.waits for r in self.readings)

    @property
    def good(self) -> bool:
        """Whether the core may be called as fresh as this run, if it tried everything.

        Every part was read to its end, and something in all where the source tells more than what
        changed. So `held` counts: what waits is told by itself. And so does `partial` where only
        records in quarantine made it so, or what comes by itself; but it is no success, and health
        says so (docs/health.md).
        """
        if self.outcome in {Outcome.FAILED, Outcome.CANCELLED} or self.error:
            return False
        delta = any(r.state == "delta" for r in self.readings)
        return bool(self.readings) and not self.unread and (delta or self.read > 0)

    @property
    def read(self) -> int:
        """Records that the source delivered."""
        return sum(r.read for r in self.readings)

    @property
    def suppressed(self) -> int:
        """Records that the source delivered of erased persons."""
        return sum(r.suppressed for r in self.readings)

    @property
    def exit_code(self) -> ExitCode:
        """The code for the shell: a failure that may pass by itself is 75, a refusal 4."""
        if self.outcome is Outcome.FAILED and self.refused:
            return ExitCode.REFUSED
        if self.outcome is Outcome.FAILED and self.retryable:
            return ExitCode.LATER
        return EXIT_OF[self.outcome]
