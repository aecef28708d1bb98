"""UWLR 2.1 to 2.3 (leerlinggegevens) → the canonical schema.

Every reference is a source key of the same koppeling: the LAS key, or what the connector made of an
ECK iD that stands alone. A groep belongs to the schooljaar that it is read for, so that next year's
class of the same key is another groep.
Spec: uwlr.md, sections 7 and 10.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from typing import Any, Final

from connectors.base import Scope
from connectors.uwlr.records import (
    Groep,
    Leerkracht,
    Leerling,
    SamengesteldeGroep,
    School,
    Vestiging,
)
from mappings import functions as f
from mappings.canonical.fields import NOT_DELIVERED, Delivered, Entity
from mappings.errors import RuleBrokenError
from mappings.mapping import Strength
from mappings.normalise import tidy
from mappings.table import Around, Row, Table
from mappings.tabular import Item, Part, Sight, TabularMapping, itself
from sector.codes.geslacht import Geslacht
from sector.identifiers import Schooljaar, Vestigingsnummer

NUMBER: Final = 1
"""Raise it when a function changes what it makes; a change of a table shows by itself."""

NOTES: Final = (
    "A person is known by the LAS key; without one (2.3) by a digest of the ECK iD. A school that "
    "goes over from one to the other doubles nobody: the ECK iD is an exact key.",
    "An ECK iD of another form (`https://id.school/…`, before 2018) is dropped with a warning: it "
    "was replaced, and cannot be rewritten. One that an answer gives to two persons is dropped "
    "from both.",
    "A field of the agreed profile that no record of the whole answer holds is *not delivered*; "
    "one that some hold is *empty* where it is absent.",
    "UWLR names no school. Its `school` makes the vestiging of the vestigingsnummer that is asked "
    "for; the number serves as its name where no other koppeling gives one (weak).",
    "A `vestiging` of the answer (full profile) has a name and no BRIN, so nothing tells which one "
    "of another koppeling it is. Beside another administration, leave the resource `vestiging` out "
    "and drop `leerling.vestiging`.",
    "An inschrijving is made where the answer delivers jaargroep, instroomdatum or uitstroomdatum. "
    "A filled `uitstroomdatum` is the first day on which the leerling is gone. Beside another "
    "administration, which says this better, drop these three.",
    "`jaargroep` 11 to 16 is leerjaar 1 to 6 (1 to 6 is read so too, with a warning). The other "
    "codes say nothing of a leerjaar.",
    "Who is in a groep is told by the persons themselves, and gathered by the connector. Staff of "
    "a groep are its docenten: which of them is mentor is not told.",
    "A leerling or leerkracht without achternaam (a profile may give a roepnaam alone) is set "
    "apart: no record is made of a first name.",
    "BSN and onderwijsnummer are read where the configuration names a purpose; `sofinummer` is "
    "the same number as `bsn` under its older name. Never read: etniciteit, land, gewicht, "
    "postcode, photograph, the last four digits of a number, toevoegingen.",
    "Not mapped: `rol`, `rolomschrijving`, `omschrijving` of a vestiging, `mutatiedatum`.",
)
"""What was decided and no single row shows; part of the documentation."""

_GESLACHT: Final = {"0": Geslacht.ONBEKEND, "1": Geslacht.MAN, "2": Geslacht.VROUW}
_SECONDARY: Final = {str(code): code - 10 for code in range(11, 17)}


@lru_cache(maxsize=256)
def around(scope: Scope) -> Around:
    """The vestiging and the schooljaar that a scope is read for.

    Shape of a key: the place, and a slash with which year where it has one.
    """
    known: dict[str, object] = {"vestiging": scope.key.partition("/")[0]}
    if scope.schooljaar is not None:
        known["schooljaar"] = Schooljaar.starting(scope.schooljaar).reveal()
    return known


def geslacht(value: str) -> Delivered[str]:
    """M, V or O; 9 says nothing."""
    return NOT_DELIVERED if value == "9" else _GESLACHT[value]


def leerjaar(value: str) -> Delivered[int]:
    """The leerjaar of secondary education; any other code says nothing of it."""
    return _SECONDARY.get(value, NOT_DELIVERED)


def first_day_gone(value: date, first: date | None) -> date:
    """The first day on which the leerling is gone (half-open); not before the first day."""
    if first is not None and value <= first:
        raise RuleBrokenError("must be after the first day")
    return value


def groep_key(key: str, schooljaar: str | None) -> str:
    """The key, a slash, and the first calendar year of the schooljaar."""
    return f"{key}/{schooljaar[:4]}" if schooljaar else key


def own_or_asked_vestiging(asked: str, own: str | None) -> str:
    """The vestiging of the leerling; where none is told, the one that is asked for."""
    return own or asked


def vestigingsnummer(brin: str, dependance: str | None) -> str:
    """BRIN and dependancecode; no dependancecode is 00."""
    return Vestigingsnummer.check(f"{brin}{dependance or '00'}")


def number_as_name(asked: str, brin: str | None, dependance: str | None) -> str:
    """The vestigingsnummer, or the key that is asked for: UWLR tells no name."""
    return vestigingsnummer(brin, dependance) if brin else tidy(asked)


def has_sofinummer(record: Any) -> bool:
    """Where the number stands under its older name."""
    return record.sofinummer is not None


def has_no_sofinummer(record: Any) -> bool:
    """Where the number does not stand under its older name."""
    return record.sofinummer is None


_PERSON: Final = (
    Row("achternaam", ("achternaam",), f.text),
    Row("voorvoegsel", ("voorvoegsel",), f.text),
    Row("roepnaam", ("roepnaam",), f.text),
    Row("voorletters", ("voorletters_1",), f.text),
    Row("eck_id", ("eckid",), f.eck_id),
    Row("email", ("emailadres",), f.email),
    Row("gebruikersnaam", ("gebruikersnaam",), f.text),
)

SCHOOL: Final = Table(
    Entity.VESTIGING,
    (
        Row(
            "naam",
            ("@vestiging",),
            number_as_name,
            beside=("brincode", "dependancecode"),
            strength=Strength.WEAK,
        ),
        Row("vestigingsnummer", ("brincode",), vestigingsnummer, beside=("dependancecode",)),
    ),
    model=School,
)

VESTIGING: Final = Table(
    Entity.VESTIGING, (Row("naam", ("naam",), f.text, strength=Strength.WEAK),), model=Vestiging
)

LEERLING: Final = Table(
    Entity.LEERLING,
    (
        *_PERSON,
        Row("voornamen", ("voornamen",), f.text),
        Row("geslacht", ("geslacht",), geslacht),
        Row("geboortedatum", ("geboortedatum",), f.day),
        Row("bsn", ("bsn",), f.bsn, condition=has_no_sofinummer),
        Row("bsn", ("sofinummer",), f.bsn, condition=has_sofinummer),
        Row("onderwijsnummer", ("onderwijsnummer",), f.onderwijsnummer),
    ),
    model=Leerling,
)

INSCHRIJVING: Final = Table(
    Entity.INSCHRIJVING,
    (
        Row("leerling", ("@leerling",), f.reference),
        Row("vestiging", ("@vestiging",), own_or_asked_vestiging, beside=("vestiging",)),
        Row("stamgroep", ("groep",), groep_key, beside=("@schooljaar",)),
        Row("schooljaar", ("@schooljaar",), f.schooljaar),
        Row("leerjaar", ("jaargroep",), leerjaar),
        Row("geldig_van", ("instroomdatum",), f.day),
        Row("geldig_tot", ("uitstroomdatum",), first_day_gone, beside=("instroomdatum",)),
    ),
    model=Leerling,
)

MEDEWERKER: Final = Table(Entity.MEDEWERKER, _PERSON, model=Leerkracht)

_GROEP: Final = (
    Row("naam", ("naam",), f.text),
    Row("soort", ("@soort",), f.text),
    Row("omschrijving", ("omschrijving",), f.text),
    Row("schooljaar", ("@schooljaar",), f.schooljaar),
    Row("vestiging", ("@vestiging",), f.reference),
    Row("leerlingen", ("leerlingen",), f.members),
    Row("docenten", ("leerkrachten",), f.members),
    Row("geldig_van", ("@schooljaar",), f.schooljaar_start),
    Row("geldig_tot", ("@schooljaar",), f.schooljaar_end),
)

STAMGROEP: Final = Table(
    Entity.GROEP, (*_GROEP, Row("leerjaar", ("jaargroep",), leerjaar)), model=Groep
)

LESGROEP: Final = Table(Entity.GROEP, _GROEP, model=SamengesteldeGroep)


_PLACED: Final = ("jaargroep", "instroomdatum", "uitstroomdatum")


def _inschrijving(record: Leerling, sight: Sight) -> Iterator[Item]:
    """One for each leerling, where the answer says anything that stands in one."""
    key, place = record.source_key, sight.around["vestiging"]
    if key is None or not any(sight.contract.delivers(name) for name in _PLACED):
        sight.silent.add(Entity.INSCHRIJVING)
        return
    known = {**sight.around, "leerling": key}
    yield Item(record, groep_key(f"{key}/{place}", _year(sight)), around=known)


def _year(sight: Sight) -> str | None:
    year = sight.around.get("schooljaar")
    return year if isinstance(year, str) else None


def _groep(record: Any, sight: Sight, *, soort: str) -> Iterable[Item]:
    key = groep_key(record.key, _year(sight))
    return (Item(record, key, around={**sight.around, "soort": soort}),)


def _stamgroep(record: Groep, sight: Sight) -> Iterable[Item]:
    return _groep(record, sight, soort="stamgroep")


def _lesgroep(record: SamengesteldeGroep, sight: Sight) -> Iterable[Item]:
    return _groep(record, sight, soort="lesgroep")


MAPPING: Final = TabularMapping(
    "uwlr",
    number=NUMBER,
    around=around,
    resources={
        "school": (itself(SCHOOL),),
        "vestiging": (itself(VESTIGING),),
        "leerkracht": (itself(MEDEWERKER, key="source_key"),),
        "leerling": (
            itself(LEERLING, key="source_key"),
            Part(INSCHRIJVING, _inschrijving),
        ),
        "groep": (Part(STAMGROEP, _stamgroep),),
        "samengestelde_groep": (Part(LESGROEP, _lesgroep),),
    },
)
