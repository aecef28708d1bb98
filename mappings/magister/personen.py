"""Rows of leerling, verzorger, their relation, medewerker and inschrijving."""

from __future__ import annotations

from typing import Final

from connectors.magister.records import (
    Aanmelding,
    ActiefPersoneelslid,
    ActieveLeerling,
    Gebruiker,
    Kind,
    Leerling,
    Medewerker,
    Verzorger,
)
from mappings import functions as f
from mappings.canonical.fields import Entity
from mappings.magister import functions as own
from mappings.mapping import Strength
from mappings.table import Row, Table

STRONG: Final = Strength.STRONG

_NAME: Final = (
    Row("achternaam", ("achternaam",), f.text),
    Row("voorletters", ("voorletters",), f.text),
)
_TUSSENVOEGSEL: Final = Row("voorvoegsel", ("tussenvoegsel",), f.text)
_TUSSENV: Final = Row("voorvoegsel", ("tussenv",), f.text)
_ROEPNAAM: Final = Row("roepnaam", ("roepnaam",), f.text)
_LOGIN: Final = Row("gebruikersnaam", ("login",), f.text)

LEERLING: Final = Table(
    Entity.LEERLING,
    (
        *_NAME,
        _TUSSENVOEGSEL,
        _ROEPNAAM,
        Row("voornamen", ("voornamen",), f.text),
        Row("geslacht", ("geslacht",), f.geslacht),
        Row("geboortedatum", ("geboortedatum",), f.day),
        Row("leerlingnummer", ("stamnr",), f.leerlingnummer),
        Row("eck_id", ("eckid",), f.eck_id),
        Row("bsn", ("bsn",), f.bsn),
        Row("onderwijsnummer", ("onderwijsnummer",), f.onderwijsnummer),
        Row("email", ("email",), f.email),
        Row("mobiel", ("mobiel",), f.telefoon),
        _LOGIN,
    ),
    model=Leerling,
)

INSCHRIJVING: Final = Table(
    Entity.INSCHRIJVING,
    (
        Row("leerling", ("@leerling",), f.reference),
        Row("vestiging", ("locatie_id",), f.reference),
        Row("opleiding", ("studie_id",), f.reference),
        Row("stamgroep", ("klas_id",), own.klas_reference, ("lesperiode",)),
        Row("mentor", ("mentor1_pers_id",), f.reference),
        Row("schooljaar", ("@schooljaar",), own.schooljaar, ("lesperiode",)),
        Row("leerjaar", ("leerjaar",), f.whole),
        Row("kenmerken", ("pro_indicatie",), own.pro_indicatie),
        Row("geldig_van", ("begindatum",), f.day),
        Row("geldig_tot", ("einddatum", "vertrekdatum"), own.end_of_stay, ("begindatum",)),
    ),
    model=Aanmelding,
    prefix="aanmeldingen",
)

VERZORGER: Final = Table(
    Entity.VERZORGER,
    (
        *_NAME,
        _TUSSENVOEGSEL,
        Row("email", ("email",), f.email),
        Row("telefoon", ("telefoon",), f.telefoon, condition=own.telefoon_is_told),
        Row("mobiel", ("mobiel",), f.telefoon, condition=own.mobiel_is_told),
        Row("telefoon_geheim", ("geheim",), f.flag, strength=STRONG, insists=True),
        Row("adres_geheim", ("geheim",), f.flag, strength=STRONG, insists=True),
    ),
    model=Verzorger,
)

RELATIE: Final = Table(
    Entity.VERZORGER_RELATIE,
    (
        Row("verzorger", ("@verzorger",), f.reference),
        Row("leerling", ("@leerling",), f.reference),
        Row("relatiesoort", ("relatie",), f.text),
        Row("volgnummer", ("volgnummer",), f.whole),
        Row("ouderlijk_gezag", ("gezag",), f.flag),
    ),
    model=Kind,
    prefix="kinderen",
)

MEDEWERKER: Final = Table(
    Entity.MEDEWERKER,
    (
        *_NAME,
        _TUSSENVOEGSEL,
        _ROEPNAAM,
        Row("personeelsnummer", ("stamnr",), f.text),
        Row("afkorting", ("code",), own.code),
        Row("email", ("email_werk",), f.email),
        _LOGIN,
        Row("hoofdvestiging", ("locatie_id",), f.reference),
        Row("geldig_van", ("datum_in",), f.day),
        Row("geldig_tot", ("datum_uit",), own.end_of_period, ("datum_in",)),
    ),
    model=Medewerker,
)

# -- the fixed functions ---------------------------------------------------------------------------

ACTIEVE_LEERLING: Final = Table(
    Entity.LEERLING,
    (
        *_NAME,
        _TUSSENV,
        _ROEPNAAM,
        Row("geslacht", ("geslacht",), f.geslacht),
        Row("geboortedatum", ("geb_datum_str",), f.day),
        Row("leerlingnummer", ("stamnr_str",), f.leerlingnummer),
        Row("email", ("email",), f.email),
        Row("telefoon", ("telefoon",), f.telefoon, condition=own.leerling_telefoon_is_told),
        Row("mobiel", ("telefoon_2",), own.mobile),
        Row("telefoon_geheim", ("telefoon_geheim",), f.flag, strength=STRONG, insists=True),
        Row(
            "adres",
            ("straat", "nr", "nr_tv", "postcode", "woonplaats"),
            own.adres,
            beside=("land",),
        ),
        _LOGIN,
    ),
    model=ActieveLeerling,
)

ACTIEVE_INSCHRIJVING: Final = Table(
    Entity.INSCHRIJVING,
    (
        Row("leerling", ("@leerling",), f.reference),
        Row("vestiging", ("locatie_id",), f.reference, condition=own.locatie_has_a_key),
        Row("schooljaar", ("@schooljaar",), own.schooljaar, ("lesperiode",)),
        Row("leerjaar", ("leerjaar",), f.whole),
    ),
    model=ActieveLeerling,
)
"""The functions tell no dates, no id of the aanmelding, of the studie or of the klas."""

ACTIEF_PERSONEELSLID: Final = Table(
    Entity.MEDEWERKER,
    (
        *_NAME,
        _TUSSENV,
        _ROEPNAAM,
        Row("geslacht", ("m_v",), f.geslacht),
        Row("personeelsnummer", ("stamnr_str",), f.text),
        Row("afkorting", ("code",), own.code),
        Row("functie", ("functie",), f.text),
        Row("telefoon", ("telefoon",), f.telefoon, condition=own.telefoon_is_told),
        Row("telefoon_geheim", ("geheim",), f.flag, strength=STRONG, insists=True),
        Row(
            "adres",
            ("straat", "huisnr", "huisnr_toevoeging", "postcode", "plaats"),
            own.adres,
            condition=own.adres_is_told,
        ),
        Row("adres_geheim", ("geheim",), f.flag, strength=STRONG, insists=True),
        _LOGIN,
        Row("hoofdvestiging", ("locatie_id",), f.reference, condition=own.locatie_has_a_key),
        Row("geldig_van", ("datum_in_str",), f.day),
        Row("geldig_tot", ("vertrek_str",), own.end_of_period, ("datum_in_str",)),
    ),
    model=ActiefPersoneelslid,
)

GEBRUIKER: Final = Table(
    Entity.LEERLING,
    (
        Row("achternaam", ("name.family_name",), f.text),
        Row("voorvoegsel", ("name.middle_name",), f.text),
        Row("roepnaam", ("name.given_name",), f.text),
        Row("leerlingnummer", ("leerlingnummer",), f.leerlingnummer),
        Row("gebruikersnaam", ("user_name",), f.text),
    ),
    model=Gebruiker,
)
