"""How an installation and its koppelingen are: the model that every view of health shows.

health.py fills it from the store; troubles.py judges. No personal data: names of koppelingen and
schools, counts, instants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """How something is; in order, the worst last."""

    GOOD = "good"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 is good; the exit code of `koppelhub health`."""
        return _RANKS[self]


_RANKS: Final = {state: rank for rank, state in enumerate(State)}


def worst(states: Iterable[State]) -> State:
    """The worst of them; good where there are none."""
    return max(states, key=lambda state: state.rank, default=State.GOOD)


class Trouble(StrEnum):
    """What can be wrong; docs/health.md says of each what to do."""

    LATE = "late"  # the last good run is older than was promised
    NEVER = "never"  # there was no good run yet
    FAILED = "failed"  # the last run failed, was cancelled or broke off
    PARTIAL = "partial"  # the last run did not read everything
    EMPTY = "empty"  # the last run read nothing where something was known
    SHRUNK = "shrunk"  # a part of the source delivers far less than before
    HELD = "held"  # a plan waits for a person
    CASES = "cases"  # cases wait too long
    QUARANTINE = "quarantine"  # records cannot be read
    SWITCHED_OFF = "switched_off"  # nothing runs until a person acts
    MAINTENANCE = "maintenance"  # somebody said that this source is being worked on
    CIRCUIT = "circuit"  # the source is down, and is left alone for a while
    EXPIRING = "expiring"  # a certificate, credential or mandate ends
    OUTBOX = "outbox"  # messages to another system wait too long
    WORKERS = "workers"  # nobody plans, or nobody works
    DATABASE = "database"  # the database is in danger
    ASSUMPTION = "assumption"  # production rests on a contract that nobody acknowledged
    INBOX = "inbox"  # messages of another program were refused
    ALARM = "alarm"  # another system contradicts what the hub keeps: a person must find out


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        text: what, by how much and why (Dutch).
        command: what to type next.
        since: when it began, where that is known.
        count: of how many records, plans or messages it is; 0 where it is not about a number.
    """

    kind: Trouble
    state: State
    text: str
    command: str
    since: datetime | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run that tried everything there is to read of a koppeling, and is over.

    Attributes:
        outcome: done, partial, held, failed or cancelled; `running` of one that broke off without
            a word.
        read: records that the source delivered.
        created, changed, closed: records of the core; what was reopened is changed.
        held: steps that wait for a person.
        quarantined: records that are in quarantine after it.
        unread: parts of the source that were not read to their end.
        waits: parts of which something comes later, by itself.
    """

    id: int
    kind: str
    outcome: str
    started_at: datetime
    finished_at: datetime | None
    read: int = 0
    created: int = 0
    changed: int = 0
    closed: int = 0
    held: int = 0
    quarantined: int = 0
    error: str = ""
    advice: str = ""
    unread: int = 0
    waits: int = 0


@dataclass(frozen=True, slots=True)
class Expiry:
    """Something that ends on a day.

    Attributes:
        what: certificate, credential or mandate.
        label: which, for people; no secret and no path.
        at: the first instant at which it is no longer valid.
        source: the koppeling that it is of; empty for what is the installation's.
    """

    what: str
    label: str
    at: datetime
    source: str = ""


@dataclass(frozen=True, slots=True)
class KoppelingHealth:
    """How one koppeling is.

    Attributes:
        schools: BRINs that it serves.
        last: the last whole run that is over; None where there was none.
        good_at: when the last good run began: what the core holds is of then. A good run read
            every part of the source to its end, and something in all; see `RunReport.good`.
        done_at: when the last run began that ended without any remark at all.
        age: of `good_at`.
        promised, critical: how old it may become, from what the schedule and policy say.
        late_by: how much longer ago the last good run is than was promised; None where it is not.
        next_due: when the clock starts it next; None without a schedule.
        running_since: when the run began that is under way.
        outbox_oldest: when the oldest message that waits was made.
        situations: `leerling.linked` → records, of the last whole run: linked, unlinked (found in
            that run), unmatched (new in that run), disputed, suppressed (delivered of erased
            persons in that run).
    """

    name: str
    system: str
    tenant: str
    schools: tuple[str, ...]
    state: State
    problems: tuple[Problem, ...]
    last: LastRun | None
    good_at: datetime | None
    age: timedelta | None
    promised: timedelta
    critical: timedelta
    late_by: timedelta | None
    next_due: datetime | None
    running_since: datetime | None
    held_plans: int
    open_cases: int
    quarantine: int
    outbox: int = 0
    outbox_oldest: datetime | None = None
    expiries: tuple[Expiry, ...] = ()
    situations: Mapping[str, int] = field(default_factory=dict)
    done_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How an installation is.

    Attributes:
        state: the worst of all.
        problems: of the installation itself: database, workers, certificates.
        koppelingen: in the order of the configuration.
    """

    at: datetime
    state: State
    problems: tuple[Problem, ...]
    koppelingen: tuple[KoppelingHealth, ...]
