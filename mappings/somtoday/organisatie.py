"""Rows of instelling, vestiging, vak, opleiding, stamgroep and lesgroep."""

from __future__ import annotations

from typing import Final

from connectors.somtoday.records import (
    Instelling,
    Lesgroep,
    Opleiding,
    Stamgroep,
    Vak,
    Vestiging,
)
from mappings import functions as f
from mappings.canonical.fields import Entity
from mappings.somtoday import functions as own
from mappings.table import Row, Table

INSTELLING: Final = Table(
    Entity.INSTELLING,
    (
        Row("naam", ("naam",), f.text),
        Row("afkorting", ("afkorting",), f.text),
        Row("brin", ("brins",), f.first_brin),
        Row("brins", ("brins",), f.brins),
    ),
    model=Instelling,
)

VESTIGING: Final = Table(
    Entity.VESTIGING,
    (
        Row("naam", ("naam",), f.text),
        Row("afkorting", ("afkorting",), f.text),
        Row("vestigingsnummer", ("brins",), f.first_vestigingsnummer),
        Row("brins", ("brins",), f.vestigingsnummers),
        Row("digideliveryid", ("externalidentifiers",), own.digideliveryid),
    ),
    model=Vestiging,
)

OPLEIDING: Final = Table(
    Entity.OPLEIDING,
    (
        Row("naam", ("naam",), f.text),
        Row("afkorting", ("afkorting",), f.text),
        Row("code", ("code",), f.text),
        Row("landelijke_naam", ("landelijke_naam",), f.text),
        Row("profiel", ("profielafkorting",), f.text),
        Row("profielnaam", ("profielnaam",), f.text),
        Row("leerjaren", ("leerjaren",), f.wholes),
        Row("vanaf_schooljaar", ("vanafschooljaar",), own.loose_schooljaar),
        Row("tot_schooljaar", ("totschooljaar",), own.loose_schooljaar),
        Row("vestiging", ("@vestiging",), f.reference),
    ),
    model=Opleiding,
)

VAK: Final = Table(
    Entity.VAK,
    (
        Row("naam", ("naam",), f.text),
        Row("afkorting", ("afkorting",), f.text),
        Row("vestiging", ("@vestiging",), f.reference),
    ),
    model=Vak,
)

STAMGROEP: Final = Table(
    Entity.GROEP,
    (
        Row("naam", ("naam",), f.text),
        Row("soort", ("@soort",), f.text),
        Row("omschrijving", ("omschrijving",), f.text),
        Row("schooljaar", ("@schooljaar",), f.schooljaar),
        Row("leerjaar", ("leerjaar",), f.whole),
        Row("onderwijssoort", ("onderwijssoort",), f.text),
        Row("vestiging", ("@vestiging",), f.reference),
        Row("leerlingen", ("leerlingen",), f.members),
        Row(
            "eerste_mentoren",
            ("mentoren",),
            own.eerste_mentoren,
            permission="mentoren.EersteMentorStamgroep",
        ),
        Row(
            "tweede_mentoren",
            ("mentoren",),
            own.tweede_mentoren,
            permission="mentoren.TweedeMentorStamgroep",
        ),
        Row("geldig_van", ("@schooljaar",), f.schooljaar_start),
        Row("geldig_tot", ("@schooljaar",), f.schooljaar_end),
    ),
    model=Stamgroep,
)

LESGROEP: Final = Table(
    Entity.GROEP,
    (
        Row("naam", ("naam",), f.text),
        Row("soort", ("@soort",), f.text),
        Row("schooljaar", ("@schooljaar",), own.own_or_scope_schooljaar, ("schooljaar",)),
        Row("leerjaar", ("leerjaar",), f.whole),
        Row("onderwijssoort", ("onderwijssoort",), f.text),
        Row("vestiging", ("@vestiging",), own.own_or_scope_vestiging, ("vestiging.uuid",)),
        Row("vak", ("vakuuid",), f.reference),
        Row("leerlingen", ("leerlingen",), f.members),
        Row("docenten", ("docenten",), f.members),
        Row("geldig_van", ("@schooljaar",), own.own_or_scope_start, ("schooljaar",)),
        Row("geldig_tot", ("@schooljaar",), own.own_or_scope_end, ("schooljaar",)),
    ),
    model=Lesgroep,
)
