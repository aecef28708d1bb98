"""Batches under way: written down before they are sent, their answer kept before it is read.

Wherever a run is stopped, the next one finds out what is so: a batch without a name was never taken
by the facility, one with an answer is read once more, and taking in an answer twice does nothing.
Spec: eckid.md, section 10.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from config.clock import Clock, local_date
from config.errors import KoppelhubError
from connectors.eckid.facility import Facility
from connectors.eckid.faults import (
    AnswerGoneError,
    DailyLimitError,
    NotReadyError,
    WrongEnvironmentError,
    is_by_status,
)
from connectors.eckid.hashing import Hpgn
from connectors.eckid.keeping import Asked, Eck, Refused, Shelf, Stage, Stam, tie
from connectors.eckid.obtaining import (
    Around,
    Verdict,
    after_midnight,
    is_due,
    is_sent,
    is_too_old,
    is_worth_waiting,
    judge,
    limits,
    next_poll,
    once_more,
    shared,
    without,
)
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
)
from connectors.stores import Batch, Batches
from sector.identifiers import Stampseudoniem

MOST_OPEN: Final = 20
"""So many batches are under way at once: nobody is hashed for an answer that stays away."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one batch.

    Attributes:
        persons: who were in it.
        without: those who were not given a pseudonym; not asked for again in this run.
    """

    persons: tuple[int, ...]
    without: frozenset[int]


class Post:
    """The batches of one koppeling.

    Args:
        koppeling: its name.
        environment: `test` or `productie`: a batch of the other one is let go.
        batches: where they stand.
        shelf: the vault.
        facility: who is asked.
        clock: tells when.
        pause: how long to wait before the next poll, some chance included.

    Attributes:
        problems: what was wrong, without values: rule → how often.
    """

    def __init__(
        self,
        koppeling: str,
        *,
        environment: str,
        batches: Batches,
        shelf: Shelf,
        facility: Facility,
        clock: Clock,
        pause: Callable[[], timedelta],
    ) -> None:
        self._koppeling, self._environment = koppeling, environment
        self._batches, self._shelf = batches, shelf
        self._facility, self._clock, self._pause = facility, clock, pause
        self._open: dict[int, Batch] = {}
        self._unreadable: set[int] = set()  # tried in this run
        self._problems: dict[str, Counter[str]] = {}
        self.problems: Counter[str] = Counter()

    # -- what is under way -------------------------------------------------------------------------

    def look(self, part: str) -> None:
        """See what is under way, and close what never will be answered.

        Args:
            part: what is read: a problem is told of the part that met it, also where that is read
                once more.
        """
        self._open = {batch.number: batch for batch in self._batches.waiting()}
        self.problems = self._problems.setdefault(part, Counter())
        now = self._clock.now()
        for batch in self.open:
            if Stage(batch.kind).environment != self._environment:
                self._close(batch, "andere omgeving")
            elif not is_sent(batch) and not limits(batch, now):
                self._close(batch, "niet verzonden")

    @property
    def open(self) -> list[Batch]:
        """The batches that are not closed, oldest first."""
        return list(self._open.values())

    @property
    def around(self) -> Around:
        """What the state of a person depends on."""
        return self._around(self._open.values())

    def seen(self) -> Around:
        """The same, for who only looks on."""
        return self._around(self._batches.waiting())

    def _around(self, batches: Iterable[Batch]) -> Around:
        sent = frozenset(batch.number for batch in batches if is_sent(batch))
        return Around(self._koppeling, sent, self._clock.now())

    @property
    def is_limited(self) -> bool:
        """Whether the facility takes no more submissions today."""
        now = self._clock.now()
        return any(limits(batch, now) for batch in self._open.values())

    @property
    def is_full(self) -> bool:
        """Whether so many batches are under way that no other is sent."""
        return sum(map(is_sent, self._open.values())) >= MOST_OPEN

    # -- sending -----------------------------------------------------------------------------------

    def submit_hashes(
        self, stage: Stage, marks: Mapping[int, str], hashes: Mapping[int, Hpgn]
    ) -> bool:
        """Send the hashes of some persons; False where the limit of the day is reached.

        Args:
            stage: the step to a stampseudoniem.
            marks: hub id → mark of what was hashed.
            hashes: hub id → hash.

        Raises: ConnectorError; the batch is closed then.
        """
        persons = tuple(hashes)
        indexed = {index: hashes[person] for index, person in enumerate(persons, start=1)}
        sent = {person: marks[person] for person in persons}
        return self._submit(stage, sent, lambda: self._facility.submit_hashes(indexed))

    def submit_stampseudoniemen(self, stage: Stage, values: Mapping[int, Stampseudoniem]) -> bool:
        """Send the stampseudoniemen of some persons, as `submit_hashes`."""
        indexed = dict(enumerate(values.values(), start=1))
        marks = {person: tie(value.reveal()) for person, value in values.items()}
        return self._submit(stage, marks, lambda: self._facility.submit_stampseudoniemen(indexed))

    def _submit(self, stage: Stage, marks: Mapping[int, str], send: Callable[[], str]) -> bool:
        batch = self._batches.make(stage.kind, tuple(marks))
        self._open[batch.number] = batch
        at = self._clock.now()
        asked = {
            person: Asked(mark, self._koppeling, batch.number, at) for person, mark in marks.items()
        }
        self._shelf.write(stage.asked, asked)
        try:
            reference = send()
        except DailyLimitError:
            _log.warning("the limit of the day is reached: nothing is submitted until midnight")
            next_at = after_midnight(self._clock.now())
            self._open[batch.number] = self._batches.sent(batch, reference="", next_at=next_at)
            self._shelf.forget(stage.asked, tuple(marks))
            return False
        except KoppelhubError:
            self._close(batch, "niet aangenomen")
            raise
        next_at = self._clock.now() + self._pause()
        self._open[batch.number] = self._batches.sent(batch, reference=reference, next_at=next_at)
        _log.info("batch of %d persons submitted for %s", len(marks), _word(stage))
        return True

    # -- fetching ----------------------------------------------------------------------------------

    def collect(self) -> Iterator[Came]:
        """Take in the answers that are kept, and ask for those that may be asked for.

        Raises: WrongEnvironmentError, whose batch stays until its settings are mended;
            AuthenticationError.
        """
        for batch in self.open:
            came = self._collect(batch)
            if came is not None:
                yield came

    def awaited(self, persons: Collection[int]) -> list[Batch]:
        """The batches that a run waits for, of those that hold any of some persons."""
        return [
            batch
            for batch in self._open.values()
            if is_worth_waiting(batch) and any(person in persons for person in batch.persons)
        ]

    def _collect(self, batch: Batch) -> Came | None:
        if batch.has_answer:
            return None if batch.number in self._unreadable else self._take_in(batch)
        if not is_due(batch, self._clock.now()):
            return None
        try:
            body = self._facility.fetch(batch.reference)
        except AnswerGoneError:
            _log.warning("the answer to a batch is gone; its persons are asked for anew")
            self.problems["the answer to a batch is gone"] += 1
            return self._lost(batch, "verloren")
        except AuthenticationError:
            raise
        except RequestRefusedError as error:
            if is_by_status(error):
                return self._in_vain(batch, error)
            _log.warning("a batch is refused: %s", error)
            self.problems["a batch is refused"] += 1
            nobody = Verdict({}, frozenset(batch.persons), {})
            return self._keep(batch, nobody, outcome="geweigerd")
        except ConnectorError as error:
            return self._in_vain(batch, error)
        return self._take_in(self._answered(batch, body))

    def _answered(self, batch: Batch, body: bytes) -> Batch:
        batch = self._batches.answered(batch, body)
        self._open[batch.number] = batch
        return batch

    def _in_vain(self, batch: Batch, error: ConnectorError) -> Came | None:
        """No answer yet: ask again later, or give it up."""
        now = self._clock.now()
        if is_too_old(batch, now):
            _log.warning("a batch is given up: its answer did not come within a day")
            self.problems["a batch was given up"] += 1
            return self._lost(batch, "opgegeven")
        if not isinstance(error, NotReadyError):
            _log.warning("the answer to a batch could not be fetched: %s", error)
            self.problems["an answer could not be fetched"] += 1
        pace = self._pause()
        if isinstance(error, RateLimitedError) and error.retry_after is not None:
            pace = max(pace, error.retry_after)
        next_at = next_poll(batch, now, pace=pace)
        self._open[batch.number] = self._batches.polled(batch, next_at=next_at)
        return None

    # -- taking in ---------------------------------------------------------------------------------

    def _take_in(self, batch: Batch) -> Came | None:
        """Read an answer that is kept. One that cannot be read stays, for a day."""
        try:
            result = self._facility.read(self._batches.answer(batch))
        except LookupError:
            self.problems["the answer to a batch is gone"] += 1
            return self._lost(batch, "verloren")
        except ProtocolViolationError as error:
            if is_too_old(batch, self._clock.now()):
                return self._lost(batch, "onleesbaar")
            if isinstance(error, WrongEnvironmentError):
                raise
            self._unreadable.add(batch.number)
            _log.error("the answer to a batch cannot be read: %s", error)
            self.problems["the answer to a batch cannot be read"] += 1
            return None
        stage = Stage(batch.kind)
        verdict = judge(stage, batch, result)
        verdict = without(verdict, shared(verdict.found, self._sent(stage, batch)))
        if verdict.problems:
            _log.error("the answer to a batch breaks its rules: %s", dict(verdict.problems))
        self.problems.update(verdict.problems)
        return self._keep(batch, verdict, outcome="done")

    def _asked(self, stage: Stage, batch: Batch) -> dict[int, Asked]:
        """How those were asked for who are in this batch and no other."""
        return {
            person: was
            for person, was in self._shelf.read(stage.asked, Asked, batch.persons).items()
            if was.batch == batch.number and was.koppeling == self._koppeling
        }

    def _sent(self, stage: Stage, batch: Batch) -> dict[int, str]:
        """What was sent for each of them: the mark of a hash, or a stampseudoniem."""
        if stage.hashes:
            return {person: was.mark for person, was in self._asked(stage, batch).items()}
        return self._known(stage.before, batch.persons)

    def _keep(self, batch: Batch, verdict: Verdict, *, outcome: str) -> Came:
        """Keep what an answer gave; doing so once more changes nothing."""
        stage = Stage(batch.kind)
        asked = self._asked(stage, batch)
        known = self._known(stage, batch.persons)
        different = [p for p, v in verdict.found.items() if known.get(p, v) != v]
        if different:
            _log.error("%d pseudonyms differ from those that are kept", len(different))
            self.problems["a pseudonym differs from the one that is kept"] += len(different)
        fresh = {p: v for p, v in verdict.found.items() if p not in known and p in asked}
        self._shelf.write(stage.kind, self._values(stage, fresh, asked))
        self._refuse(stage, batch, asked, verdict)
        counts = {
            "gevonden": len(verdict.found),
            "geweigerd": len(verdict.refused),
            "verschillend": len(different),
        }
        self._close(batch, outcome, counts)
        return Came(batch.persons, frozenset(batch.persons) - verdict.found.keys())

    def _known(self, stage: Stage, persons: tuple[int, ...]) -> dict[int, str]:
        """The pseudonyms that are kept already: they are never written over."""
        if stage.hashes:
            return {p: kept.v for p, kept in self._shelf.read(stage.kind, Stam, persons).items()}
        return {p: kept.v for p, kept in self._shelf.read(stage.kind, Eck, persons).items()}

    def _values(
        self, stage: Stage, fresh: Mapping[int, str], asked: Mapping[int, Asked]
    ) -> dict[int, Stam | Eck]:
        today = local_date(self._clock.now())
        if stage.hashes:
            return {p: Stam(value, asked[p].mark, today) for p, value in fresh.items()}
        return {p: Eck(value, today, asked[p].mark) for p, value in fresh.items()}

    def _refuse(
        self, stage: Stage, batch: Batch, asked: Mapping[int, Asked], verdict: Verdict
    ) -> None:
        former = self._shelf.read(stage.refused, Refused, verdict.refused)
        counted = {
            person: once_more(former.get(person), asked[person].mark, batch=batch.number)
            for person in verdict.refused & asked.keys()
        }
        self._shelf.write(stage.refused, {p: one for p, one in counted.items() if one is not None})

    def _lost(self, batch: Batch, outcome: str) -> Came:
        self._close(batch, outcome, {"verloren": len(batch.persons)})
        return Came(batch.persons, frozenset(batch.persons))

    def _close(self, batch: Batch, outcome: str, counts: Mapping[str, int] | None = None) -> None:
        """Over; who was in it is no longer in a batch.

        That comes first: closing forgets who they were.
        """
        stage = Stage(batch.kind)
        self._shelf.forget(stage.asked, self._asked(stage, batch))
        self._batches.close(batch, outcome=outcome, counts=counts or {})
        self._open.pop(batch.number, None)


def _word(stage: Stage) -> str:
    return "stampseudoniemen" if stage.hashes else "ECK iDs"
