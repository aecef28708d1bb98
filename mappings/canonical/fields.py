"""The three states of a field, and the description of a field that engine and documents read.

A field of a canonical record is NOT_DELIVERED (the source says nothing about it), None (the source
says: empty) or a value. A field that is not delivered never erases anything (design.md, idea 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

import msgspec

from sector.identifiers import EckId

NotDelivered: TypeAlias = msgspec.UnsetType
NOT_DELIVERED: Final = msgspec.UNSET

T = TypeVar("T")
Delivered: TypeAlias = T | NotDelivered | None
"""A field: a value, None for delivered as empty, NOT_DELIVERED."""


class Entity(StrEnum):
    """Every entity of the canonical schema, in the order in which the engine folds them."""

    BEVOEGD_GEZAG = "bevoegd_gezag"
    INSTELLING = "instelling"
    VESTIGING = "vestiging"
    SCHOOLJAAR = "schooljaar"
    OPLEIDING = "opleiding"
    VAK = "vak"
    MEDEWERKER = "medewerker"
    LEERLING = "leerling"
    VERZORGER = "verzorger"
    GROEP = "groep"
    INSCHRIJVING = "inschrijving"
    VERZORGER_RELATIE = "verzorger_relatie"
    ADVIES = "advies"
    UITSTROOM = "uitstroom"
    TOETS = "toets"
    TOETSRESULTAAT = "toetsresultaat"


class Kind(StrEnum):
    """What a field holds, and so where it lands in the core."""

    TEXT = "text"
    DATE = "date"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"  # of text or integers; stored as JSON
    PERIOD_START = "period_start"  # first day, inclusive
    PERIOD_END = "period_end"  # first day after: half-open
    REFERENCE = "reference"  # source key of another entity of the same koppeling
    MEMBERS = "members"  # source keys; one Groepsdeelname each
    IDENTIFIER = "identifier"  # one Identificatie; encrypted, with a blind index
    PSEUDONYM = "pseudonym"  # one Identificatie of each koppeling that obtained one
    CONTACT = "contact"  # one Contactgegeven
    ADDRESS = "address"  # one Adres


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a canonical record; stands in its type annotation.

    Attributes:
        kind: what it holds.
        target: for REFERENCE and MEMBERS: the entity referred to.
        role: for MEMBERS, IDENTIFIER, PSEUDONYM, CONTACT and ADDRESS: which one (`leerling`, `bsn`,
            `email`).
        required: without it the record is quarantined; a required REFERENCE that is not resolved
            keeps the record waiting.
        hidden_by: for CONTACT and ADDRESS: the boolean field that says that it is secret.
    """

    kind: Kind
    target: Entity | None = None
    role: str = ""
    required: bool = False
    hidden_by: str = ""


TEXT: Final = Field(Kind.TEXT)
DATE: Final = Field(Kind.DATE)
INTEGER: Final = Field(Kind.INTEGER)
NUMBER: Final = Field(Kind.NUMBER)
BOOLEAN: Final = Field(Kind.BOOLEAN)
LIST: Final = Field(Kind.LIST)


class Adres(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One address, as a value of its person. All parts are optional: sources differ."""

    straat: str | None = None
    huisnummer: str | None = None
    toevoeging: str | None = None
    postcode: str | None = None
    woonplaats: str | None = None
    land: str | None = None
    regels: str | None = None  # a foreign address that has no parts


class VerkregenEckId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ECK iD that the hub obtained, as a value of its person, with where it holds.

    `keten` and `sector` are ids of the number facility; `geldig_van` is the day on which it was
    obtained, `geldig_tot` the first day on which the person is no longer there, where it is known.
    """

    waarde: EckId
    keten: str
    sector: str
    geldig_van: date
    geldig_tot: date | None = None


class Canonical(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Root of all canonical records.

    Attributes:
        key: the source's own key, unique within (koppeling, entity).
    """

    key: str

    def __repr__(self) -> str:
        """The kind of record only: its values are personal data, and its key may be."""
        return f"<{type(self).__name__}>"
