"""What the engine hands to a connector that must keep or know something beyond one reading.

A connector owns no tables. Everything that a store is asked to do is whole when it returns, is kept
encrypted, and stays within the tenant of the koppeling.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from sector.identifiers import Bsn, Onderwijsnummer


class Vault(Protocol):
    """Values by person and kind, under the key of that person: who erases him erases them.

    Shared by all koppelingen of one system within a tenant. Persons are hub ids; an id that was
    merged into another is that other, whose own value wins; parted again, each has his own back.

    A value is the connector's own. Where it is a JSON object with a `mark`, which is the base64 of
    what `People.mark` gave for the PGN of the person, that mark is made anew when he goes to
    another tenant: elsewhere it would be that of another number.
    """

    def read(self, kind: str, persons: Collection[int]) -> Mapping[int, bytes]:
        """The values of these persons; who has none is left out."""

    def write(self, kind: str, values: Mapping[int, bytes]) -> None:
        """Keep a value of each of these persons, in one transaction; what was there is gone.

        Of who is not in the core any more nothing is kept.
        """

    def forget(self, kind: str, persons: Collection[int]) -> None:
        """Keep nothing of that kind of these persons any more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some persons who are asked about in one message, whose answer is fetched later.

    Attributes:
        persons: hub ids; the place in it, from 1, is the index in the message. Who went from the
            core since then is 0: the others keep their places.
        reference: what the system calls the batch; empty until it was sent.
        polls: how often the answer was asked for in vain.
        next_at: not before then is it asked for again.
        has_answer: the raw answer is kept, and not taken in yet.
    """

    number: int
    kind: str
    persons: tuple[int, ...] = field(repr=False)
    made_at: datetime
    sent_at: datetime | None = None
    reference: str = ""
    polls: int = 0
    next_at: datetime | None = None
    has_answer: bool = False


class Batches(Protocol):
    """Batches of one koppeling: written before they are sent, closed when their answer is in.

    Only the run that holds the koppeling may change them: one poller for each batch.
    """

    def make(self, kind: str, persons: Sequence[int]) -> Batch:
        """Write down a batch that is about to be sent."""

    def sent(self, batch: Batch, *, reference: str, next_at: datetime) -> Batch:
        """It was accepted by the system, under this reference."""

    def polled(self, batch: Batch, *, next_at: datetime) -> Batch:
        """Its answer was not there yet."""

    def answered(self, batch: Batch, body: bytes) -> Batch:
        """Keep its raw answer, before anybody looks into it."""

    def answer(self, batch: Batch) -> bytes:
        """The raw answer that was kept, of the last 24 hours.

        Raises: LookupError if there is none.
        """

    def close(self, batch: Batch, *, outcome: str, counts: Mapping[str, int]) -> None:
        """It is over: its answer and its persons are forgotten, that it was stays.

        Args:
            batch: which one.
            outcome: in a word, `done` where the answer was taken in.
            counts: what came of its persons.
        """

    def waiting(self) -> Sequence[Batch]:
        """Those that are not closed, oldest first; an answer of more than 24 hours is no more."""

    def made_since(self, kind: str, at: datetime) -> int:
        """How many of a kind were sent since an instant, closed ones included."""


@dataclass(frozen=True, slots=True)
class Place:
    """A vestiging of the core: its vestigingsnummer, and the BRIN of its instelling."""

    vestiging: str
    brin: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pupil:
    """A leerling whom the hub knows.

    Attributes:
        number: hub id.
        key: hub key (`K-123`).
        pgn: BSN, or onderwijsnummer where he has no BSN; None where the hub has neither, or may
            not use it.
        until: the last day of his inschrijving there, once that is over; None while it lasts.
    """

    number: int
    key: str
    pgn: Bsn | Onderwijsnummer | None = field(default=None, repr=False)
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Teacher:
    """A medewerker with his e-mail address at a school, whom the hub knows."""

    number: int
    key: str
    brin: str
    email: str = field(repr=False)
    until: date | None = None


class People(Protocol):
    """Who is at the schools of the tenant, as the core has them today.

    A PGN is handed out only where the configuration of this koppeling, and of one that told of the
    pupil, name the purpose.
    """

    def places(self) -> Sequence[Place]:
        """The vestigingen, in the order of their numbers."""

    def pupils(self, vestiging: str, *, keys: Collection[str] | None = None) -> Iterator[Pupil]:
        """The leerlingen who are or were at one vestiging, in the order of their hub ids.

        Args:
            vestiging: its number.
            keys: only these, by their hub keys; None for all.
        """

    def teachers(self, vestiging: str, *, keys: Collection[str] | None = None) -> Iterator[Teacher]:
        """The docenten of one vestiging who have an e-mail address, in the order of their ids."""

    def mark(self, text: str) -> bytes:
        """HMAC-SHA-256 of a text under a key of the tenant that lives outside the database.

        Equal for equal texts: it tells a number that changed without keeping the number.
        """
