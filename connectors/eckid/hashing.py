"""From personal number to HPGN: the only place where one is hashed.

scrypt with the parameters of the specification, in threads (it releases the interpreter), as many
as cores and memory allow in this process, whoever asks: the pool is the process's own. One hash
takes 128 MiB and nearly a second of a core, so it is refused on an event loop, and who waits for
one hash, or for a handful, goes before who asked for many.

A wrong hash gives no error anywhere: the facility answers with a pseudonym of nobody. So the
published vectors are computed before every batch and every single hash: the cheap ones (N=16) each
time, both real ones before the first hash of a process, and one of them again once as many were
hashed as make a batch: a pupil who comes by himself does not wait for two hashes. Nothing that is
hashed is kept, shown or logged.

Spec: eckid.md, sections 2, 3 and 17.
"""

from __future__ import annotations

import asyncio
import heapq
import re
import threading
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Final, NoReturn, TypeVar, final

from config.errors import ConfigurationError
from sector.identifiers import Bsn, Identifier, InvalidIdentifierError, Onderwijsnummer

T = TypeVar("T")

PRODUCTION_COST: Final = 131072
"""N. CONFIRMED (A, B), CHECKED: 16384, which was used until May 2016, gives other pseudonyms."""

MANY: Final = 25
"""So many at once wait for who asks for fewer; and after so many hashes a real vector is computed
again before the next call."""

PUBLISHED_SALT: Final = b64decode("rktYml0MIp9TC9u6Ny6uqw==")
"""Of the published vectors; of no environment that is used."""

_R: Final = 8
_P: Final = 4
_BYTES: Final = 32
_CHEAP_COST: Final = 16
Vector = tuple[str, str]
"""A text, and the hash of it with the published salt."""

_PUPIL: Final = "063138219"  # made up by the publisher of the vectors
_TEACHER: Final = "20DP teacher@school.com"
_CHEAP: Final = (
    (_PUPIL, "c4c0f024dc2ee5b7a5a0d51dbcab9e85633ef623badbc6e0d38095fcb121d706"),
    (_TEACHER, "cec67685c499ebc17baa5a8215c2441ba9bfbbeeb77227bea1faae238b0b128a"),
)
_REAL: Final = (
    (_PUPIL, "9735dfd2235eaeb5f0300886bcc99c82ffc1d6420c4e0bde8de7218def2135fa"),
    (_TEACHER, "0b870ff044775ef0360655c40d5b284b7e3ae2b72207a6894794d787eb019e60"),
)

_HEX: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_NINE_DIGITS: Final = re.compile(r"[0-9]{9}").fullmatch
_DOCENT: Final = re.compile(r"[0-9]{2}[a-z]{2} [!-?A-~]{1,200}@[!-?A-~]{1,200}").fullmatch

Person = Bsn | Onderwijsnummer | str
"""A pupil by his PGN; a teacher by the text that `docent` makes."""


@final
class Hpgn(Identifier):
    """First-level hash of a PGN: as sensitive as the PGN itself, and in memory only.

    It cannot be pickled, so that no queue, cache or process takes it along.
    Spec: eckid.md, sections 4 and 14 (form CONFIRMED).
    """

    __slots__ = ()
    name = "HPGN"

    @classmethod
    def check(cls, text: str) -> str:
        """64 lower-case hex digits. Raises: InvalidIdentifierError."""
        if not isinstance(text, str):
            cls.refuse("must be text")
        if not _HEX(text):
            cls.refuse("must be 64 lower-case hex digits")
        return text

    def __reduce__(self) -> NoReturn:
        message = "an HPGN is kept nowhere"
        raise TypeError(message)


def docent(brin: str, email: str) -> str:
    """What a teacher is hashed by: BRIN, one space, e-mail address, in lower case.

    Spec: eckid.md, section 13 (the vector CONFIRMED; that this is the prescribed form ASSUMED).
    Raises: InvalidIdentifierError if it is not of that form, or holds a sign outside ASCII.
    """
    text = f"{brin} {email}".lower()
    if not _DOCENT(text):
        raise InvalidIdentifierError("docent", "must be a BRIN and an e-mail address, in ASCII")
    return text


def _input(person: Person) -> bytes:
    """What is hashed of one person: never trimmed, padded or stripped.

    Raises: InvalidIdentifierError, without the text.
    """
    text = person if isinstance(person, str) else person.reveal()
    if isinstance(person, str):
        if not _DOCENT(text):
            raise InvalidIdentifierError("docent", "must be a BRIN and an e-mail address")
    elif not _NINE_DIGITS(text):  # the type has checked it; a lost zero is somebody else's hash
        raise InvalidIdentifierError("PGN", "must be exactly nine digits")
    return text.encode("ascii")


def _derive(salt: bytes, cost: int, data: bytes) -> str:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # here: not every command hashes

    return Scrypt(salt=salt, length=_BYTES, n=cost, r=_R, p=_P).derive(data).hex()


class Pool:
    """Threads for hashing: at most so many at once; who is urgent goes first.

    A thread lives while there is work, so there is nothing to close. How much waits in it is
    bounded by those who put it there: `Hasher.hash_all` has two for each thread under way.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._running = 0

    def run(self, work: Callable[[], T], *, workers: int, urgent: bool = False) -> Future[T]:
        """Have something done; what it raises is raised to who asks for the result.

        `workers` is how many may be at work in all for a thread to be begun for it.
        """
        future: Future[T] = Future()

        def attempt() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            heapq.heappush(self._queue, (0 if urgent else 1, next(self._order), attempt))
            begin = self._running < workers
            self._running += begin
        if begin:
            threading.Thread(target=self._work, name="eckid-hash", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._running -= 1
                    return
                _, _, attempt = heapq.heappop(self._queue)
            attempt()
            del attempt  # with what it was given


@cache
def _pool() -> Pool:
    """The one pool of this process: memory is the machine's, whichever koppeling asks."""
    return Pool()


class Proof:
    """Whether hashing gave the published values in this process, and how many hashes ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: tuple[Vector, ...] = _REAL
        self._hashed = 0

    def due(self) -> tuple[Vector, ...]:
        """The real vectors that are to be computed before the next hash."""
        with self._lock:
            return self._due

    def passed(self) -> None:
        """They were, and came out right."""
        with self._lock:
            self._due, self._hashed = (), 0

    def hashed(self) -> None:
        """One more was hashed."""
        with self._lock:
            self._hashed += 1
            if self._hashed >= MANY and not self._due:
                self._due = _REAL[:1]


@cache
def _proof() -> Proof:
    """Of this process."""
    return Proof()


def _compare(cost: int, vectors: Iterable[Vector]) -> None:
    for text, expected in vectors:
        if _derive(PUBLISHED_SALT, cost, text.lower().encode("ascii")) != expected:
            raise ConfigurationError(
                "eckid: hashing does not give the published values; nothing is hashed",
                advice="De hashfunctie van deze machine rekent verkeerd. Er is niets verstuurd. "
                "Laat ops Python en `cryptography` opnieuw installeren.",
            )


@dataclass(frozen=True, slots=True)
class Hasher:
    """Hashes for one environment.

    Attributes:
        salt: of the environment, decoded.
        cost: N; anything but `PRODUCTION_COST` is of no use to the facility.
        workers: threads, as `capacity.workers` counts them.
    """

    salt: bytes = field(repr=False)
    cost: int = PRODUCTION_COST
    workers: int = 1

    def self_test(self) -> None:
        """Compute the published vectors that are due; every way to hash does so by itself.

        Raises: ConfigurationError if one comes out wrong; nothing is hashed then.
        """
        _refuse_event_loop()
        _compare(_CHEAP_COST, _CHEAP)
        if self.cost != PRODUCTION_COST:
            return
        if due := _proof().due():
            self._run(lambda: _compare(PRODUCTION_COST, due), urgent=True).result()
            _proof().passed()

    def hash_one(self, person: Person) -> Hpgn:
        """One hash, before all that wait for many.

        Raises: InvalidIdentifierError; ConfigurationError if the self-test fails.
        """
        self.self_test()
        return self._submit(person, urgent=True).result()

    def hash_all(self, persons: Mapping[int, Person]) -> Iterator[tuple[int, Hpgn]]:
        """The hashes of some, in their order, as they come; a handful goes before many.

        Memory: two for each thread are under way; what is not taken yet is not hashed.
        Raises: InvalidIdentifierError; ConfigurationError if the self-test fails.
        """
        _refuse_event_loop()
        return self._stream(persons)

    def _stream(self, persons: Mapping[int, Person]) -> Iterator[tuple[int, Hpgn]]:
        if persons:
            self.self_test()
        waiting: deque[tuple[int, Future[Hpgn]]] = deque()
        try:
            for index, person in persons.items():
                waiting.append((index, self._submit(person, urgent=len(persons) < MANY)))
                if len(waiting) >= 2 * self.workers:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            for _, future in waiting:
                future.cancel()

    def _submit(self, person: Person, *, urgent: bool) -> Future[Hpgn]:
        data = _input(person)

        def work() -> Hpgn:
            hpgn = Hpgn(_derive(self.salt, self.cost, data))
            _proof().hashed()
            return hpgn

        return self._run(work, urgent=urgent)

    def _run(self, work: Callable[[], T], *, urgent: bool) -> Future[T]:
        return _pool().run(work, workers=self.workers, urgent=urgent)


def _refuse_event_loop() -> None:
    """Nobody hashes where others wait for their turn. Raises: RuntimeError."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    message = "a hash takes a second: not on an event loop, but in a thread"
    raise RuntimeError(message)
