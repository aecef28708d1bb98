"""An ECK iD koppeling without an engine: stores in memory, and a facility that counts and fails."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from config.clock import FixedClock, local_date
from connectors.base import Link, Page, Reading, Scope
from connectors.eckid.connector import EckIdConnector, Stores
from connectors.eckid.environment import Omgeving
from connectors.eckid.facility import BatchResult, Listed, Ping
from connectors.eckid.faults import AnswerGoneError, DailyLimitError, NotReadyError
from connectors.eckid.hashing import PUBLISHED_SALT, Hasher, Hpgn, Person
from connectors.eckid.options import Options
from connectors.errors import RequestRefusedError, SourceUnavailableError
from connectors.stores import Batch, Place, Pupil, Teacher
from fixtures.school.keys import synthetic_bsn
from sector.identifiers import Bsn, EckId, Onderwijsnummer, Stampseudoniem

CHAIN = "http://purl.edustandaard.nl/begrippenkader/e7ec7d3c-c235-4513-bfb6-e54e66854795"
SECTOR = "http://purl.edustandaard.nl/begrippenkader/512e4729-03a4-43a2-95ba-758071d1b725"
VESTIGING = "99ZZ00"
NIGHT = datetime(2026, 11, 28, 1, 0, tzinfo=UTC)


class Killed(BaseException):
    """The process is no more."""


class MemoryVault:
    """Values by kind and person."""

    def __init__(self) -> None:
        self.values: dict[str, dict[int, bytes]] = {}

    def read(self, kind: str, persons: Collection[int]) -> Mapping[int, bytes]:
        held = self.values.get(kind, {})
        return {person: held[person] for person in persons if person in held}

    def write(self, kind: str, values: Mapping[int, bytes]) -> None:
        self.values.setdefault(kind, {}).update(values)

    def forget(self, kind: str, persons: Collection[int]) -> None:
        for person in persons:
            self.values.get(kind, {}).pop(person, None)

    def kind(self, word: str) -> dict[int, Any]:
        """Everything that is kept of the kinds that begin so, decoded."""
        return {
            person: json.loads(body)
            for kind, held in self.values.items()
            if kind.startswith(f"{word}/")
            for person, body in held.items()
        }


class MemoryBatches:
    """Batches of one koppeling; what is closed is remembered by its outcome."""

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock
        self._open: dict[int, Batch] = {}
        self._answers: dict[int, bytes] = {}
        self.closed: list[tuple[Batch, str, Mapping[str, int]]] = []
        self._made = 0

    def make(self, kind: str, persons: Sequence[int]) -> Batch:
        assert persons
        self._made += 1
        return self._put(Batch(self._made, kind, tuple(persons), self._clock.now()))

    def sent(self, batch: Batch, *, reference: str, next_at: datetime) -> Batch:
        assert self._own(batch).sent_at is None
        now = self._clock.now()
        return self._put(
            replace(self._own(batch), sent_at=now, reference=reference, next_at=next_at)
        )

    def polled(self, batch: Batch, *, next_at: datetime) -> Batch:
        own = self._own(batch)
        assert own.sent_at is not None
        assert not own.has_answer
        return self._put(replace(own, polls=own.polls + 1, next_at=next_at))

    def answered(self, batch: Batch, body: bytes) -> Batch:
        assert self._own(batch).sent_at is not None
        assert batch.number not in self._answers
        self._answers[batch.number] = body
        return self._put(replace(self._own(batch), has_answer=True))

    def answer(self, batch: Batch) -> bytes:
        return self._answers[batch.number]

    def close(self, batch: Batch, *, outcome: str, counts: Mapping[str, int]) -> None:
        self.closed.append((self._open.pop(batch.number), outcome, counts))
        self._answers.pop(batch.number, None)

    def waiting(self) -> Sequence[Batch]:
        return [self._open[number] for number in sorted(self._open)]

    def made_since(self, kind: str, at: datetime) -> int:
        every = [*self._open.values(), *(batch for batch, _, _ in self.closed)]
        return sum(b.kind == kind and (b.sent_at or at) > at for b in every)

    def _put(self, batch: Batch) -> Batch:
        self._open[batch.number] = batch
        return batch

    def _own(self, batch: Batch) -> Batch:
        return self._open[batch.number]


@dataclass
class MemoryPeople:
    """Who is at each vestiging."""

    pupils_of: dict[str, dict[int, Pupil]] = field(default_factory=dict)
    teachers_of: dict[str, list[Teacher]] = field(default_factory=dict)

    def places(self) -> Sequence[Place]:
        return [Place(number, number[:4]) for number in sorted({*self.pupils_of, VESTIGING})]

    def pupils(self, vestiging: str, *, keys: Collection[str] | None = None) -> Iterator[Pupil]:
        for _, pupil in sorted(self.pupils_of.get(vestiging, {}).items()):
            if keys is None or pupil.key in keys:
                yield pupil

    def teachers(self, vestiging: str, *, keys: Collection[str] | None = None) -> Iterator[Teacher]:
        for teacher in self.teachers_of.get(vestiging, []):
            if keys is None or teacher.key in keys:
                yield teacher

    def mark(self, text: str) -> bytes:
        return hmac.digest(b"a key that lives elsewhere", text.encode(), "sha256")

    def put(self, pupil: Pupil, vestiging: str = VESTIGING) -> None:
        """Have a pupil there, in place of what he was."""
        self.pupils_of.setdefault(vestiging, {})[pupil.number] = pupil


def bsn(serial: int) -> Bsn:
    """One of the numbers that are made up."""
    return Bsn(synthetic_bsn(serial))


def pupil(
    number: int, pgn: Bsn | Onderwijsnummer | None = None, *, until: date | None = None
) -> Pupil:
    """A pupil, by default with a number of his own."""
    return Pupil(number, f"K-{number}", pgn if pgn is not None else bsn(number), until)


def without_pgn(number: int) -> Pupil:
    """A pupil of whom the hub has no number."""
    return Pupil(number, f"K-{number}")


@dataclass(frozen=True)
class CountingHasher(Hasher):
    """The real one, with a cost that tests can pay; counts what it hashed."""

    cost: int = 16
    hashed: Counter[str] = field(default_factory=Counter)

    def hash_one(self, person: Person) -> Hpgn:
        self._count(person)
        return Hasher(self.salt, self.cost, self.workers).hash_one(person)

    def hash_all(self, persons: Mapping[int, Person]) -> Iterator[tuple[int, Hpgn]]:
        for index, hpgn in Hasher(self.salt, self.cost, self.workers).hash_all(persons):
            self._count(persons[index])
            yield index, hpgn

    def _count(self, person: Person) -> None:
        self.hashed[person if isinstance(person, str) else person.reveal()] += 1

    def of(self, person: Person) -> str:
        """The hash of one, not counted."""
        return Hasher(self.salt, self.cost).hash_one(person).reveal()


@dataclass
class FakeFacility:
    """The facility's behaviour, without its wire.

    Attributes:
        ready_after: how often the answer to a batch is asked for in vain.
        daily: submissions that it takes on one day, over all kinds.
        refusing: hashes that it never gives a pseudonym for.
        meddle: changes an answer before it goes out.
    """

    clock: FixedClock
    ready_after: int = 1
    daily: int = 1000
    refusing: set[str] = field(default_factory=set)
    meddle: Callable[[dict[str, Any]], None] = lambda answer: None
    available: bool = True
    keep_for: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        self.submitted: Counter[str] = Counter()  # by hash or stampseudoniem, both ways
        self.submissions: list[int] = []
        self.singles = 0
        self._today: Counter[date] = Counter()
        self._batches: dict[str, dict[str, Any]] = {}
        self._became: dict[str, str] = {}
        self.polls = 0

    def ping(self) -> Ping:
        return Ping(self.available, "2.0.0", self.clock.now())

    def chains(self) -> Sequence[Listed]:
        return [Listed(CHAIN, "keten")]

    def sectors(self) -> Sequence[Listed]:
        return [Listed(SECTOR, "sector")]

    def stam_of(self, hpgn: str) -> str:
        """The pseudonym that a hash leads to."""
        root = hpgn
        while root in self._became.values():
            root = next(old for old, new in self._became.items() if new == root)
        return f"https://ketenid.nl/sppilot/{hashlib.sha512(root.encode()).hexdigest()}"

    def eck_of(self, stam: str) -> str:
        """The pseudonym in the chain."""
        return f"https://ketenid.nl/pilot/{hashlib.sha512(stam.encode()).hexdigest()}"

    def stampseudoniem(self, hpgn: Hpgn) -> Stampseudoniem:
        self.singles += 1
        self._admit(hpgn)
        self.submitted[hpgn.reveal()] += 1
        return Stampseudoniem(self.stam_of(hpgn.reveal()))

    def _admit(self, hpgn: Hpgn) -> None:
        if hpgn.reveal() in self._became:
            raise RequestRefusedError("blocked", code="BlockedHPgnException")
        if hpgn.reveal() in self.refusing:
            raise RequestRefusedError("refused", code="InvalidHPgnException")

    def eck_id(self, stampseudoniem: Stampseudoniem) -> EckId:
        self.singles += 1
        self.submitted[stampseudoniem.reveal()] += 1
        return EckId(self.eck_of(stampseudoniem.reveal()))

    def submit_hashes(self, hashes: Mapping[int, Hpgn]) -> str:
        refused = {i for i, h in hashes.items() if h.reveal() in self.refusing | set(self._became)}
        found = {i: self.stam_of(h.reveal()) for i, h in hashes.items() if i not in refused}
        return self._submit([h.reveal() for h in hashes.values()], found, refused)

    def submit_stampseudoniemen(self, values: Mapping[int, Stampseudoniem]) -> str:
        found = {i: self.eck_of(v.reveal()) for i, v in values.items()}
        return self._submit([v.reveal() for v in values.values()], found, set())

    def _submit(self, given: list[str], found: dict[int, str], refused: set[int]) -> str:
        day = local_date(self.clock.now())
        if self._today[day] >= self.daily:
            raise DailyLimitError("no more", code="LimitDailyBatchSubmissionsExceededException")
        self._today[day] += 1
        self.submitted.update(given)
        self.submissions.append(len(given))
        reference = f"batch-{len(self.submissions)}"
        self._batches[reference] = {
            "found": list(found.items()),
            "failed": sorted(refused),
            "polls": 0,
        }
        return reference

    def fetch(self, reference: str) -> bytes:
        self.polls += 1
        batch = self._batches[reference]
        batch["polls"] += 1
        if batch.get("gone"):
            raise AnswerGoneError("gone", code="ContentAlreadyRetrievedException")
        if batch["polls"] <= self.ready_after:
            raise NotReadyError("not finished")
        batch["gone"] = True
        answer = {"found": batch["found"], "failed": batch["failed"]}
        self.meddle(answer)
        return json.dumps(answer).encode()

    def read(self, body: bytes) -> BatchResult:
        answer = json.loads(body)
        found: dict[int, str] = {}
        twice: set[int] = set()
        for index, value in answer["found"]:
            if index in found or index in answer["failed"]:
                twice.add(index)
            found[index] = value
        failed = {*answer["failed"], *twice}
        problems = {"an index stands twice": len(twice)} if twice else {}
        kept = {index: value for index, value in found.items() if index not in failed}
        return BatchResult(kept, frozenset(failed), problems)

    def replace(self, former: Hpgn, now: Hpgn) -> Stampseudoniem:
        self._admit(former)
        self._became[former.reveal()] = now.reveal()
        return Stampseudoniem(self.stam_of(now.reveal()))


class Doomed:
    """Anything of which the n-th call kills the process: before it has its effect, or after it.

    Args:
        real: what is called.
        fuse: how many calls are left, shared with others.
    """

    def __init__(self, real: object, fuse: Fuse) -> None:
        self._real, self._fuse = real, fuse

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._real, name)
        if not callable(attribute):
            return attribute

        def called(*args: Any, **kwargs: Any) -> Any:
            burnt = self._fuse.burn(name)
            if burnt and not self._fuse.after:
                raise self._fuse.error
            try:
                return attribute(*args, **kwargs)
            finally:
                if burnt:
                    raise self._fuse.error

        return called


@dataclass
class Fuse:
    """Counts calls; `burn` is true once.

    Attributes:
        left: calls that go well.
        after: the effect is there, and its answer is lost.
        what: the call that did not go well.
    """

    left: int
    after: bool = False
    error: BaseException = field(default_factory=Killed)
    what: str = ""

    def burn(self, name: str) -> bool:
        self.left -= 1
        if self.left == -1:
            self.what = name
            return True
        return False


def lost() -> SourceUnavailableError:
    """No answer came."""
    return SourceUnavailableError("reset", system="eckid", operation="POST")


def options(**changes: Any) -> Options:
    """The settings of a koppeling in a test."""
    return replace(
        Options(
            endpoint="http://127.0.0.1:9/",
            omgeving=Omgeving.TEST,
            salt=PUBLISHED_SALT,
            oin="0000000700099ZZ00000",
            keten=CHAIN,
            sector=SECTOR,
            tls=None,
            workers=1,
            batch_from=4,
            batch_size=10,
            poll=timedelta(seconds=30),
            docenten=False,
            per_second=0.0,
        ),
        **changes,
    )


class Koppeling:
    """One koppeling with everything around it; every `connect` is another process."""

    def __init__(self, name: str = "eckid-noord", **changes: Any) -> None:
        self.name = name
        self.clock = FixedClock(NIGHT)
        self.vault = MemoryVault()
        self.batches = MemoryBatches(self.clock)
        self.people = MemoryPeople()
        self.facility = FakeFacility(self.clock)
        self.hasher = CountingHasher(PUBLISHED_SALT, workers=1)
        self.options = options(**changes)

    def connect(self, fuse: Fuse | None = None) -> EckIdConnector:
        """A connector; with a fuse one that is killed at some call."""

        def of(real: Any) -> Any:
            return real if fuse is None else Doomed(real, fuse)

        return EckIdConnector(
            Link(self.name, {}),
            self.options,
            stores=Stores(of(self.vault), of(self.batches), self.people),
            facility=of(self.facility),
            hasher=self.hasher,
            clock=self.clock,
            close=lambda: None,
            chance=lambda: 0.5,
        )

    def beside(self, name: str, **changes: Any) -> Koppeling:
        """Another koppeling of the same tenant: the vault and the people are shared."""
        other = Koppeling(name, **changes)
        other.clock = self.clock
        other.batches = MemoryBatches(self.clock)
        other.vault, other.people, other.facility = self.vault, self.people, self.facility
        other.hasher = self.hasher
        return other

    def pupils(self, *numbers: int) -> None:
        """Have pupils there with these hub ids."""
        for number in numbers:
            self.people.put(pupil(number))

    def eck_of(self, pgn: Person) -> str:
        """What the facility has for a number."""
        return self.facility.eck_of(self.facility.stam_of(self.hasher.of(pgn)))

    def obtained(self) -> dict[int, str]:
        """What the vault has."""
        return {person: value["v"] for person, value in self.vault.kind("eck_id").items()}


SCOPE = Scope("leerling", VESTIGING)


def pages_of(reading: Reading) -> list[Page]:
    """All pages that hold something."""
    return [page for page in reading if page.keys]


def records_of(reading: Reading) -> dict[str, dict[str, Any]]:
    """Key → body; a key comes once."""
    found: dict[str, dict[str, Any]] = {}
    for page in reading:
        for key, body in zip(page.keys, page.bodies, strict=True):
            assert key not in found
            found[key] = json.loads(body)
    return found


TWENTY: Final = range(1, 21)


def obtain(koppeling: Koppeling, fuse: Fuse | None = None) -> tuple[dict[str, Any], Any]:
    """One reading by a process of its own: records, and how complete it was."""
    reading = koppeling.connect(fuse).snapshot(SCOPE)
    return records_of(reading), reading.completeness


def everybody(koppeling: Koppeling, *numbers: int) -> None:
    """Each of these has the facility's pseudonym, and nobody else has one."""
    assert koppeling.obtained() == {n: koppeling.eck_of(bsn(n)) for n in numbers}
