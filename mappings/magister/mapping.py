"""Which records of Magister go through which tables, and what is known around them.

Every reference is a source key of the same koppeling. The fixed functions and SCIM know persons by
other keys than our lists do: theirs have a word before them (`stamnr:`, `lesgroep:`, `scim:`) or
are UUIDs, so that one is never taken for another.
Spec: magister.md, sections 6, 8 and 12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from connectors.base import Scope
from connectors.magister.records import (
    ActiefPersoneelslid,
    ActieveLeerling,
    Gebruiker,
    Groep,
    Leerling,
    Lesgroep,
    Verzorger,
)
from connectors.protocols.parsing import SourceModel
from mappings.canonical.fields import Entity
from mappings.magister import organisatie, personen
from mappings.magister.functions import gebruiker_key, groep_key, number_key
from mappings.table import Around
from mappings.tabular import Item, Part, Sight, TabularMapping, itself
from sector.identifiers import Schooljaar

NUMBER: Final = 1
"""Raise it when a function changes what it makes; a change of a table shows by itself."""


@lru_cache(maxsize=256)
def around(scope: Scope) -> Around:
    """The schooljaar that a scope is read for, where it has one."""
    if scope.schooljaar is None:
        return {}
    return {"schooljaar": Schooljaar.starting(scope.schooljaar).reveal()}


def _states(record: SourceModel, name: str, sight: Sight, *, entity: Entity) -> bool:
    """Whether the record states a list completely; where not, it is silent about the entity."""
    if sight.contract.delivers(name) and name not in record.dropped:
        return True
    sight.silent.add(entity)
    return False


def _aanmeldingen(record: Leerling, sight: Sight) -> Iterator[Item]:
    if not _states(record, "aanmeldingen", sight, entity=Entity.INSCHRIJVING):
        return
    known = {**sight.around, "leerling": record.leer_id}
    for index, aanmelding in enumerate(record.aanmeldingen or ()):
        yield Item(aanmelding, aanmelding.aanmelding_id, f"aanmeldingen[{index}]", known)


def _kinderen(record: Verzorger, sight: Sight) -> Iterator[Item]:
    if not _states(record, "kinderen", sight, entity=Entity.VERZORGER_RELATIE):
        return
    for index, kind in enumerate(record.kinderen or ()):
        known = {"verzorger": record.verzorger_id, "leerling": kind.leer_id}
        yield Item(kind, f"{record.verzorger_id}/{kind.leer_id}", f"kinderen[{index}]", known)


def _groep(record: Groep, sight: Sight) -> Iterable[Item]:
    return (Item(record, groep_key(record.groep_id, record.lesperiode), around=sight.around),)


def _actieve_leerling(record: ActieveLeerling, sight: Sight) -> Iterable[Item]:
    return (Item(record, number_key(record.stamnr_str), around=sight.around),)


def _actieve_inschrijving(record: ActieveLeerling, sight: Sight) -> Iterable[Item]:
    leerling = number_key(record.stamnr_str)
    known = {**sight.around, "leerling": leerling}
    return (Item(record, f"{leerling}/{record.lesperiode or ''}", around=known),)


def _personeelslid(record: ActiefPersoneelslid, sight: Sight) -> Iterable[Item]:
    return (Item(record, number_key(record.stamnr_str), around=sight.around),)


def _lesgroep(record: Lesgroep, sight: Sight) -> Iterable[Item]:
    key = groep_key(f"lesgroep:{record.lesgroep}", record.lesperiode)
    return (Item(record, key, around=sight.around),)


def _gebruiker(record: Gebruiker, sight: Sight) -> Iterator[Item]:
    """A user with a pupil number is a pupil; the connector hands over no other."""
    key = gebruiker_key(record.id)
    if not sight.contract.delivers("leerlingnummer") or "leerlingnummer" in record.dropped:
        sight.silent_keys.add((Entity.LEERLING, key))
    elif record.leerlingnummer:
        yield Item(record, key, around=sight.around)


MAPPING: Final = TabularMapping(
    "magister",
    number=NUMBER,
    around=around,
    resources={
        "vestiging": (itself(organisatie.VESTIGING, key="locatie_id"),),
        "vak": (itself(organisatie.VAK, key="vak_code"),),
        "medewerker": (itself(personen.MEDEWERKER, key="pers_id"),),
        "studie": (itself(organisatie.OPLEIDING, key="studie_id"),),
        "leerling": (
            itself(personen.LEERLING, key="leer_id"),
            Part(personen.INSCHRIJVING, _aanmeldingen),
        ),
        "verzorger": (
            itself(personen.VERZORGER, key="verzorger_id"),
            Part(personen.RELATIE, _kinderen),
        ),
        "groep": (Part(organisatie.GROEP, _groep),),
        "actief_personeelslid": (Part(personen.ACTIEF_PERSONEELSLID, _personeelslid),),
        "actieve_leerling": (
            Part(personen.ACTIEVE_LEERLING, _actieve_leerling),
            Part(personen.ACTIEVE_INSCHRIJVING, _actieve_inschrijving),
        ),
        "lesgroep": (Part(organisatie.LESGROEP, _lesgroep),),
        "gebruiker": (Part(personen.GEBRUIKER, _gebruiker),),
    },
)
