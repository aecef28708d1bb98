"""The canonical schema as data: entity → record class → fields with their kind.

The engine, the store and the documentation read the schema from here; nothing else lists fields.
"""

from __future__ import annotations

import typing
from functools import cache

import msgspec

from mappings.canonical.fields import Canonical, Entity, Field
from mappings.canonical.onderwijs import (
    Advies,
    Groep,
    Inschrijving,
    Toets,
    Toetsresultaat,
    Uitstroom,
)
from mappings.canonical.organisatie import (
    BevoegdGezag,
    Instelling,
    Opleiding,
    SchooljaarRecord,
    Vak,
    Vestiging,
)
from mappings.canonical.personen import Leerling, Medewerker, Verzorger, VerzorgerRelatie
from sector.identifiers import Identifier

RECORDS: dict[Entity, type[Canonical]] = {
    Entity.BEVOEGD_GEZAG: BevoegdGezag,
    Entity.INSTELLING: Instelling,
    Entity.VESTIGING: Vestiging,
    Entity.SCHOOLJAAR: SchooljaarRecord,
    Entity.OPLEIDING: Opleiding,
    Entity.VAK: Vak,
    Entity.MEDEWERKER: Medewerker,
    Entity.LEERLING: Leerling,
    Entity.VERZORGER: Verzorger,
    Entity.GROEP: Groep,
    Entity.INSCHRIJVING: Inschrijving,
    Entity.VERZORGER_RELATIE: VerzorgerRelatie,
    Entity.ADVIES: Advies,
    Entity.UITSTROOM: Uitstroom,
    Entity.TOETS: Toets,
    Entity.TOETSRESULTAAT: Toetsresultaat,
}

ENTITY_OF: dict[type[Canonical], Entity] = {record: entity for entity, record in RECORDS.items()}


@cache
def fields_of(entity: Entity) -> dict[str, Field]:
    """Field name → description, in the order of the record class, `key` left out."""
    hints = typing.get_type_hints(RECORDS[entity], include_extras=True)
    return {
        name: next(m for m in hint.__metadata__ if isinstance(m, Field))
        for name, hint in hints.items()
        if typing.get_origin(hint) is typing.Annotated
    }


def _reveal(value: object) -> str:
    if isinstance(value, Identifier):
        return value.reveal()
    message = f"a canonical record cannot hold {type(value).__name__}"
    raise TypeError(message)


_encoder = msgspec.json.Encoder(enc_hook=_reveal, order="deterministic")


def encode(record: Canonical) -> bytes:
    """The record as JSON in a fixed order: delivered fields only, None for delivered as empty."""
    return _encoder.encode(record)
