"""Magister's own records, typed: columns of our lists, of the fixed functions, and of SCIM.

All values come as text, and an empty one is absent; whether absent means *empty* or *not delivered*
stands in the delivery contract. Only the key of a record is demanded here.
A record that several lists make (a leerling with his aanmeldingen, a groep with its leden) holds
what compose.py put together.
Spec: magister.md, sections 4, 6 and 11.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints

from connectors.protocols.parsing import SourceModel, Text, Whole

Key = Annotated[str, StringConstraints(min_length=1, max_length=100)]

_ISO: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ].{1,20})?")
_DUTCH: Final = re.compile(r"([0-9]{1,2})-([0-9]{1,2})-([0-9]{4})(?: .{1,20})?")
_BARE: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")


def read_day(value: object) -> object:
    """A day in any shape that is met: 2010-03-14, 14-03-2010, 20100314, with a time or not.

    A day that is no day stays text, and is refused as a date. Spec: section 5 (CONFIRMED that the
    shape is not documented).
    """
    if not isinstance(value, str) or not value.isascii():
        return value
    if (found := _ISO.fullmatch(value) or _BARE.fullmatch(value)) is not None:
        year, month, day = found.groups()
    elif (found := _DUTCH.fullmatch(value)) is not None:
        day, month, year = found.groups()
    else:
        return value
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return value


_TRUE: Final = frozenset({"1", "-1", "true", "ja", "j", "waar", "y", "yes"})
_FALSE: Final = frozenset({"0", "false", "nee", "n", "onwaar", "no"})


def read_flag(value: object) -> object:
    """`1`, `True`, `ja` → true; `0`, `False`, `nee` → false; anything else stays as it is."""
    if isinstance(value, str):
        text = value.lower()
        return True if text in _TRUE else False if text in _FALSE else value
    return value


def read_whole(value: object) -> object:
    """A whole number that came as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    return value


Day = Annotated[date, BeforeValidator(read_day)]
Flag = Annotated[bool, BeforeValidator(read_flag)]
Number = Annotated[Whole, BeforeValidator(read_whole)]


class Vestiging(SourceModel):
    """A location (administratieve eenheid)."""

    locatie_id: Key
    locatie_code: Text | None = None
    omschrijving: Text | None = None
    brin: Text | None = None
    nevenvestiging: Text | None = None


class Studie(SourceModel):
    """A programme, as aanmeldingen name it; `ilt_codes` are all national codes met with it."""

    studie_id: Key
    studie: Text | None = None
    ilt_codes: tuple[Text, ...] | None = None


class Vak(SourceModel):
    """A subject."""

    vak_code: Key
    omschrijving: Text | None = None


class Medewerker(SourceModel):
    """A member of staff; an asterisk at `code` is the mark of who has left."""

    pers_id: Key
    stamnr: Text | None = None
    code: Text | None = None
    roepnaam: Text | None = None
    voorletters: Text | None = None
    tussenvoegsel: Text | None = None
    achternaam: Text | None = None
    email_werk: Text | None = None
    login: Text | None = None
    datum_in: Day | None = None
    datum_uit: Day | None = None
    locatie_id: Text | None = None


class Aanmelding(SourceModel):
    """An enrolment of one pupil in one lesperiode."""

    aanmelding_id: Key
    lesperiode: Text | None = None
    begindatum: Day | None = None
    einddatum: Day | None = None
    vertrekdatum: Day | None = None
    klas_id: Text | None = None
    klas: Text | None = None
    studie_id: Text | None = None
    studie: Text | None = None
    leerjaar: Number | None = None
    locatie_id: Text | None = None
    pro_indicatie: Flag | None = None
    ilt_code: Text | None = None
    mentor1_pers_id: Text | None = None
    mentor2_pers_id: Text | None = None


class Leerling(SourceModel):
    """A pupil, as his newest enrolment shows him, with his enrolments of one lesperiode."""

    leer_id: Key
    stamnr: Text | None = None
    roepnaam: Text | None = None
    voornamen: Text | None = None
    voorletters: Text | None = None
    tussenvoegsel: Text | None = None
    achternaam: Text | None = None
    geslacht: Text | None = None
    geboortedatum: Day | None = None
    email: Text | None = None
    mobiel: Text | None = None
    login: Text | None = None
    eckid: Text | None = None
    bsn: Text | None = None
    onderwijsnummer: Text | None = None
    aanmeldingen: tuple[Aanmelding, ...] | None = None


class Kind(SourceModel):
    """A child of a guardian."""

    leer_id: Key
    volgnummer: Number | None = None
    relatie: Text | None = None
    gezag: Flag | None = None


class Verzorger(SourceModel):
    """A guardian, with all children."""

    verzorger_id: Key
    voorletters: Text | None = None
    tussenvoegsel: Text | None = None
    achternaam: Text | None = None
    email: Text | None = None
    telefoon: Text | None = None
    mobiel: Text | None = None
    geheim: Flag | None = None
    kinderen: tuple[Kind, ...] | None = None


class Lid(SourceModel):
    """A member of a group, for one subject."""

    leer_id: Key
    vak_code: Text | None = None
    begindatum: Day | None = None
    einddatum: Day | None = None


class Docent(SourceModel):
    """A teacher of a group, for one subject."""

    pers_id: Key
    vak_code: Text | None = None


class Groep(SourceModel):
    """A home class or teaching group of one lesperiode, with members and teachers.

    `leden` is null where the list does not say who is in a home class; an empty list says nobody.
    """

    groep_id: Key
    lesperiode: Key
    groep: Text | None = None
    omschrijving: Text | None = None
    is_stamklas: Flag | None = None
    locatie_id: Text | None = None
    mentor1_pers_id: Text | None = None
    mentor2_pers_id: Text | None = None
    mentor3_pers_id: Text | None = None
    leden: tuple[Lid, ...] | None = None
    docenten: tuple[Docent, ...] | None = None


# -- the fixed functions -------------------------------------------------------------------------


class ActieveLeerling(SourceModel):
    """A row of `GetActiveStudents`; the names are Magister's, in their plain spelling."""

    stamnr_str: Key
    lesperiode: Text | None = None  # code for which it was asked; put in by the connector
    login: Text | None = Field(default=None, alias="loginaccount.naam")
    roepnaam: Text | None = None
    tussenv: Text | None = None
    achternaam: Text | None = None
    voorletters: Text | None = None
    volledige_naam: Text | None = None
    geslacht: Text | None = None
    geb_datum_str: Day | None = None
    email: Text | None = None
    klas: Text | None = None
    studie: Text | None = None
    leerjaar: Number | None = Field(default=None, alias="leerfase.leerjaar")
    lesperiode_omschrijving: Text | None = Field(
        default=None, alias="lesperiode.korte_omschrijving"
    )
    profiel_code: Text | None = Field(default=None, alias="profiel.code")
    profiel_omschrijving: Text | None = Field(default=None, alias="profiel.omschrijving")
    locatie: Text | None = Field(default=None, alias="administratieve_eenheid.omschrijving")
    locatie_plaats: Text | None = Field(default=None, alias="administratieve_eenheid.plaats")
    locatie_id: Text | None = None  # what the setting `locaties` makes of the name
    adres: Text | None = None
    straat: Text | None = None
    nr: Text | None = None
    nr_tv: Text | None = Field(default=None, alias="nr.tv")
    postcode: Text | None = None
    woonplaats: Text | None = Field(default=None, alias="plaats.woonplaats")
    land: Text | None = Field(default=None, alias="land___nationaliteit.land")
    telefoon: Text | None = None
    telefoon_2: Text | None = None
    telefoon_geheim: Flag | None = Field(default=None, alias="tel._1_geheim")
    mentor: Text | None = Field(default=None, alias="personeelslid.volledige_naam")
    mentor_2: Text | None = Field(default=None, alias="sis_pers0.sis_pers0.sis_pers0__naam_vol")
    c_vrij1: Text | None = None
    c_vrij2: Text | None = None


class ActiefPersoneelslid(SourceModel):
    """A row of `GetActiveEmpoyees`. It has no e-mail address."""

    stamnr_str: Key
    code: Text | None = None
    login: Text | None = Field(default=None, alias="loginaccount.naam")
    login_naam: Text | None = Field(default=None, alias="loginaccount.volledige_naam")
    roepnaam: Text | None = None
    tussenv: Text | None = None
    achternaam: Text | None = None
    voorletters: Text | None = None
    voornamen: Text | None = Field(default=None, alias="off._voornamen")
    m_v: Text | None = None
    functie: Text | None = Field(default=None, alias="functie.omschr")
    locatie: Text | None = Field(default=None, alias="administratieve_eenheid.omschrijving")
    locatie_id: Text | None = None  # what the setting `locaties` makes of the name
    datum_in_str: Day | None = None
    vertrek_str: Day | None = Field(default=None, alias="dvertrek_str")
    geheim: Flag | None = None
    adres: Text | None = None
    straat: Text | None = None
    huisnr: Text | None = None
    huisnr_toevoeging: Text | None = Field(default=None, alias="huisnr._toevoeging")
    postcode: Text | None = None
    plaats: Text | None = None
    telefoon: Text | None = None
    telefoon_2: Text | None = None
    telefoon_3: Text | None = None
    telefoon_4: Text | None = None
    oude_personeelscode: Text | None = None
    c_vrij1: Text | None = None
    c_vrij2: Text | None = None
    c_vrij3: Text | None = None
    c_vrij4: Text | None = None


class Lesgroep(SourceModel):
    """A group that the fixed functions name by number, with members and teachers by number."""

    lesgroep: Key
    lesperiode: Key
    groep: Text | None = None
    is_stamklas: Flag | None = None
    leden: tuple[Key, ...] | None = None
    docenten: tuple[Key, ...] | None = None
    vakken: tuple[Text, ...] | None = None


# -- SCIM ----------------------------------------------------------------------------------------


class Naam(SourceModel):
    """The name of a user account."""

    given_name: Text | None = Field(default=None, alias="givenName")
    middle_name: Text | None = Field(default=None, alias="middleName")
    family_name: Text | None = Field(default=None, alias="familyName")


class Gebruiker(SourceModel):
    """A user account. `leerlingnummer` is put in by the connector: who has none is no pupil."""

    id: Key
    user_name: Text | None = Field(default=None, alias="userName")
    name: Naam | None = None
    active: bool | None = None
    leerlingnummer: Text | None = None
