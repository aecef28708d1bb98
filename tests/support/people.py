"""A board with two vestigingen, two administrations and a koppeling that may ask for PGNs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sector.identifiers import Bsn, Onderwijsnummer, elfproef
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.memory import MemoryMapping, MemorySource

VMBO: Final = "99XX00"
HAVO: Final = "99XX01"

CONFIGURATION: Final = """
[database]
url = "sqlite:///unused.db"
[keys]
file = "keys.json"
[[tenant]]
name = "bestuur"
title = "Bestuur"
[[tenant.school]]
brin = "99XX"
name = "School"
[[source]]
name = "las"
system = "memory"
tenant = "bestuur"
[[source.pgn]]
purpose = "eckid"
legal_basis = "WVO 2020"
agreed_on = 2026-08-01
[[source]]
name = "anders"
system = "memory"
tenant = "bestuur"
[[source.pgn]]
purpose = "rod"
legal_basis = "WVO 2020"
agreed_on = 2026-08-01
"""
ASKS: Final = """
[[source]]
name = "eck"
system = "pseudo"
tenant = "bestuur"
"""
PURPOSE: Final = """
[[source.pgn]]
purpose = "eckid"
legal_basis = "Regeling pseudonimisering onderwijsdeelnemers"
agreed_on = 2026-08-01
"""


def administration() -> MemorySource:
    """A source with two vestigingen and nobody at them."""
    source = MemorySource(tuple(Entity), brins={"hoofd": (VMBO, HAVO, "99XX")})
    source.put(Entity.INSTELLING, "i", naam="School", brin="99XX")
    for number in (VMBO, HAVO):
        source.put(
            Entity.VESTIGING, number, naam=f"Naam {number}", vestigingsnummer=number, instelling="i"
        )
    return source


def enrol(
    source: MemorySource,
    key: str,
    at: str = VMBO,
    *,
    first: str = "2025-08-01",
    last: str | None = None,
    number: str = "",
    **person: Any,
) -> None:
    """Put a leerling in a source, with one inschrijving at a vestiging; `last` is half-open."""
    born = f"2012-04-{1 + sum(key.encode()) % 28:02d}"
    values = {"achternaam": f"Naam {key}", "geboortedatum": born, **person}
    source.put(Entity.LEERLING, key, **values)
    source.put(
        Entity.INSCHRIJVING,
        f"{key}/{at}{number}",
        leerling=key,
        vestiging=at,
        geldig_van=first,
        geldig_tot=last,
    )


def people_bench(
    store: Store,
    folder: Path,
    *,
    purpose: str = PURPOSE,
    mapping: MemoryMapping | None = None,
) -> Bench:
    """A bench with koppelingen `las` (may tell for eckid), `anders` (may not) and `eck` (asks)."""
    sources = {
        "las": administration(),
        "anders": administration(),
    }
    configuration = CONFIGURATION + ASKS + purpose
    pseudo = mapping or MemoryMapping("pseudo")
    return bench(store, folder, sources=sources, mappings=[pseudo], configuration=configuration)


def bsn(number: int) -> Bsn:
    """A BSN that cannot be anybody's."""
    return Bsn(synthetic_bsn(7000 + number))


def onderwijsnummer(number: int) -> Onderwijsnummer:
    """A number that passes the check of an onderwijsnummer."""
    text = next(text for rest in range(100) if elfproef(text := f"1{number:06d}{rest:02d}") == 5)
    return Onderwijsnummer(text)
