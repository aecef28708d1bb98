"""What is kept of a person in the vault: his pseudonyms, and what is known of asking for them.

Never a PGN, and never the hash of one: whether a PGN changed is told by a keyed mark of it.
Spec: eckid.md, section 14 (ASSUMED, our design).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from connectors.stores import Vault

STAMPSEUDONIEM: Final = "stampseudoniem"
ECK_ID: Final = "eck_id"

T = TypeVar("T")


class Stam(msgspec.Struct, frozen=True):
    """A stampseudoniem, with the mark of what was hashed for it."""

    v: str
    mark: str
    sinds: date

    def __repr__(self) -> str:
        """No value: it names one person."""
        return "<Stam>"


class Eck(msgspec.Struct, frozen=True):
    """An ECK iD, with the day on which it was obtained, and what ties it to its stampseudoniem."""

    v: str
    sinds: date
    van: str

    def __repr__(self) -> str:
        """No value: it names one person."""
        return "<Eck>"


def tie(stampseudoniem: str) -> str:
    """What ties an ECK iD to the stampseudoniem that it was exchanged for."""
    return sha256(stampseudoniem.encode()).hexdigest()[:16]


class Asked(msgspec.Struct, frozen=True):
    """He is in a batch: of which koppeling, which one, and what was hashed for it."""

    mark: str
    koppeling: str
    batch: int
    op: datetime

    def __repr__(self) -> str:
        """No mark: it tells one number from another."""
        return f"<Asked in {self.koppeling} {self.batch}>"


class Refused(msgspec.Struct, frozen=True):
    """How often he was refused, under which mark; `batch` is the last one, 0 for a single call."""

    mark: str
    keer: int
    batch: int = 0

    def __repr__(self) -> str:
        """No mark: it tells one number from another."""
        return f"<Refused {self.keer}>"


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the two steps: the kind of its value in the vault, and of what is kept beside it.

    The kind is that of its batches too: an answer goes where it was asked for, also where the
    koppeling was set to another chain meanwhile.
    """

    kind: str

    @property
    def asked(self) -> str:
        """Who is in a batch of it."""
        return f"gevraagd/{self.kind}"

    @property
    def refused(self) -> str:
        """Who was refused in it."""
        return f"geweigerd/{self.kind}"

    @property
    def hashes(self) -> bool:
        """Whether it is the step from hash to stampseudoniem; else from that to ECK iD."""
        return self.kind.startswith(f"{STAMPSEUDONIEM}/")

    @property
    def before(self) -> Stage:
        """The step to the stampseudoniemen that an ECK iD is asked for with."""
        kind, environment, _, _, *of_whom = self.kind.split("/")
        if kind != ECK_ID:
            message = "there is no step before the first"
            raise ValueError(message)
        return Stage("/".join((STAMPSEUDONIEM, environment, *of_whom)))

    @property
    def environment(self) -> str:
        """The environment that its values are of."""
        return self.kind.split("/")[1]


@dataclass(frozen=True, slots=True)
class Stages:
    """The two steps of a koppeling, for leerlingen or for the docenten of one school.

    Args:
        environment: `test` or `productie`.
        chain: id of the chain.
        sector: id of the sector.
        brin: of the school, for docenten: one at two schools has two pseudonyms; else empty.
    """

    environment: str
    chain: str
    sector: str
    brin: str = ""

    @property
    def stam(self) -> Stage:
        """From hash to stampseudoniem: one for each environment, whatever the chain."""
        return Stage("/".join((STAMPSEUDONIEM, self.environment, *self._of_whom())))

    @property
    def eck(self) -> Stage:
        """From stampseudoniem to ECK iD, of one chain and sector."""
        parts = (ECK_ID, self.environment, _tail(self.chain), _tail(self.sector))
        return Stage("/".join((*parts, *self._of_whom())))

    def _of_whom(self) -> tuple[str, ...]:
        return (self.brin,) if self.brin else ()


def _tail(identifier: str) -> str:
    """The GUID at the end of an id of the number facility."""
    return identifier.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything that is kept of one person.

    Attributes:
        is_loose: there is an ECK iD that was not exchanged for the stampseudoniem that he has now:
            that one turned out to be somebody else's.
    """

    stam: Stam | None = field(default=None, repr=False)
    eck: Eck | None = field(default=None, repr=False)
    asked_stam: Asked | None = None
    asked_eck: Asked | None = None
    refused_stam: Refused | None = None
    refused_eck: Refused | None = None
    is_loose: bool = False


class Shelf:
    """The vault, as this connector uses it."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def kept(self, stages: Stages, persons: Collection[int]) -> dict[int, Kept]:
        """What is kept of each of these persons.

        Who has an ECK iD needs nothing more: of him the rest is not read.
        """
        stam = self.read(stages.stam.kind, Stam, persons)
        eck = self.read(stages.eck.kind, Eck, persons)
        loose = {
            person
            for person, value in eck.items()
            if person not in stam or value.van != tie(stam[person].v)
        }
        eck = {person: value for person, value in eck.items() if person not in loose}
        none = [person for person in persons if person not in stam]
        half = [person for person in persons if person in stam and person not in eck]
        asked_stam = self.read(stages.stam.asked, Asked, none)
        refused_stam = self.read(stages.stam.refused, Refused, none)
        asked_eck = self.read(stages.eck.asked, Asked, half)
        refused_eck = self.read(stages.eck.refused, Refused, half)
        return {
            person: Kept(
                stam.get(person),
                eck.get(person),
                asked_stam.get(person),
                asked_eck.get(person),
                refused_stam.get(person),
                refused_eck.get(person),
                person in loose,
            )
            for person in persons
        }

    def read(self, kind: str, shape: type[T], persons: Collection[int]) -> dict[int, T]:
        """The values of one kind."""
        if not persons:
            return {}
        values = self._vault.read(kind, persons)
        return {person: msgspec.json.decode(body, type=shape) for person, body in values.items()}

    def write(self, kind: str, values: Mapping[int, object]) -> None:
        """Keep values of one kind."""
        if values:
            bodies = {person: msgspec.json.encode(value) for person, value in values.items()}
            self._vault.write(kind, bodies)

    def forget(self, kind: str, persons: Collection[int]) -> None:
        """Keep nothing of that kind any more."""
        if persons:
            self._vault.forget(kind, persons)
