"""What is to be done for whom, and what an answer is worth: decisions without effects.

Nobody is hashed twice: who has a stampseudoniem under an equal mark is never hashed again, who has
an ECK iD is never asked for again, and whose PGN changed is asked for only once a person has
decided. Spec: eckid.md, sections 10, 12 and 14.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from config.clock import AMSTERDAM, local_date, zone
from connectors.eckid.facility import BatchResult
from connectors.eckid.keeping import Kept, Refused, Stage, tie
from connectors.eckid.persons import Person
from connectors.stores import Batch
from sector.identifiers import EckId, InvalidIdentifierError, Stampseudoniem

QUICK_POLLS: Final = 10
"""So often an answer is asked for at the usual pace; a run waits for no more."""

SLOW: Final = timedelta(minutes=5)
GIVEN_UP: Final = timedelta(hours=24)
MOST_REFUSALS: Final = 3
"""So often a person is asked for under one mark; after that a person must look."""


class State(StrEnum):
    """Where one person stands."""

    OBTAINED = "obtained"
    CHANGED = "changed"  # his PGN is another than the one that was hashed
    REFUSED = "refused"  # so often that he is not asked for any more
    WAITING = "waiting"  # he is in a batch
    WITHOUT_PGN = "without pgn"
    TO_HASH = "to hash"
    TO_EXCHANGE = "to exchange"  # he has a stampseudoniem, and no ECK iD yet
    LOOSE = "loose"  # his ECK iD turned out to be somebody else's
    OVER = "over"  # he left, and never had an ECK iD: it is not obtained any more


@dataclass(frozen=True, slots=True)
class Around:
    """What a state depends on beside what is kept.

    Attributes:
        koppeling: its name.
        open: numbers of its batches that were sent and are not closed.
        now: this instant.
        insists: somebody names this person, so that he is asked for however often he was refused.
    """

    koppeling: str
    open: Collection[int]
    now: datetime
    insists: bool = False

    @property
    def today(self) -> date:
        """What schools call today."""
        return local_date(self.now)


def state_of(person: Person, kept: Kept, around: Around) -> State:
    """Where a person stands."""
    if kept.is_loose:
        return State.LOOSE
    if kept.eck is None and person.until is not None and person.until < around.today:
        return State.OVER
    if kept.stam is not None and person.mark and person.mark != kept.stam.mark:
        return State.CHANGED
    if kept.eck is not None:
        return State.OBTAINED
    if kept.stam is not None:
        if _is_asked(kept, around, hashes=False):
            return State.WAITING
        return (
            State.REFUSED
            if _is_given_up(kept.refused_eck, tie(kept.stam.v), around)
            else State.TO_EXCHANGE
        )
    if _is_asked(kept, around, hashes=True):
        return State.WAITING
    if not person.mark:
        return State.WITHOUT_PGN
    return State.REFUSED if _is_given_up(kept.refused_stam, person.mark, around) else State.TO_HASH


def is_orphan(person: Person, kept: Kept) -> bool:
    """Whether the number that his stampseudoniem was obtained with is not, or no longer, his."""
    return kept.stam is not None and person.mark != kept.stam.mark


def belongs_to(mark: str, person: Person, kept: Kept) -> bool:
    """Whether what was obtained under a mark is of this person.

    He has that number now, and nothing that was obtained with another one: two who exchanged their
    numbers are a matter for people.
    """
    return person.mark == mark and (kept.stam is None or kept.stam.mark == mark)


def _is_asked(kept: Kept, around: Around, *, hashes: bool) -> bool:
    """Whether he is in a batch that is under way.

    A batch of another koppeling cannot be seen: it is believed as long as one may take.
    """
    asked = kept.asked_stam if hashes else kept.asked_eck
    if asked is None:
        return False
    if asked.koppeling == around.koppeling:
        return asked.batch in around.open
    return around.now - asked.op < GIVEN_UP


def _is_given_up(refused: Refused | None, mark: str, around: Around) -> bool:
    if refused is None or around.insists:
        return False
    return refused.mark == mark and refused.keer >= MOST_REFUSALS


# -- batches ---------------------------------------------------------------------------------------


def is_sent(batch: Batch) -> bool:
    """Whether the facility took it, under a name to fetch its answer by."""
    return bool(batch.reference)


def limits(batch: Batch, now: datetime) -> bool:
    """Whether it was refused for the limit of a day that is not over.

    Such a batch stands without a name until midnight, so that the next run knows it too.
    """
    return not is_sent(batch) and batch.next_at is not None and batch.next_at > now


def is_due(batch: Batch, now: datetime) -> bool:
    """Whether its answer may be asked for."""
    return is_sent(batch) and (batch.next_at is None or batch.next_at <= now)


def is_worth_waiting(batch: Batch) -> bool:
    """Whether a run waits for its answer, rather than leaving it to the next one."""
    return is_sent(batch) and not batch.has_answer and batch.polls < QUICK_POLLS


def is_too_old(batch: Batch, now: datetime) -> bool:
    """Whether its answer will not come any more."""
    return now - (batch.sent_at or batch.made_at) >= GIVEN_UP


def next_poll(batch: Batch, now: datetime, *, pace: timedelta) -> datetime:
    """When to ask again, after one more poll in vain."""
    return now + (pace if batch.polls + 1 < QUICK_POLLS else max(pace, SLOW))


def after_midnight(now: datetime) -> datetime:
    """The next midnight in Amsterdam: when the limit of the day is over."""
    tomorrow = local_date(now) + timedelta(days=1)
    return datetime.combine(tomorrow, time(), tzinfo=zone(AMSTERDAM)).astimezone(now.tzinfo)


# -- answers ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer is worth, row by row.

    Attributes:
        found: hub id → pseudonym.
        refused: hub ids without one: refused by the facility, or with no usable value.
        problems: what was wrong with the answer, without values: rule → how often.
    """

    found: Mapping[int, str] = field(repr=False)
    refused: frozenset[int]
    problems: Mapping[str, int]


def judge(stage: Stage, batch: Batch, result: BatchResult) -> Verdict:
    """Keep the rows that are right, and refuse the rest.

    An index that was not asked for belongs to nobody; whoever is not in the answer is refused, as
    is a value of the other kind. Who left the core meanwhile (0) is nobody any more.
    Spec: eckid.md, section 10, rule 5.
    """
    problems = dict(result.problems)
    found: dict[int, str] = {}
    for index, person in enumerate(batch.persons, start=1):
        value = result.found.get(index)
        if not person:
            continue
        if value is not None and _fits(stage, value):
            found[person] = value
        elif value is not None:
            _count(problems, "a value is not of the kind that was asked for")
        elif index not in result.failed:
            _count(problems, "an index is missing")
    asked = range(1, len(batch.persons) + 1)
    strange = sum(index not in asked for index in (*result.found, *result.failed))
    if strange:
        problems["an index was not asked for"] = strange
    return Verdict(found, frozenset(batch.persons) - found.keys() - {0}, problems)


def _fits(stage: Stage, value: str) -> bool:
    check: Callable[[str], str] = Stampseudoniem.check if stage.hashes else EckId.check
    try:
        check(value)
    except InvalidIdentifierError:
        return False
    return True


def _count(problems: dict[str, int], rule: str) -> None:
    problems[rule] = problems.get(rule, 0) + 1


def without(verdict: Verdict, persons: frozenset[int]) -> Verdict:
    """A verdict in which some were given the pseudonym of somebody else."""
    if not persons:
        return verdict
    found = {person: value for person, value in verdict.found.items() if person not in persons}
    problems = {**verdict.problems, "one pseudonym came for several persons": len(persons)}
    return Verdict(found, verdict.refused | persons, problems)


def shared(found: Mapping[int, str], asked_by: Mapping[int, str]) -> frozenset[int]:
    """Those who were given the pseudonym of somebody else: of whom is not to be told.

    Args:
        found: hub id → pseudonym.
        asked_by: hub id → what was sent for him; who is in the hub twice was sent twice.
    """
    by_value: dict[str, set[str]] = {}
    for person, value in found.items():
        by_value.setdefault(value, set()).add(asked_by.get(person, ""))
    return frozenset(person for person, value in found.items() if len(by_value[value]) > 1)


def once_more(former: Refused | None, mark: str, *, batch: int = 0) -> Refused | None:
    """One refusal more; None where this batch was counted before."""
    if former is None or former.mark != mark:
        return Refused(mark, 1, batch)
    if batch and former.batch == batch:
        return None
    return Refused(mark, former.keer + 1, batch)
