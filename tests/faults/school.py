"""A school that is the same in every process: two sources of one tenant, and what a day changes.

`las` holds the whole school, `lvs` knows the same leerlingen by BSN and brings results. All of it
is computed from a day and a size, so that a process that starts afresh sees what the killed one
saw.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.clock import Clock, FixedClock
from config.keyring import Keyring
from config.settings import Settings
from config.sources import Source
from connectors.base import Connector
from mappings.canonical.fields import Entity
from mappings.mapping import Mapping
from sync_engine.hub import Hub
from sync_engine.store.engine import Store
from sync_engine.store.keys import record_keys
from tests.support.memory import MemoryConnector, MemoryMapping, MemorySource

SOURCES = ("las", "lvs")
FIRST = datetime(2026, 10, 5, 1, 0, tzinfo=UTC)

_YEAR = {"geldig_van": "2026-08-01", "geldig_tot": "2027-08-01"}
_LAS = (
    Entity.VESTIGING,
    Entity.VAK,
    Entity.MEDEWERKER,
    Entity.LEERLING,
    Entity.VERZORGER,
    Entity.GROEP,
    Entity.INSCHRIJVING,
    Entity.VERZORGER_RELATIE,
    Entity.TOETSRESULTAAT,
)
_LVS = (Entity.LEERLING, Entity.TOETS, Entity.TOETSRESULTAAT)
_SETTINGS = """
[database]
url = "sqlite:///hub.db"
[keys]
file = "keys.json"
[[tenant]]
name = "bestuur"
title = "Bestuur"
[[tenant.school]]
brin = "99XX"
name = "Haven"
[[source]]
name = "las"
system = "memory"
tenant = "bestuur"
[[source]]
name = "lvs"
system = "memory"
tenant = "bestuur"
"""


class MemoryHub(Hub):
    """A hub whose sources are in memory; nothing else differs."""

    def mapping(self, system: str) -> Mapping:
        """The identity, whatever the system."""
        return MemoryMapping()


def moment(day: int) -> datetime:
    """When the run of a day begins."""
    return FIRST + timedelta(days=day)


def init(folder: Path, url: str) -> None:
    """What `init` does: settings, keys, schema, check values."""
    settings = folder / "koppelhub.toml"
    if not settings.exists():
        settings.write_text(_SETTINGS)
        Keyring.create(folder / "keys.json")
    with Store.open(url, create=True) as store:
        store.upgrade()
        record_keys(store, Keyring.load(folder / "keys.json"), now=FIRST)


def open_hub(
    folder: Path,
    url: str,
    *,
    day: int = 0,
    connect: Callable[[Source, Clock], Connector] | None = None,
) -> MemoryHub:
    """The hub as it stands on that day; `connect` may be left out where nothing is run."""
    settings = Settings.load(folder / "koppelhub.toml", env={"KOPPELHUB_DATABASE__URL": url})
    hub = MemoryHub.open(settings, FixedClock(moment(day)), connect=connect or _no_source)
    assert isinstance(hub, MemoryHub)
    return hub


def _no_source(source: Source, clock: Clock) -> Connector:
    raise LookupError


@dataclass(frozen=True)
class School:
    """How many leerlingen it has, and how many days have passed."""

    pupils: int
    day: int

    def connector(self, source: Source, clock: Clock) -> Connector:
        """What a hub is handed as `connect`."""
        return MemoryConnector(self.source(source.name))

    def source(self, name: str) -> MemorySource:
        """One of its sources, with all that happened up to and including this day."""
        made = MemorySource(_LAS if name == "las" else _LVS, page_size=25)
        writer = _Las(made, self.pupils) if name == "las" else _Lvs(made, self.pupils)
        for day in range(self.day + 1):
            writer.play(day)
        return made


class _Lvs:
    """What the test supplier knows."""

    def __init__(self, source: MemorySource, pupils: int) -> None:
        self.source, self.pupils = source, pupils

    def play(self, day: int) -> None:
        put = self.source.put
        if day:
            put(Entity.LEERLING, "L1", achternaam=f"Elders{day}", bsn=_bsn(1))
            put(Entity.TOETSRESULTAAT, f"d{day}", leerling="L2", toets="T1", resultaat=str(day))
            return
        put(Entity.TOETS, "T1", naam="Lezen")
        for number in range(0, self.pupils, 2):
            put(Entity.LEERLING, f"L{number}", achternaam=f"Ander{number}", bsn=_bsn(number))
            put(
                Entity.TOETSRESULTAAT,
                f"r{number}",
                leerling=f"L{number}",
                toets="T1",
                resultaat=str(number % 10),
            )
        put(Entity.LEERLING, "L1", achternaam="Elders", bsn=_bsn(1))


class _Las:
    """What the school's administration knows."""

    def __init__(self, source: MemorySource, pupils: int) -> None:
        self.source, self.pupils = source, pupils
        self.members: dict[int, list[str]] = {}

    def play(self, day: int) -> None:
        if day == 0:
            self._first_day()
        else:
            self._later(day)

    def _first_day(self) -> None:
        put = self.source.put
        for number in (1, 2):
            put(Entity.VESTIGING, f"v{number}", naam=f"Haven {number}", brins=["99XX"])
        for number in range(8):
            put(Entity.VAK, f"k{number}", naam=f"Vak {number}", afkorting=f"k{number}")
            put(Entity.MEDEWERKER, f"m{number}", achternaam=f"Docent{number}")
        for number in range(self.pupils):
            self._pupil(number)
        for number in range(40):
            self._result(number)
        for group in range(self._groups()):
            first = range(group, self.pupils, self._groups())
            self.members[group] = [f"l{number}" for number in first]
            self._group(group)

    def _later(self, day: int) -> None:
        """Arrivals, leavers, new names, moves, corrections, what is broken, what comes late."""
        chance = random.Random(day)  # noqa: S311 -- who moves, no secrets
        put, remove = self.source.put, self.source.remove
        for extra in range(3):
            number = self.pupils + 3 * day + extra
            self._pupil(number)
            self.members[extra].append(f"l{number}")
        self.members[3].append(f"l{self.pupils + 3 * (day + 1)}")  # arrives tomorrow
        for number in chance.sample(range(10, self.pupils), 5):
            self._pupil(number, name=f"Anders{day}x{number}")
        for number in (2 * day, 2 * day + 1):
            remove(Entity.LEERLING, f"l{number}")
            remove(Entity.INSCHRIJVING, f"i{number}")
        for number in range(8 * day, 8 * day + 8):  # more than a guard lets pass
            remove(Entity.TOETSRESULTAAT, f"t{number}")
        self._pupil(1, bsn=_bsn(1))  # what lvs has as somebody of its own: one person after all
        put(Entity.LEERLING, "stuk", achternaam="Stuk", kapot=day % 2 == 1)
        for group in range(4):
            self.members[group] = self.members[group][1:]
            self._group(group)

    def _groups(self) -> int:
        return max(4, self.pupils // 25)

    def _group(self, group: int) -> None:
        self.source.put(
            Entity.GROEP,
            f"g{group}",
            naam=f"1{group}",
            soort="stamgroep",
            schooljaar="2026/2027",
            vestiging=f"v{1 + group % 2}",
            leerlingen=self.members[group],
            eerste_mentoren=[f"m{group % 8}"],
            **_YEAR,
        )

    def _pupil(self, number: int, *, name: str = "", bsn: str | None = None) -> None:
        put, guardian = self.source.put, f"o{number // 2}"
        put(
            Entity.LEERLING,
            f"l{number}",
            achternaam=name or f"Leerling{number}",
            geboortedatum=f"201{number % 5}-0{1 + number % 9}-1{number % 10}",
            leerlingnummer=str(10_000 + number),
            bsn=bsn if number == 1 else _bsn(number),
            email=f"l{number}@haven.example",
            adres={"straat": "Kade", "huisnummer": str(1 + number // 2)},
        )
        put(Entity.VERZORGER, guardian, achternaam=f"Ouder{number // 2}")
        put(
            Entity.VERZORGER_RELATIE,
            f"{guardian}/{number}",
            verzorger=guardian,
            leerling=f"l{number}",
        )
        put(
            Entity.INSCHRIJVING,
            f"i{number}",
            leerling=f"l{number}",
            vestiging=f"v{1 + number % 2}",
            stamgroep=f"g{number % self._groups()}",
            schooljaar="2026/2027",
            leerjaar=1 + number % 4,
            **_YEAR,
        )

    def _result(self, number: int) -> None:
        self.source.put(
            Entity.TOETSRESULTAAT,
            f"t{number}",
            leerling=f"l{10 + number % (self.pupils - 10)}",
            vak=f"k{number % 8}",
            resultaat=str(number % 10),
        )


def _bsn(number: int) -> str:
    """A number that passes the elfproef; no two are alike."""
    for stem in range(99_000_000 + 2 * number, 99_000_000 + 2 * number + 2):
        digits = f"{stem:08d}"
        last = sum(int(d) * w for d, w in zip(digits, range(9, 1, -1), strict=True)) % 11
        if last < 10:
            return f"{digits}{last}"
    raise ValueError(number)
