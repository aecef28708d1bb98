"""Whatever came and went: once a person is erased, the core is as if there had never been one.

One history is lived twice: with a pupil who is erased somewhere in it, whom his school goes on
delivering, under other keys too; and without him. Of him no byte stands in the database; everybody
else is the same in both.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine.erasure import acts
from sync_engine.options import Kind
from tests.property.stores import on_sqlite
from tests.property.test_convergence import NEVER_HELD, template
from tests.support.coredump import CoreDump, core_dump
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource
from tests.support.readable import readable
from tests.unit.sync_engine.test_erasure import traces

__all__ = ["template"]

CANARY = "Wisselingk"
HIS = "lkanarie"
"""How every key of his begins."""
DOES = st.sampled_from(
    [
        *("rename 0", "rename 1", "leave 1", "return 1", "result 0", "groep", "full", "delta"),
        *("his name", "his second record", "his other source", "his result", "his number"),
    ]
)
HISTORY = st.lists(DOES, min_size=3, max_size=7)


class Lived:
    """One history, with him or without."""

    def __init__(self, made: Bench, *, with_him: bool) -> None:
        self.made, self.with_him = made, with_him
        self.count = 0
        made.policy(guards=NEVER_HELD, absence={"block_shrink": 1.0, "shrink_floor": 1000})
        for name in made.sources:
            made.sources[name].put(Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
        self.pupil("s0", "l0", 1)
        self.pupil("s0", "l1", 2)
        self.pupil("s1", "l0", 1)
        source = made.sources["s0"]
        source.put(Entity.VERZORGER, "samen", achternaam="Samen")
        source.put(Entity.VERZORGER_RELATIE, "r0", verzorger="samen", leerling="l0")
        self.him("s0", HIS)
        if with_him:
            source.put(Entity.VERZORGER, f"o{HIS}", achternaam=f"Ouder{CANARY}")
            for key, guardian in ((f"r1{HIS}", f"o{HIS}"), (f"r2{HIS}", "samen")):
                source.put(Entity.VERZORGER_RELATIE, key, verzorger=guardian, leerling=HIS)
        self.groep("l0", "l1")

    def pupil(self, source: str, key: str, number: int, **values: Any) -> None:
        said = {"achternaam": f"Jansen{number}", "geboortedatum": f"2012-03-0{number}"}
        told = said | {"bsn": synthetic_bsn(number), "leerlingnummer": str(100 + number)} | values
        self.made.sources[source].put(Entity.LEERLING, key, **told)
        place = {"leerling": key, "vestiging": "v", "schooljaar": "2026/2027"}
        self.made.sources[source].put(Entity.INSCHRIJVING, f"i{key}", **place)

    def him(self, source: str, key: str, **values: Any) -> None:
        if self.with_him:
            self.pupil(source, key, 3, **{"achternaam": CANARY, **values})

    def groep(self, *members: str) -> None:
        told = {"naam": "1A", "soort": "stamgroep", "schooljaar": "2026/2027", "vestiging": "v"}
        everybody = [*members, *([HIS] if self.with_him else [])]
        self.made.sources["s0"].put(Entity.GROEP, "g", **told, leerlingen=everybody)

    def does(self, what: str) -> None:
        self.count += 1
        source = self.made.sources["s0"]
        match what.split():
            case ["rename", number]:
                self.pupil("s0", f"l{number}", int(number) + 1, roepnaam=f"Naam{self.count}")
            case ["leave", number]:
                source.remove(Entity.LEERLING, f"l{number}")
                source.remove(Entity.INSCHRIJVING, f"il{number}")
            case ["return", number]:
                self.pupil("s0", f"l{number}", int(number) + 1)
            case ["result", number]:
                source.put(Entity.TOETSRESULTAAT, "t0", leerling=f"l{number}", resultaat="7")
            case ["groep"]:
                self.groep("l0")
            case ["his", "name"]:
                self.him("s0", HIS, roepnaam=f"{CANARY}{self.count}")
            case ["his", "second", _]:
                self.him("s0", f"{HIS}2")
            case ["his", "other", _]:
                self.him("s1", f"{HIS}1", leerlingnummer="900")
            case ["his", "number"]:
                self.him("s0", HIS, leerlingnummer="555")
            case ["his", "result"] if self.with_him:
                source.put(Entity.TOETSRESULTAAT, f"t{HIS}", leerling=HIS, resultaat="9")
        kind = Kind.DELTA if what == "delta" else Kind.FULL
        self.made.later()
        for name in self.made.sources:
            self.made.sync(name, kind=kind)

    def erase(self) -> None:
        if self.with_him:
            core_id = self.made.core(Entity.LEERLING, HIS)
            why: Any = {"operator": "test", "why": "test", "despite_retention": True}
            acts.erase(self.made.hub, Entity.LEERLING, core_id, **why)


def live(template: Path, history: list[str], at: int, *, with_him: bool) -> CoreDump:
    """The core at the end; test_erasure.py and the kills hold PostgreSQL to the same statements."""
    folder = Path(tempfile.mkdtemp(prefix="koppelhub-erasure-"))
    try:
        with on_sqlite(template) as store:
            sources = {name: MemorySource(tuple(Entity)) for name in ("s0", "s1")}
            made = bench(store, folder, sources=sources)
            try:
                lived = Lived(made, with_him=with_him)
                lived.does("full")
                for place, what in enumerate(history):
                    if place == at:
                        lived.erase()
                    lived.does(what)
                if at >= len(history):
                    lived.erase()
                for _ in range(2):
                    lived.does("full")
                assert not any(report.waiting for report in made.reports[-2:])
                if with_him:
                    assert made.reports[-2].suppressed > 0
                    assert traces(made, CANARY, HIS) == []
                    assert readable(made, CANARY) == []
                return core_dump(made.hub)
            finally:
                made.close()
    finally:
        shutil.rmtree(folder)


def test_after_an_erasure_everything_is_as_if_he_had_never_been(template: Path) -> None:
    @settings(max_examples=6, deadline=None)
    @given(history=HISTORY, at=st.integers(0, 7))
    def play(history: list[str], at: int) -> None:
        with_him, without = (live(template, history, at, with_him=him) for him in (True, False))
        assert with_him == without

    play()
