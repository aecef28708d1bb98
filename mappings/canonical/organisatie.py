"""Organisation, schooljaar, opleiding and vak."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from mappings.canonical.fields import (
    LIST,
    NOT_DELIVERED,
    TEXT,
    Canonical,
    Delivered,
    Entity,
    Field,
    Kind,
)


class BevoegdGezag(Canonical, frozen=True, kw_only=True):
    """The legal body that runs one or more instellingen."""

    naam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    nummer: Annotated[Delivered[str], TEXT] = NOT_DELIVERED


class Instelling(Canonical, frozen=True, kw_only=True):
    """A school organisation with one or more BRINs (four characters)."""

    naam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    afkorting: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    brin: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    brins: Annotated[Delivered[tuple[str, ...]], LIST] = NOT_DELIVERED


class Vestiging(Canonical, frozen=True, kw_only=True):
    """A location of an instelling; vestigingsnummer is BRIN plus two digits."""

    naam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    afkorting: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    vestigingsnummer: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    brins: Annotated[Delivered[tuple[str, ...]], LIST] = NOT_DELIVERED
    instelling: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.INSTELLING)] = NOT_DELIVERED
    digideliveryid: Annotated[Delivered[str], TEXT] = NOT_DELIVERED


class SchooljaarRecord(Canonical, frozen=True, kw_only=True):
    """A schooljaar as a record: 1 August to 31 July. Its key is `2026/2027`."""

    naam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    geldig_van: Annotated[Delivered[date], Field(Kind.PERIOD_START)] = NOT_DELIVERED
    geldig_tot: Annotated[Delivered[date], Field(Kind.PERIOD_END)] = NOT_DELIVERED


class Opleiding(Canonical, frozen=True, kw_only=True):
    """A programme; `code` is the national code (elementcode), the same at every school."""

    naam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    afkorting: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    code: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    landelijke_naam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    profiel: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    profielnaam: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    leerjaren: Annotated[Delivered[tuple[int, ...]], LIST] = NOT_DELIVERED
    vanaf_schooljaar: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    tot_schooljaar: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    vestiging: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.VESTIGING)] = NOT_DELIVERED


class Vak(Canonical, frozen=True, kw_only=True):
    """A subject, as the vestiging defines it; `code` is the national code where there is one."""

    naam: Annotated[Delivered[str], Field(Kind.TEXT, required=True)]
    afkorting: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    code: Annotated[Delivered[str], TEXT] = NOT_DELIVERED
    vestiging: Annotated[Delivered[str], Field(Kind.REFERENCE, Entity.VESTIGING)] = NOT_DELIVERED
