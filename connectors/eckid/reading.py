"""Obtaining, as a reading: who has an ECK iD is a record; who has none is asked for on the way.

A page comes as soon as somebody is known, and an empty one while hashing or waiting goes on, so
that whoever reads can stop at any time: batches stay under way, and the next run finishes them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar, assert_never

from config.clock import Clock, local_date
from config.errors import KoppelhubError
from connectors.base import Completeness, DeliveryContract, Page, Scope
from connectors.eckid.batches import Post
from connectors.eckid.facility import Facility
from connectors.eckid.faults import is_by_status
from connectors.eckid.hashing import Hasher, Hpgn
from connectors.eckid.keeping import Eck, Kept, Refused, Shelf, Stage, Stages, Stam, tie
from connectors.eckid.lists import confirm
from connectors.eckid.manifest import SYSTEM
from connectors.eckid.obtaining import Around, State, belongs_to, is_orphan, once_more, state_of
from connectors.eckid.persons import LEERLING, Person, who
from connectors.eckid.records import Body, Vraag
from connectors.errors import (
    ConnectorError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.stores import Batch, People
from sector.identifiers import Stampseudoniem

PAGE: Final = 500
HASHES_A_PAGE: Final = 8
"""So many are hashed before whoever reads is given a page: it may want to stop."""

SLICE: Final = timedelta(seconds=5)
_PAUSES: Final = (timedelta(seconds=30), timedelta(minutes=2))
"""Between attempts to submit what was hashed: hashing it once more costs more than waiting."""

_STRANGE: Final = 3
"""So many single calls that are refused in a row are no matter of persons."""

_EMPTY: Final = Page((), ())
_log = logging.getLogger(__name__)

T = TypeVar("T")
Submit = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Amounts:
    """When to make a batch: from how many persons, and of how many at most."""

    batch_from: int
    batch_size: int


@dataclass(slots=True)
class Run:
    """What the readings of one run share.

    Attributes:
        not_again: who was refused, or lost in a batch, in this run: left to the next one.
        in_a_row: single calls that were refused since the last one that was not.
    """

    not_again: set[int] = field(default_factory=set)
    in_a_row: int = 0


@dataclass(frozen=True, slots=True)
class Tools:
    """What a reading works with."""

    people: People
    shelf: Shelf
    post: Post
    facility: Facility
    hasher: Hasher
    clock: Clock
    amounts: Amounts
    run: Run


class ObtainReading:
    """One reading of one scope.

    Args:
        tools: what it works with.
        scope: of whom.
        vestiging: its number.
        stages: the two steps, of this scope.
        contract: what is delivered.
        keys: only these, by hub key; of them it waits for no batch, and asks once more also who
            was refused too often.
        rehearses: it asks for nobody, and keeps nothing.
    """

    def __init__(
        self,
        tools: Tools,
        scope: Scope,
        *,
        vestiging: str,
        stages: Stages,
        contract: DeliveryContract,
        keys: Collection[str] | None = None,
        rehearses: bool = False,
    ) -> None:
        self._rehearses = rehearses
        self._tools, self._scope, self._vestiging = tools, scope, vestiging
        self._stages, self._keys = stages, keys
        self.contract = contract
        self.completeness = Completeness(False, "the reading did not come to its end")
        self._to_hash: dict[int, Person] = {}
        self._to_exchange: dict[int, Person] = {}
        self._waiting: dict[int, Person] = {}
        self._orphans: dict[int, tuple[Person, Kept]] = {}
        self._left = self._refused = self._without_pgn = 0

    def __iter__(self) -> Iterator[Page]:
        """Each page once; some are empty.

        Raises: ConfigurationError where the facility does not know our chain or sector;
            ConnectorError.
        """
        tools = self._tools
        if self._rehearses:
            yield from self._rehearsed()
            return
        tools.post.look(f"{self._scope.resource} {self._scope.key}")
        yield from self._collect()
        found = who(tools.people, self._scope, self._vestiging, keys=self._keys)
        for some in pieces(found, PAGE):
            yield self._sort(some)
            yield from self._work(least=tools.amounts.batch_size)
        yield from self._settle()
        yield from self._work(least=1)
        yield from self._wait()
        self.completeness = self._told()

    def _rehearsed(self) -> Iterator[Page]:
        """What is kept, and how many would be asked for."""
        around = self._tools.post.seen()
        found = who(self._tools.people, self._scope, self._vestiging, keys=self._keys)
        for some in pieces(found, PAGE):
            yield self._sort(some, around)
            yield from self._settle(around)
            self._left += len(self._to_hash) + len(self._to_exchange)
            self._to_hash.clear()
            self._to_exchange.clear()
        self.completeness = self._told()

    # -- who stands where --------------------------------------------------------------------------

    def _sort(
        self,
        persons: Sequence[Person],
        around: Around | None = None,
        *,
        settled: bool = False,
    ) -> Page:
        """What is known of some persons, as records; the others are put where they belong.

        Whose pseudonym was obtained with a number that is not his now waits until it is `settled`
        whose that is.
        """
        kept = self._tools.shelf.kept(self._stages, [person.number for person in persons])
        around = self._tools.post.around if around is None else around
        around = replace(around, insists=self._keys is not None)
        keys: list[str] = []
        bodies: list[bytes] = []
        for person in persons:
            state = state_of(person, kept[person.number], around)
            if not settled and self._is_aside(person, kept[person.number], state):
                continue
            match state:
                case State.OBTAINED | State.CHANGED | State.REFUSED:
                    keys.append(person.key)
                    bodies.append(self._body(person, kept[person.number].eck, state))
                case State.WAITING:
                    self._waiting[person.number] = person.without_text()
                case State.TO_HASH | State.TO_EXCHANGE:
                    self._put(person, state)
                case State.WITHOUT_PGN:
                    self._without_pgn += self._keys is not None  # `standing` tells it of a school
                case State.LOOSE:
                    keys.append(person.key)
                    bodies.append(self._taken_back(person))
                case State.OVER:
                    pass
                case _:
                    assert_never(state)
        return Page(keys, bodies)

    def _is_aside(self, person: Person, kept: Kept, state: State) -> bool:
        """Whether it is to be looked up first whose number his pseudonym was obtained with."""
        of_pupils = self._scope.resource == LEERLING
        if not of_pupils or state in {State.OVER, State.LOOSE} or not is_orphan(person, kept):
            return False
        self._orphans[person.number] = person.without_text(), kept
        return True

    def _settle(self, around: Around | None = None) -> Iterator[Page]:
        """What was obtained with a number that is another pupil's now goes: it is his.

        So it is after records that were taken for one pupil were parted. Who has a number of his
        own is asked for in the next run.
        """
        orphans, self._orphans = self._orphans, {}
        if not orphans:
            return
        others = self._of_others(orphans)
        if others:
            _log.warning("%d pseudonyms are of another pupil, and are taken back", len(others))
        theirs = [person for number, (person, _) in orphans.items() if number in others]
        for some in pieces(theirs, PAGE):
            yield Page([one.key for one in some], [self._taken_back(one) for one in some])
        rest = [person for number, (person, _) in orphans.items() if number not in others]
        for some in pieces(rest, PAGE):
            yield self._sort(some, around, settled=True)

    def _of_others(self, orphans: Mapping[int, tuple[Person, Kept]]) -> set[int]:
        """Those of them whose pseudonym was obtained with a number that is another pupil's."""
        tools = self._tools
        by_mark: dict[str, set[int]] = {}
        for number, (_, kept) in orphans.items():
            by_mark.setdefault("" if kept.stam is None else kept.stam.mark, set()).add(number)
        found: set[int] = set()
        for place in tools.people.places():
            for some in pieces(who(tools.people, self._scope, place.vestiging), PAGE):
                named = [one for one in some if one.mark in by_mark and one.number not in orphans]
                held = tools.shelf.kept(self._stages, [one.number for one in named])
                for one in named:
                    if belongs_to(one.mark, one, held[one.number]):
                        found |= by_mark[one.mark]
        return found

    def _taken_back(self, person: Person) -> bytes:
        """The record of one whose pseudonym is somebody else's: he has none."""
        if not self._rehearses:
            stam, eck = self._stages.stam, self._stages.eck
            kept = self._tools.shelf.read(stam.kind, Stam, [person.number]).get(person.number)
            if kept is not None and kept.mark != person.mark:
                self._tools.shelf.forget(stam.kind, [person.number])
            for kind in (eck.kind, eck.asked):
                self._tools.shelf.forget(kind, [person.number])
        return self._body(person, None, State.LOOSE)

    def _put(self, person: Person, state: State) -> None:
        """To be asked for; not twice in one run."""
        if person.number in self._tools.run.not_again:
            self._refused += 1
        elif state is State.TO_EXCHANGE:
            self._to_exchange[person.number] = person.without_text()
        elif person.text is None:
            self._left += 1
        else:
            self._to_hash[person.number] = person

    def _body(self, person: Person, eck: Eck | None, state: State) -> bytes:
        vraag: Vraag | None = None
        if state is State.REFUSED:
            vraag = Vraag.GEWEIGERD
        elif state is State.CHANGED:
            vraag = Vraag.PGN if self._scope.resource == LEERLING else Vraag.EMAIL
        return Body(
            person.key,
            None if eck is None else eck.v,
            self._stages.chain,
            self._stages.sector,
            None if eck is None else eck.sinds,
            person.until,
            vraag,
        ).encode()

    # -- asking ------------------------------------------------------------------------------------

    def _work(self, *, least: int) -> Iterator[Page]:
        """Ask for whoever is to be asked for, once there are so many."""
        if len(self._to_hash) >= least:
            hashing = self._taken(self._to_hash)
            for piece in pieces(hashing, self._tools.amounts.batch_size):
                yield from self._hash(piece)
        if len(self._to_exchange) >= least:
            yield from self._exchange()

    def _taken(self, persons: dict[int, Person]) -> list[Person]:
        taken = list(persons.values())
        persons.clear()
        return taken

    def _hash(self, persons: list[Person]) -> Iterator[Page]:
        """From hash to stampseudoniem: a handful one by one, more in a batch."""
        if len(persons) < self._tools.amounts.batch_from and not self._left:
            self._make_ready()
            with closing(self._hashed(persons)) as hashed:
                yield from self._one_by_one(persons, hashed)
        elif (yield from self._has_room()):
            self._make_ready()
            yield from self._in_batch(persons)
        else:
            self._left += len(persons)

    def _in_batch(self, persons: Sequence[Person]) -> Iterator[Page]:
        hashes: dict[int, Hpgn] = {}
        done = False
        try:
            with closing(self._hashed(persons)) as hashed:
                for number, hpgn in hashed:
                    hashes[number] = hpgn
                    if len(hashes) % HASHES_A_PAGE == 0:
                        yield _EMPTY
                        yield from self._collect()
            _log.info("%d persons hashed", len(hashes))
            taken = yield from self._with_patience(lambda: self._submit(persons, hashes))
            done = True
        except GeneratorExit:
            if hashes and not done:
                self._hand_in(persons, hashes)
            raise
        if taken:
            for person in persons:
                self._waiting[person.number] = person.without_text()
        else:  # what was hashed is not hashed once more tomorrow
            yield from self._one_by_one(persons, iter(hashes.items()))

    def _submit(self, persons: Sequence[Person], hashes: Mapping[int, Hpgn]) -> bool:
        marks = {person.number: person.mark for person in persons}
        return self._tools.post.submit_hashes(self._stages.stam, marks, hashes)

    def _hand_in(self, persons: Sequence[Person], hashes: Mapping[int, Hpgn]) -> None:
        """Whoever reads has stopped: what was hashed is sent all the same."""
        try:
            self._submit(persons, hashes)
        except KoppelhubError as error:
            _log.warning("%d hashes are lost: %s", len(hashes), error)

    def _hashed(self, persons: Sequence[Person]) -> Generator[tuple[int, Hpgn]]:
        """Their hashes, as they come out of the pool."""
        hasher = self._tools.hasher
        texts = {person.number: person.text for person in persons if person.text is not None}
        if self._keys is None:
            yield from hasher.hash_all(texts)
            return
        for number, text in texts.items():  # somebody waits for it
            yield number, hasher.hash_one(text)

    def _one_by_one(
        self, persons: Sequence[Person], hashed: Iterator[tuple[int, Hpgn]]
    ) -> Iterator[Page]:
        by_number = {person.number: person for person in persons}
        stage = self._stages.stam
        for number, hpgn in hashed:
            person = by_number[number]
            try:
                stam = self._tools.facility.stampseudoniem(hpgn)
            except RequestRefusedError as error:
                self._turn_down(person, stage, person.mark, error)
                continue
            self._tools.run.in_a_row = 0
            kept = Stam(stam.reveal(), person.mark, self._today())
            self._tools.shelf.write(stage.kind, {number: kept})
            yield self._exchange_one(person, stam)

    def _exchange(self) -> Iterator[Page]:
        """From stampseudoniem to ECK iD; whoever was to be asked for is not any more after it."""
        stage = self._stages.stam
        for piece in pieces(self._taken(self._to_exchange), self._tools.amounts.batch_size):
            kept = self._tools.shelf.read(stage.kind, Stam, [person.number for person in piece])
            values = {number: Stampseudoniem(stam.v) for number, stam in kept.items()}
            self._left += len(piece) - len(values)
            persons = [person for person in piece if person.number in values]
            if len(persons) < self._tools.amounts.batch_from and not self._left:
                self._make_ready()
                for person in persons:
                    yield self._exchange_one(person, values[person.number])
            elif (yield from self._has_room()):
                self._make_ready()
                yield from self._exchange_in_batch(persons, values)
            else:
                self._left += len(persons)

    def _exchange_in_batch(
        self, persons: Sequence[Person], values: Mapping[int, Stampseudoniem]
    ) -> Iterator[Page]:
        stage = self._stages.eck
        submit = self._tools.post.submit_stampseudoniemen
        if (yield from self._with_patience(lambda: submit(stage, values))):
            self._waiting.update((person.number, person) for person in persons)
        else:
            self._left += len(persons)

    def _exchange_one(self, person: Person, stam: Stampseudoniem) -> Page:
        stage = self._stages.eck
        try:
            eck_id = self._tools.facility.eck_id(stam)
        except RequestRefusedError as error:
            self._turn_down(person, stage, tie(stam.reveal()), error)
            return _EMPTY
        self._tools.run.in_a_row = 0
        eck = Eck(eck_id.reveal(), self._today(), tie(stam.reveal()))
        self._tools.shelf.write(stage.kind, {person.number: eck})
        return Page([person.key], [self._body(person, eck, State.OBTAINED)])

    def _turn_down(
        self, person: Person, stage: Stage, mark: str, error: RequestRefusedError
    ) -> None:
        """Remember that the facility refused one person; raise what is no matter of persons."""
        run = self._tools.run
        run.in_a_row += 1
        if is_by_status(error) or run.in_a_row >= _STRANGE:
            raise error
        _log.warning("one person is refused: %s", error)
        former = self._tools.shelf.read(stage.refused, Refused, [person.number])
        if (refused := once_more(former.get(person.number), mark)) is not None:
            self._tools.shelf.write(stage.refused, {person.number: refused})
        run.not_again.add(person.number)
        self._refused += 1

    # -- batches -----------------------------------------------------------------------------------

    def _has_room(self) -> Generator[Page, None, bool]:
        """Whether a batch may be sent; waits for one that is under way where there are too many."""
        post = self._tools.post
        while post.is_full and not post.is_limited and self._keys is None:
            waiting = post.awaited(self._waiting)
            if not waiting:
                break
            yield from self._sleep(waiting)
            yield from self._collect()
        return not post.is_full and not post.is_limited

    def _with_patience(self, submit: Submit) -> Generator[Page, None, bool]:
        """Submit, and do it again where the facility is away for a moment."""
        for pause in _PAUSES:
            try:
                return submit()
            except ConnectorError as error:
                if not error.retryable:
                    raise
                _log.warning("submitting failed, and is done again: %s", error)
                if isinstance(error, RateLimitedError) and error.retry_after is not None:
                    pause = max(pause, error.retry_after)
            yield from self._until(self._tools.clock.now() + pause)
        return submit()

    def _collect(self) -> Iterator[Page]:
        """Take in the batches whose answer is there; a page for each."""
        for came in self._tools.post.collect():
            self._tools.run.not_again |= came.without
            ours = [self._waiting.pop(n) for n in came.persons if n in self._waiting]
            for some in pieces(ours, PAGE):
                yield self._sort(some)

    def _wait(self) -> Iterator[Page]:
        """Wait for the batches of this scope, and ask for the ECK iDs of whom they bring."""
        post = self._tools.post
        while True:
            yield from self._collect()
            waiting = post.awaited(self._waiting)
            if self._keys is not None:
                waiting = []
            enough = len(self._to_exchange) >= self._tools.amounts.batch_size
            if self._to_exchange and (enough or not waiting):
                yield from self._exchange()
            elif waiting:
                yield from self._sleep(waiting)
            else:
                return

    def _sleep(self, waiting: Iterable[Batch]) -> Iterator[Page]:
        """Wait until the first of these may be asked for."""
        now = self._tools.clock.now()
        yield from self._until(min(batch.next_at or now for batch in waiting))

    def _until(self, at: datetime) -> Iterator[Page]:
        clock = self._tools.clock
        while (left := at - clock.now()) > timedelta():
            clock.sleep(min(left, SLICE))
            yield _EMPTY

    # -- around it ---------------------------------------------------------------------------------

    def _today(self) -> date:
        return local_date(self._tools.clock.now())

    def _make_ready(self) -> None:
        """See that the facility is up, and knows our chain and sector.

        A hash that cannot be sent is a hash for nothing: this comes before anybody is hashed.
        Raises: ConfigurationError; ConnectorError.
        """
        facility = self._tools.facility
        if not facility.ping().available:
            raise SourceUnavailableError(
                "the number facility says that it is not available",
                system=SYSTEM,
                operation="ping",
            )
        confirm(facility, keten=self._stages.chain, sector=self._stages.sector)

    def _told(self) -> Completeness:
        """How complete it was: whoever waits is no absence, and no success either."""
        post = self._tools.post
        reasons = [
            f"{amount} {what}"
            for amount, what in (
                (len(self._waiting), "wait for the answer to a batch"),
                (self._left, "are not asked for yet"),
                (self._refused, "were refused in this run"),
                (self._without_pgn, "have no PGN"),
            )
            if amount
        ]
        reasons += [f"{rule} ({times})" for rule, times in sorted(post.problems.items())]
        if not reasons:
            some = self._keys is not None
            return Completeness(not some, "only some records were asked" if some else "")
        waits = not (self._refused or self._without_pgn or post.problems)
        return Completeness(False, "; ".join(reasons), self._advice(), waits=waits)

    def _advice(self) -> str:
        if self._tools.post.problems:
            return (
                "De Nummervoorziening gaf een antwoord dat niet klopt of niet aankwam. Wat goed "
                "was is bewaard; de rest vraagt de hub opnieuw. Komt dit terug, meld het bij ops."
            )
        if self._without_pgn:
            return (
                "Niet verkrijgbaar: geen PGN. Laat de beheerder van de school het BSN of "
                "onderwijsnummer in de administratie invullen, en het laten leveren."
            )
        if self._tools.post.is_limited:
            return (
                "De Nummervoorziening neemt vandaag geen aanvragen meer aan. De hub gaat na "
                "middernacht vanzelf verder."
            )
        return (
            "Niet iedereen heeft al een ECK iD; de volgende run gaat vanzelf verder. Er is niets "
            "afgesloten."
        )


def pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, so many at a time."""
    left = iter(items)
    while piece := list(islice(left, size)):
        yield piece
