"""A small school in memory that changes its number, its records or its koppeling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from mappings.canonical.fields import Entity
from sync_engine import runs
from sync_engine.options import Kind, Options
from sync_engine.outcome import RunReport
from sync_engine.renumbering import Change, Herinrichting
from tests.support.hubs import Bench
from tests.support.memory import MemorySource

OLD, NEW = "99XX01", "99YY03"
YEAR = "2026/2027"
PUPILS = ("a", "b", "c", "d")
CLOSABLE = (
    Entity.VESTIGING,
    Entity.LEERLING,
    Entity.VERZORGER,
    Entity.GROEP,
    Entity.INSCHRIJVING,
    Entity.VAK,
    Entity.OPLEIDING,
)
WHOLE: dict[str, Any] = {
    "close": {"share": 1.0, "floor": 0},
    "create": {"share": 9.0},
    "change": {"share": 1.0},
    "empty": {"share": 1.0},
    "desert": {"share": 1.0},
}


@dataclass
class Names:
    """How a source names the records of the school.

    Attributes:
        of: what its keys end in: another end is other records.
        persons: the same of persons.
        number: of the vestiging.
        leerlingnummers: whether they are those of before.
        known: the pupils that have an ECK iD.
    """

    of: str = ""
    persons: str = ""
    number: str = OLD
    leerlingnummers: bool = True
    known: str = "ab"
    start: str = "2026-08-01"
    opleiding: bool = True


def fill(source: MemorySource, scope: str, names: Names) -> None:
    """Two klassen of two pupils each, with all that is theirs."""
    end, who = names.of, names.persons
    source.brins[scope] = (names.number, names.number[:4])
    put = source.put
    put(Entity.VESTIGING, f"v{end}", scope, naam="Noord", vestigingsnummer=names.number)
    put(Entity.OPLEIDING, f"o{end}", scope, naam="vmbo", code="0211", vestiging=f"v{end}")
    put(Entity.VAK, f"w{end}", scope, naam="Wiskunde", afkorting="wi", vestiging=f"v{end}")
    for number, pupil in enumerate(PUPILS):
        given: dict[str, Any] = (
            {"eck_id": f"https://ketenid.nl/201703/{'b' * 127}{number}"}
            if pupil in names.known
            else {}
        )
        put(
            Entity.LEERLING,
            f"{pupil}{who}",
            scope,
            achternaam=f"Jansen{pupil}",
            roepnaam=f"Kind{pupil}",
            geboortedatum=f"2013-01-0{number + 1}",
            leerlingnummer=str((1000 if names.leerlingnummers else 7000) + number),
            adres={"postcode": f"123{number}AB", "huisnummer": "1"},
            **given,
        )
        put(
            Entity.VERZORGER,
            f"ouder {pupil}{who}",
            scope,
            achternaam=f"Jansen{pupil}",
            voorletters="O.",
            email=f"{pupil}@ouder.example",
        )
        put(
            Entity.VERZORGER_RELATIE,
            f"relatie {pupil}{who}",
            scope,
            verzorger=f"ouder {pupil}{who}",
            leerling=f"{pupil}{who}",
        )
        put(
            Entity.INSCHRIJVING,
            f"i{pupil}{end}",
            scope,
            leerling=f"{pupil}{who}",
            vestiging=f"v{end}",
            **({"opleiding": f"o{end}"} if names.opleiding else {}),
            stamgroep=f"g{number // 2}{end}",
            schooljaar=YEAR,
            geldig_van=names.start,
            geldig_tot="2027-08-01",
        )
    for number, members in enumerate(("ab", "cd")):
        put(
            Entity.GROEP,
            f"g{number}{end}",
            scope,
            naam=f"{number + 1}A",
            soort="stamgroep",
            schooljaar=YEAR,
            vestiging=f"v{end}",
            leerlingen=[f"{pupil}{who}" for pupil in members],
        )


def herinrichting(*changes: Change, on: date = date(2026, 10, 1)) -> Herinrichting:
    """Of the vestiging by default."""
    return Herinrichting("fusie", on, changes or (Change(OLD, NEW),))


def apply(bench: Bench, made: Herinrichting, name: str = "s0", **options: Any) -> RunReport:
    """Put it in force, as a person does."""
    chosen = Options(kind=Kind.DECIDE, herinrichting=made, operator="jan", why="fusie")
    report = runs.run(bench.hub, name, replace(chosen, **options))
    assert report.error == "", report.error
    return report


def ids(bench: Bench) -> dict[Entity, list[int]]:
    """Every record of the school, by entity."""
    return {
        entity: [row[0] for row in bench.query(f"SELECT id FROM {entity} ORDER BY id")]
        for entity in CLOSABLE
    }


def open_rows(bench: Bench) -> dict[str, list[Any]]:
    """What has not ended: inschrijvingen and memberships, and persons and groepen by inference."""
    found = {
        str(entity): bench.query(
            f"SELECT id FROM {entity} WHERE geldig_tot IS NULL OR NOT tot_afgeleid ORDER BY id"
        )
        for entity in CLOSABLE
    }
    found["groepsdeelname"] = bench.query(
        "SELECT groep_id, rol, persoon_id FROM groepsdeelname WHERE NOT beeindigd ORDER BY 1, 2, 3"
    )
    return found


def numbers(bench: Bench) -> list[str]:
    """The vestigingsnummers of the core."""
    return [row[0] for row in bench.query("SELECT vestigingsnummer FROM vestiging ORDER BY id")]


def leave_scope(source: MemorySource, scope: str) -> None:
    """The source lists a scope no more."""
    source.scope_keys = tuple(key for key in source.scope_keys if key != scope)
