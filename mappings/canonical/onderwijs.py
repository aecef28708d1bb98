"""Groep, inschrijving, advies, uitstroom, toets and toetsresultaat."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from mappings.canonical.fields import (
    BOOLEAN,
    DATE,
    INTEGER,
    LIST,
    NOT_DELIVERED,
    NUMBER,
    TEXT,
    Canonical,
    Delivered,
    Entity,
    Field,
    Kind,
)

LEERLING = Field(Kind.REFERENCE, Entity.LEERLING, required=True)
VAN = Field(Kind.PERIOD_START)
TOT = Field(Kind.PERIOD_END)


class Groep(Canonical, frozen=True, kw_only=True):
    """A stamgroep or lesgroep of one vestiging in one schooljaar, with its members."""

    naam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    soort: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]  # stamgroep, lesgroep
    omschrijving: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    schooljaar: Annotated[Delivered[str], TEXT] = NOT_DELIVERED  # 2026/2027
    leerjaar: Annotated[Delivered[int], INTEGER] = NOT_DELIVERED
    onderwijssoort: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    vestiging: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.VESTIGING)] = NOT_DELIVERED
    vak: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.VAK)] = NOT_DELIVERED
    leerlingen: Annotated[
        Delivered[tuple[str, ...]], Field(Kind.MEMBERS, Entity.LEERLING, "leerling")
    ] = NOT_DELIVERED
    docenten: Annotated[
        Delivered[tuple[str, ...]], Field(Kind.MEMBERS, Entity.MEDEWERKER, "docent")
    ] = NOT_DELIVERED
    eerste_mentoren: Annotated[
        Delivered[tuple[str, ...]], Field(Kind.MEMBERS, Entity.MEDEWERKER, "eerste_mentor")
    ] = NOT_DELIVERED
    tweede_mentoren: Annotated[
        Delivered[tuple[str, ...]], Field(Kind.MEMBERS, Entity.MEDEWERKER, "tweede_mentor")
    ] = NOT_DELIVERED
    geldig_van: Annotated[Delivered[date], VAN] = NOT_DELIVERED
    geldig_tot: Annotated[Delivered[date], TOT] = NOT_DELIVERED


class Inschrijving(Canonical, frozen=True, kw_only=True):
    """One placement of one leerling at one vestiging (Somtoday: plaatsing)."""

    leerling: Annotated[Delivered[str], LEERLING]
    vestiging: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.VESTIGING)] = NOT_DELIVERED
    opleiding: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.OPLEIDING)] = NOT_DELIVERED
    stamgroep: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.GROEP)] = NOT_DELIVERED
    mentor: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.MEDEWERKER)] = NOT_DELIVERED
    schooljaar: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    leerjaar: Annotated[Delivered[int], INTEGER] = NOT_DELIVERED
    kenmerken: Annotated[Delivered[tuple[str, ...]], LIST] = NOT_DELIVERED
    geldig_van: Annotated[Delivered[date], VAN] = NOT_DELIVERED
    geldig_tot: Annotated[Delivered[date], TOT] = NOT_DELIVERED


class Advies(Canonical, frozen=True, kw_only=True):
    """A schooladvies, as the sending or previous school gave it."""

    leerling: Annotated[Delivered[str], LEERLING]
    soort: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    advies: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    datum: Annotated[Delivered[date], DATE] = NOT_DELIVERED


class Uitstroom(Canonical, frozen=True, kw_only=True):
    """Where a leerling goes after this school."""

    leerling: Annotated[Delivered[str], LEERLING]
    bestemming: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    reden: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    datum: Annotated[Delivered[date], DATE] = NOT_DELIVERED


class Toets(Canonical, frozen=True, kw_only=True):
    """A test, or a graded component of a subject's dossier."""

    naam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    code: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    soort: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    vak: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.VAK)] = NOT_DELIVERED
    weging: Annotated[Delivered[int], INTEGER] = NOT_DELIVERED
    bovenliggend: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.TOETS)] = NOT_DELIVERED


class Toetsresultaat(Canonical, frozen=True, kw_only=True):
    """What one leerling got. `resultaat` is as given, `getal` the number where it is one."""

    leerling: Annotated[Delivered[str], LEERLING]
    toets: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.TOETS)] = NOT_DELIVERED
    vak: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.VAK)] = NOT_DELIVERED
    omschrijving: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    schooljaar: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    periode: Annotated[Delivered[int], INTEGER] = NOT_DELIVERED
    leerjaar: Annotated[Delivered[int], INTEGER] = NOT_DELIVERED
    soort: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    poging: Annotated[Delivered[int], INTEGER] = NOT_DELIVERED
    resultaat: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    getal: Annotated[Delivered[float], NUMBER] = NOT_DELIVERED
    weging: Annotated[Delivered[int], INTEGER] = NOT_DELIVERED
    referentiekader: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    niveau: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    geldend: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    datum: Annotated[Delivered[date], DATE] = NOT_DELIVERED
    bovenliggend: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.TOETSRESULTAAT)] = (
        NOT_DELIVERED
    )
