"""Leerling, verzorger, their relation, and medewerker."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from mappings.canonical.fields import (
    BOOLEAN,
    DATE,
    INTEGER,
    NOT_DELIVERED,
    TEXT,
    Adres,
    Canonical,
    Delivered,
    Entity,
    Field,
    Kind,
    VerkregenEckId,
)
from sector.identifiers import Bsn, EckId, Leerlingnummer, Onderwijsnummer

OBTAINED = Field(Kind.PSEUDONYM, role="eck_id")
ADRES = Field(Kind.ADDRESS, role="woonadres", hidden_by="adres_geheim")


class Leerling(Canonical, frozen=True, kw_only=True):
    """A pupil."""

    achternaam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    voorvoegsel: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    roepnaam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    voornamen: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    voorletters: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    geslacht: Annotated[Delivered[str], TEXT] = NOT_DELIVERED  # M, V, O
    geboortedatum: Annotated[Delivered[date], DATE] = NOT_DELIVERED
    geboorteplaats: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    geboorteland: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    leerlingnummer: Annotated[
        Delivered[Leerlingnummer], Field(Kind.IDENTIFIER, role="leerlingnummer")
    ] = NOT_DELIVERED
    eck_id: Annotated[Delivered[EckId], Field(Kind.IDENTIFIER, role="eck_id")] = NOT_DELIVERED
    eck_verkregen: Annotated[Delivered[VerkregenEckId], OBTAINED] = NOT_DELIVERED
    bsn: Annotated[Delivered[Bsn], Field(Kind.IDENTIFIER, role="bsn")] = NOT_DELIVERED
    onderwijsnummer: Annotated[
        Delivered[Onderwijsnummer], Field(Kind.IDENTIFIER, role="onderwijsnummer")
    ] = NOT_DELIVERED
    email: Annotated[Delivered[str], Field(Kind.CONTACT, role="email")] = NOT_DELIVERED
    mobiel: Annotated[
        Delivered[str], Field(Kind.CONTACT, role="mobiel", hidden_by="telefoon_geheim")
    ] = NOT_DELIVERED
    telefoon: Annotated[
        Delivered[str], Field(Kind.CONTACT, role="telefoon", hidden_by="telefoon_geheim")
    ] = NOT_DELIVERED
    telefoon_geheim: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    adres: Annotated[Delivered[Adres], ADRES] = NOT_DELIVERED
    adres_geheim: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    gebruikersnaam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    contact_via_email: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    herkomst_brin: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    herkomst_naam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    onderwijs_sinds: Annotated[Delivered[date], DATE] = NOT_DELIVERED


class Verzorger(Canonical, frozen=True, kw_only=True):
    """A parent or guardian; one source id is one guardian for all siblings."""

    achternaam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    voorvoegsel: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    voorletters: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    roepnaam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    geslacht: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    gebruikersnaam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    email: Annotated[Delivered[str], Field(Kind.CONTACT, role="email")] = NOT_DELIVERED
    telefoon: Annotated[
        Delivered[str], Field(Kind.CONTACT, role="telefoon", hidden_by="telefoon_geheim")
    ] = NOT_DELIVERED
    mobiel: Annotated[
        Delivered[str], Field(Kind.CONTACT, role="mobiel", hidden_by="telefoon_geheim")
    ] = NOT_DELIVERED
    mobiel_werk: Annotated[
        Delivered[str], Field(Kind.CONTACT, role="mobiel_werk", hidden_by="mobiel_werk_geheim")
    ] = NOT_DELIVERED
    telefoon_geheim: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    mobiel_werk_geheim: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    adres: Annotated[Delivered[Adres], ADRES] = NOT_DELIVERED
    adres_geheim: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    contact_via_email: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED


class VerzorgerRelatie(Canonical, frozen=True, kw_only=True):
    """What one verzorger is to one leerling. Key: verzorger key, `/`, leerling key."""

    verzorger: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.VERZORGER, required=True)]
    leerling: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.LEERLING, required=True)]
    relatiesoort: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    volgnummer: Annotated[Delivered[int], INTEGER] = NOT_DELIVERED
    ouderlijk_gezag: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    ontvangt_post: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED


class Medewerker(Canonical, frozen=True, kw_only=True):
    """A member of staff."""

    achternaam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    voorvoegsel: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    roepnaam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    voorletters: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    geslacht: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    geboortedatum: Annotated[Delivered[date], DATE] = NOT_DELIVERED
    eck_id: Annotated[Delivered[EckId], Field(Kind.IDENTIFIER, role="eck_id")] = NOT_DELIVERED
    eck_verkregen: Annotated[Delivered[VerkregenEckId], OBTAINED] = NOT_DELIVERED
    personeelsnummer: Annotated[Delivered[str], Field(Kind.IDENTIFIER, role="personeelsnummer")] = (
        NOT_DELIVERED
    )
    afkorting: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    functie: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    is_docent: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    gebruikersnaam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    email: Annotated[Delivered[str], Field(Kind.CONTACT, role="email")] = NOT_DELIVERED
    telefoon_werk: Annotated[Delivered[str], Field(Kind.CONTACT, role="telefoon_werk")] = (
        NOT_DELIVERED
    )
    telefoon: Annotated[
        Delivered[str], Field(Kind.CONTACT, role="telefoon", hidden_by="telefoon_geheim")
    ] = NOT_DELIVERED
    telefoon_geheim: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    adres: Annotated[Delivered[Adres], ADRES] = NOT_DELIVERED
    adres_geheim: Annotated[Delivered[bool], BOOLEAN] = NOT_DELIVERED
    hoofdvestiging: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.VESTIGING)] = (
        NOT_DELIVERED
    )
    geldig_van: Annotated[Delivered[date], Field(Kind.PERIOD_START)] = NOT_DELIVERED
    geldig_tot: Annotated[Delivered[date], Field(Kind.PERIOD_END)] = NOT_DELIVERED
    reden_uit_dienst: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
