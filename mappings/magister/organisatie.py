"""Rows of vestiging, studie, vak and groep."""

from __future__ import annotations

from typing import Final

from connectors.magister.records import Groep, Lesgroep, Studie, Vak, Vestiging
from mappings import functions as f
from mappings.canonical.fields import Entity
from mappings.magister import functions as own
from mappings.table import Row, Table

VESTIGING: Final = Table(
    Entity.VESTIGING,
    (
        Row("naam", ("omschrijving",), f.text),
        Row("afkorting", ("locatie_code",), f.text),
        Row("vestigingsnummer", ("brin", "nevenvestiging"), own.vestigingsnummer),
        Row("brins", ("brin", "nevenvestiging"), own.vestigingsnummers),
    ),
    model=Vestiging,
)

OPLEIDING: Final = Table(
    Entity.OPLEIDING,
    (
        Row("naam", ("studie",), f.text),
        Row("afkorting", ("studie",), f.text),
        Row("code", ("ilt_codes",), own.only_code),
    ),
    model=Studie,
)

VAK: Final = Table(
    Entity.VAK,
    (Row("naam", ("omschrijving",), f.text), Row("afkorting", ("vak_code",), f.text)),
    model=Vak,
)

_YEAR: Final = (
    Row("schooljaar", ("@schooljaar",), own.schooljaar, ("lesperiode",)),
    Row("geldig_van", ("@schooljaar",), own.schooljaar_start, ("lesperiode",)),
    Row("geldig_tot", ("@schooljaar",), own.schooljaar_end, ("lesperiode",)),
)

GROEP: Final = Table(
    Entity.GROEP,
    (
        Row("naam", ("groep",), f.text),
        Row("soort", ("is_stamklas",), own.soort),
        Row("omschrijving", ("omschrijving",), f.text),
        Row("vestiging", ("locatie_id",), f.reference),
        Row("vak", ("leden", "docenten"), own.only_vak, condition=own.is_lesgroep),
        Row("vak", ("leden",), own.only_vak, condition=own.is_lesgroep),
        Row("leerlingen", ("leden",), own.leerlingen, condition=own.leden_are_known),
        Row("docenten", ("docenten",), own.docenten),
        Row("eerste_mentoren", ("mentor1_pers_id",), own.mentor),
        Row("tweede_mentoren", ("mentor2_pers_id", "mentor3_pers_id"), own.mentors),
        *_YEAR,
    ),
    model=Groep,
)

LESGROEP: Final = Table(
    Entity.GROEP,
    (
        Row("naam", ("groep",), f.text),
        Row("soort", ("is_stamklas",), own.soort),
        Row("vak", ("vakken",), own.only_of, condition=own.is_lesgroep),
        Row("leerlingen", ("leden",), own.number_keys),
        Row("docenten", ("docenten",), own.number_keys),
        *_YEAR,
    ),
    model=Lesgroep,
)
