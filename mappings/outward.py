"""Outward: what a target should have of an object of the core. Pure: no clock, no I/O.

The engine reads an object with what belongs to it, takes away what the target may not have, and
asks the mapping of the target for the body of the message: bytes, or None where the target should
not have the object. Equal objects give equal bytes: what differs from what the target confirmed is
sent.

What is secret is taken away here and not in each mapping. A mapping says of each kind of it what
its target does with it; it never sees what it may not send.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of

Value: TypeAlias = "str | int | float | bool | Mapping[str, str | None] | None"

COMES_OF_AGE: Final = 18


@dataclass(frozen=True, slots=True)
class CoreRecord:
    """One record of the core, by the names of the canonical schema.

    Attributes:
        key: hub key.
        values: canonical field → value; a date is ISO text, a reference the hub key of what it
            refers to, an address its parts. What the core does not have is left out. Identifiers
            (BSN, ECK iD, leerlingnummer) are not handed out.
        since, until: its period, half-open, ISO; None where the core does not know.
        hidden: fields that are secret.
    """

    entity: Entity
    key: str
    values: Mapping[str, Value] = field(repr=False)
    since: str | None = None
    until: str | None = None
    hidden: frozenset[str] = frozenset()

    def text(self, name: str) -> str | None:
        """A field as text; None where it is not there."""
        value = self.values.get(name)
        return None if value is None or isinstance(value, Mapping) else str(value)

    def is_there(self, on: date) -> bool:
        """Whether a day is in its period."""
        day = on.isoformat()
        return (self.since is None or self.since <= day) and (
            self.until is None or day < self.until
        )


@dataclass(frozen=True, slots=True)
class CoreObject:
    """A record with what belongs to it.

    Attributes:
        related: entity → the records of it that refer to this one, or are referred to from here or
            from those; in the order of their numbers.
        on: the day for which it is asked.
    """

    record: CoreRecord
    on: date
    related: Mapping[Entity, tuple[CoreRecord, ...]] = field(default_factory=dict)

    def of(self, entity: Entity) -> tuple[CoreRecord, ...]:
        """The related records of one entity."""
        return self.related.get(entity, ())


# -- what is secret --------------------------------------------------------------------------------


class Sensitive(StrEnum):
    """What every target declares what it does with."""

    ADRES = "adres"  # an address that is secret
    TELEFOON = "telefoon"  # a telephone number that is secret
    MEERDERJARIG = "meerderjarig"  # who is 18 decides himself what his verzorgers have to do with
    GEZAG = "gezag"  # a verzorger without ouderlijk gezag


class Treatment(StrEnum):
    """What a target does with it."""

    NONE = "none"  # it gets nothing of that kind, secret or not
    WITHHELD = "withheld"  # what is secret is left out
    SENT = "sent"  # it is sent all the same: only by law


@dataclass(frozen=True, slots=True)
class Declared:
    """What a target does with one kind of it.

    Attributes:
        why: of SENT the law and its article; else a word for the documentation.
    """

    treatment: Treatment
    why: str


Declares: TypeAlias = Mapping[Sensitive, Declared]

_FAMILY: Final = (Entity.VERZORGER_RELATIE, Entity.VERZORGER)


def withhold(thing: CoreObject, declares: Declares) -> CoreObject:
    """The object without what its target may not have.

    Who has a secret address is not found through his verzorgers: theirs is left out as well. Whose
    age the core does not know counts as 18: nothing leaves in doubt.
    """
    if _drops_family(thing, declares):
        thing = replace(thing, related={e: r for e, r in thing.related.items() if e not in _FAMILY})
    thing = _without_gezag(thing, declares[Sensitive.GEZAG].treatment)
    adres = declares[Sensitive.ADRES].treatment
    secret = any(_is_address(thing.record, name) for name in thing.record.hidden)
    family = Treatment.NONE if secret and adres is Treatment.WITHHELD else adres

    def cut(record: CoreRecord, treatment: Treatment) -> CoreRecord:
        record = _cut(record, treatment, _is_address)
        return _cut(record, declares[Sensitive.TELEFOON].treatment, _is_contact)

    return replace(
        thing,
        record=cut(thing.record, adres),
        related={
            entity: tuple(cut(r, family if entity is Entity.VERZORGER else adres) for r in records)
            for entity, records in thing.related.items()
        },
    )


def _drops_family(thing: CoreObject, declares: Declares) -> bool:
    """Whether the target gets nothing of any verzorger of this object."""
    if declares[Sensitive.GEZAG].treatment is Treatment.NONE:
        return True
    treatment = declares[Sensitive.MEERDERJARIG].treatment
    of_age = thing.record.entity is Entity.LEERLING and _is_of_age(thing)
    return treatment is Treatment.NONE or (treatment is Treatment.WITHHELD and of_age)


def _is_of_age(thing: CoreObject) -> bool:
    born = thing.record.text("geboortedatum")
    if born is None:
        return True
    year, rest = born[:4], born[4:]
    return f"{int(year) + COMES_OF_AGE:04d}{rest}" <= thing.on.isoformat()


def _without_gezag(thing: CoreObject, treatment: Treatment) -> CoreObject:
    """Without the verzorgers of whom the core says that they have no gezag."""
    if treatment is not Treatment.WITHHELD:
        return thing
    relations = thing.of(Entity.VERZORGER_RELATIE)
    kept = tuple(r for r in relations if r.values.get("ouderlijk_gezag") is not False)
    named = {relation.values.get("verzorger") for relation in kept}
    persons = tuple(v for v in thing.of(Entity.VERZORGER) if v.key in named)
    related = {**thing.related, Entity.VERZORGER_RELATIE: kept, Entity.VERZORGER: persons}
    return replace(thing, related={e: r for e, r in related.items() if e in thing.related})


def _cut(
    record: CoreRecord, treatment: Treatment, concerns: Callable[[CoreRecord, str], bool]
) -> CoreRecord:
    if treatment is Treatment.SENT:
        return record
    gone = {
        name
        for name in record.values
        if concerns(record, name) and (treatment is Treatment.NONE or name in record.hidden)
    }
    if not gone:
        return record
    return replace(record, values={n: v for n, v in record.values.items() if n not in gone})


def _is_address(record: CoreRecord, name: str) -> bool:
    return _kind(record, name) is Kind.ADDRESS


def _is_contact(record: CoreRecord, name: str) -> bool:
    """A telephone number: what can be secret of the contacts."""
    described = fields_of(record.entity).get(name)
    return described is not None and described.kind is Kind.CONTACT and described.role != "email"


def _kind(record: CoreRecord, name: str) -> Kind | None:
    described = fields_of(record.entity).get(name)
    return None if described is None else described.kind


# -- the mapping of a target -----------------------------------------------------------------------


class Outward(Protocol):
    """The core → messages to one target.

    Attributes:
        resource: of the manifest of its system, one that declares `deliver`.
        entity: of the objects.
        reads: entities that belong to an object, and so may change its body.
        declares: what it does with each kind of what is secret.
    """

    @property
    def system(self) -> str:
        """The system that it delivers to."""

    @property
    def version(self) -> str:
        """Changes whenever the same object may give another body."""

    @property
    def resource(self) -> str:
        """What the manifest calls what is delivered."""

    @property
    def entity(self) -> Entity:
        """What an object is."""

    @property
    def reads(self) -> frozenset[Entity]:
        """What belongs to an object."""

    @property
    def declares(self) -> Declares:
        """Sensitive → what is done with it."""

    def body(self, thing: CoreObject) -> bytes | None:
        """What the target should have of it, or None where it should have nothing."""

    def shown(self, body: bytes) -> Mapping[str, str]:
        """A body for people: field → value, in Dutch."""


def asked(outward: Outward, thing: CoreObject) -> bytes | None:
    """What a target should have of an object: the only way to a body."""
    return outward.body(withhold(thing, outward.declares))
