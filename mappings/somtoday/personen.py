"""Rows of leerling, verzorger, their relation, medewerker and inschrijving."""

from __future__ import annotations

from typing import Final

from connectors.somtoday.records import (
    Leerling,
    LeerlingReferentie,
    LosPlaatsing,
    Medewerker,
    OuderVerzorger,
    OuderVerzorgerReferentie,
    Plaatsing,
)
from mappings import functions as f
from mappings.canonical.fields import Entity
from mappings.mapping import Strength
from mappings.somtoday import functions as own
from mappings.table import Row, Table

STRONG: Final = Strength.STRONG

_NAME: Final = (
    Row("achternaam", ("achternaam",), f.text),
    Row("voorvoegsel", ("voorvoegsel",), f.text),
    Row("voorletters", ("voorletters",), f.text),
    Row("geslacht", ("geslacht",), f.geslacht),
    Row("gebruikersnaam", ("gebruikersnaam",), f.text),
    Row("email", ("emailadres",), f.email),
    Row("adres", ("adres",), f.adres, condition=own.adres_is_told),
    Row("adres_geheim", ("adres_geheim",), f.flag, strength=STRONG, insists=True),
)

LEERLING: Final = Table(
    Entity.LEERLING,
    (
        *_NAME,
        Row("roepnaam", ("roepnaam",), f.text),
        Row("voornamen", ("voornamen",), f.text),
        Row("geboortedatum", ("geboortedatum",), f.day),
        Row("geboorteplaats", ("geboorteplaats",), f.text),
        Row("geboorteland", ("geboorteland",), f.text),
        Row("leerlingnummer", ("leerlingnummer",), f.leerlingnummer),
        Row("eck_id", ("eckid",), f.eck_id),
        Row("bsn", ("bsn",), f.bsn),
        Row("mobiel", ("mobielnummer",), f.telefoon, condition=own.mobielnummer_is_told),
        Row("telefoon", ("telefoonnummer",), f.telefoon, condition=own.telefoonnummer_is_told),
        Row("telefoon_geheim", ("telefoonnummer_geheim",), f.flag, strength=STRONG, insists=True),
        Row("contact_via_email", ("wenst_contact_via_email",), f.flag),
        Row("herkomst_brin", ("school_van_herkomst_brin",), f.text),
        Row("herkomst_naam", ("school_van_herkomst_naam",), f.text),
        Row("onderwijs_sinds", ("onderwijs_sinds",), f.day),
    ),
    model=Leerling,
)

VERZORGER: Final = Table(
    Entity.VERZORGER,
    (
        *_NAME,
        Row(
            "telefoon",
            ("uitgebreid_telefoonnummer",),
            f.telefoon,
            condition=own.thuisnummer_is_told,
        ),
        Row("telefoon", ("telefoonnummer",), f.telefoon, condition=own.first_known_is_told),
        Row(
            "mobiel",
            ("uitgebreid_mobiel_nummer",),
            f.telefoon,
            condition=own.verzorger_mobiel_is_told,
        ),
        Row(
            "mobiel_werk",
            ("uitgebreid_mobiel_werk_nummer",),
            f.telefoon,
            condition=own.werknummer_is_told,
        ),
        Row("telefoon_geheim", ("telefoonnummer_geheim",), f.flag, strength=STRONG, insists=True),
        Row(
            "mobiel_werk_geheim",
            ("mobielwerknummer_geheim",),
            f.flag,
            strength=STRONG,
            insists=True,
        ),
        Row("contact_via_email", ("wenst_contact_via_email",), f.flag),
    ),
    model=OuderVerzorger,
)

MEDEWERKER: Final = Table(
    Entity.MEDEWERKER,
    (
        *_NAME,
        Row("roepnaam", ("roepnaam",), f.text),
        Row("geboortedatum", ("geboortedatum",), f.day),
        Row("eck_id", ("eckid",), f.eck_id),
        Row("personeelsnummer", ("medewerkernummer",), own.medewerkernummer),
        Row("afkorting", ("afkorting",), f.text),
        Row("functie", ("functie",), f.text),
        Row("is_docent", ("is_docent",), f.flag),
        Row("telefoon_werk", ("werk_telefoonnummer",), f.telefoon),
        Row("telefoon", ("prive_telefoonnummer",), f.telefoon, condition=own.prive_nummer_is_told),
        Row(
            "telefoon_geheim",
            ("privetelefoonnummer_geheim",),
            f.flag,
            strength=STRONG,
            insists=True,
        ),
        Row("hoofdvestiging", ("hoofdvestiging.uuid",), f.reference),
        Row("geldig_van", ("datum_in_dienst",), f.day),
        Row("geldig_tot", ("datum_uit_dienst",), f.day_after, beside=("datum_in_dienst",)),
        Row("reden_uit_dienst", ("reden_uit_dienst",), f.text),
    ),
    model=Medewerker,
)

_PLAATSING: Final = (
    Row("vestiging", ("@vestiging",), f.reference),
    Row("opleiding", ("opleiding.uuid",), f.reference),
    Row("stamgroep", ("stamgroep.uuid",), own.stamgroep_reference, ("@schooljaar", "schooljaar")),
    Row("mentor", ("mentoren",), own.plaatsing_mentor, permission="mentoren.Plaatsing"),
    Row("schooljaar", ("schooljaar",), f.schooljaar),
    Row("leerjaar", ("leerjaar",), f.whole),
    Row("kenmerken", ("opleidingskenmerken",), f.texts),
    Row("geldig_van", ("startdatum",), f.day),
    Row("geldig_tot", ("einddatum",), f.day_after, beside=("startdatum",)),
)

INSCHRIJVING: Final = Table(
    Entity.INSCHRIJVING,
    (Row("leerling", ("@leerling",), f.reference), *_PLAATSING),
    model=Plaatsing,
    prefix="plaatsingen",
)

LOS_INSCHRIJVING: Final = Table(
    Entity.INSCHRIJVING, _PLAATSING, model=LosPlaatsing, waived=frozenset({"leerling"})
)
"""From `GET plaatsing`, which does not say whose it is: the leerling's own record does."""

_RELATIE: Final = (
    Row("verzorger", ("@verzorger",), f.reference),
    Row("leerling", ("@leerling",), f.reference),
)

RELATIE_VAN_LEERLING: Final = Table(
    Entity.VERZORGER_RELATIE,
    (*_RELATIE, Row("volgnummer", ("volgnummer",), f.whole)),
    model=OuderVerzorgerReferentie,
    prefix="verzorgers",
)

RELATIE_VAN_VERZORGER: Final = Table(
    Entity.VERZORGER_RELATIE,
    (
        *_RELATIE,
        Row("relatiesoort", ("relatiesoort",), f.text),
        Row("ouderlijk_gezag", ("ouderlijk_gezag",), f.flag),
        Row("ontvangt_post", ("mag_post_ontvangen",), f.flag),
    ),
    model=LeerlingReferentie,
    prefix="relatie_tot_leerlingen",
)

ADVIES: Final = Table(
    Entity.ADVIES,
    (
        Row("leerling", ("@leerling",), f.reference),
        Row("soort", ("@soort",), f.text),
        Row("advies", ("advies_school_van_herkomst",), f.text),
    ),
    model=Leerling,
)
