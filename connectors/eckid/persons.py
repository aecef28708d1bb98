"""Who a pseudonym is obtained for: a leerling by his PGN, a docent by his school and address."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from connectors.base import Scope
from connectors.eckid import hashing
from connectors.eckid.hashing import docent
from connectors.stores import People, Pupil, Teacher
from sector.identifiers import InvalidIdentifierError

LEERLING: Final = "leerling"
MEDEWERKER: Final = "medewerker"

Mark = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Person:
    """One person at one vestiging.

    Attributes:
        number: hub id.
        key: hub key.
        mark: keyed hash of what he is hashed by: tells that it changed; empty where there is none.
        text: what he is hashed by; None where there is none, or it was let go.
        until: the last day of his being there, once that is over.
    """

    number: int
    key: str
    mark: str = field(default="", repr=False)
    text: hashing.Person | None = field(default=None, repr=False)
    until: date | None = None

    def without_text(self) -> Person:
        """The same person, whose PGN stays in memory no longer than it is needed."""
        return replace(self, text=None)


def of_pupil(pupil: Pupil, mark: Mark) -> Person:
    """A leerling."""
    made = "" if pupil.pgn is None else marked(mark(pupil.pgn.reveal()))
    return Person(pupil.number, pupil.key, made, pupil.pgn, pupil.until)


def of_teacher(teacher: Teacher, mark: Mark) -> Person:
    """A docent: school and e-mail address, as they are hashed; none where they cannot be.

    Spec: eckid.md, section 13 (the form CONFIRMED as a test vector, as prescription ASSUMED).
    """
    try:
        text = docent(teacher.brin, teacher.email)
    except InvalidIdentifierError:
        return Person(teacher.number, teacher.key, until=teacher.until)
    return Person(teacher.number, teacher.key, marked(mark(text)), text, teacher.until)


def marked(mark: bytes) -> str:
    """A mark as it is kept."""
    return b64encode(mark).decode("ascii")


def who(
    people: People, scope: Scope, vestiging: str, *, keys: Collection[str] | None = None
) -> Iterator[Person]:
    """The persons of one scope, in the order of their hub ids.

    Args:
        people: who knows them.
        scope: of leerlingen or of medewerkers.
        vestiging: its number.
        keys: only these, by hub key; None for all.
    """
    if scope.resource == MEDEWERKER:
        for teacher in people.teachers(vestiging, keys=keys):
            yield of_teacher(teacher, people.mark)
        return
    for pupil in people.pupils(vestiging, keys=keys):
        yield of_pupil(pupil, people.mark)
