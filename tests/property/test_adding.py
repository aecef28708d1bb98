"""Whatever is obtained, in whatever order: the core is what it is without, and that beside it."""

from __future__ import annotations

import shutil
import tempfile
from datetime import date, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from mappings.mapping import Strength
from sync_engine.fold import Claim, Folded, FoldRules, fold
from sync_engine.hubkeys import hub_key
from sync_engine.options import Kind
from sync_engine.store.engine import Store
from tests.property.stores import on_sqlite
from tests.property.test_convergence import template
from tests.support.adding import AddingMapping, AddingSource, eck_ids
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource
from tests.support.snapshot import changed, core

__all__ = ["template"]

DAY = date(2026, 10, 5)
VALUES = eck_ids(4)
PUPILS = ("a", "b", "c")
NAME = "eck_verkregen"

RULES = FoldRules(
    authority=lambda entity, name, koppeling: ord(koppeling[0]) % 3,
    strength=lambda entity, name, koppeling: Strength.NORMAL,
)
DAYS = st.integers(0, 9).map(lambda n: DAY + timedelta(days=n))
CLAIMS = st.builds(
    Claim,
    shadow_id=st.just(1),
    koppeling=st.sampled_from("abc"),
    koppeling_id=st.integers(1, 3),
    source_key=st.sampled_from("xyz"),
    rank=st.integers(0, 1),
    scope=st.sampled_from("op"),
    form=st.fixed_dictionaries(
        {}, optional={"roepnaam": st.sampled_from(["Kim", None]), "leerlingnummer": st.just("7")}
    ),
    gone=st.booleans(),
    first_on=DAYS,
    observed_on=DAYS,
    held_until=st.none() | DAYS,
    run_id=st.just(1),
    ended=st.booleans(),
    adopted=st.booleans(),
    former=st.booleans(),
)
SILENT = st.builds(
    lambda claim, value, sector: Claim(
        claim.shadow_id,
        f"e{sector}",
        100 + sector,
        claim.source_key,
        claim.rank,
        claim.scope,
        {NAME: value and {"waarde": value, "sector": str(sector)}},
        claim.gone,
        claim.first_on,
        claim.observed_on,
        claim.held_until,
        claim.run_id,
        claim.ended,
        silent=True,
    ),
    CLAIMS,
    st.sampled_from([*VALUES, None]),
    st.integers(0, 1),
)


def told(folded: Folded) -> dict[str, Any]:
    """A fold without what was obtained, and without who gave what."""
    return {
        "values": {name: value for name, value in folded.values.items() if name != NAME},
        "issued": {at: value for at, value in folded.issued.items() if at[0] != NAME},
        "stands": (folded.closed, folded.start, folded.end, folded.inferred),
        "seen": (folded.first_on, folded.observed_on),
    }


def distinct(claims: list[Claim]) -> list[Claim]:
    """One shadow for each record of a scope, as the store has them."""
    found = {(c.koppeling, c.scope, c.source_key): c for c in claims}
    named = {c.koppeling: c.koppeling_id for c in claims}
    return [
        msgspec.structs.replace(c, ended=c.ended or c.adopted)  # what was adopted is read no more
        for c in found.values()
        if named[c.koppeling] == c.koppeling_id
    ]


@settings(max_examples=150)
@given(st.lists(CLAIMS, min_size=1, max_size=2), st.lists(SILENT, max_size=2))
def test_silent_claims_add_and_change_nothing_in_any_order(
    claims: list[Claim], silent: list[Claim]
) -> None:
    claims, silent = distinct(claims), distinct(silent)
    alone = fold(Entity.LEERLING, claims, pins={}, rules=RULES)
    every = [
        fold(Entity.LEERLING, order, pins={}, rules=RULES)
        for order in permutations([*claims, *silent])
    ]
    assert all(told(each) == told(alone) for each in every)
    kept = [{at: value for at, value in f.issued.items() if at[0] == NAME} for f in every]
    assert all(each == kept[0] for each in kept)
    assert set(kept[0]) == {(NAME, c.koppeling_id) for c in silent if c.form[NAME] is not None}


STEPS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(PUPILS), st.integers(0, 2)),
    st.tuples(st.just("remove"), st.sampled_from(PUPILS), st.just(0)),
    st.tuples(st.just("night"), st.just(""), st.just(0)),
    st.tuples(st.just("undo"), st.just(""), st.just(0)),
    st.tuples(st.just("obtain"), st.sampled_from(PUPILS), st.integers(0, 3)),
    st.tuples(st.just("lose"), st.sampled_from(PUPILS), st.just(0)),
    st.tuples(st.just("facility"), st.just(""), st.just(0)),
)


class Side:
    """One hub with a LAS, and what adds to it or nothing."""

    def __init__(self, folder: Path, store: Store, *, adds: bool) -> None:
        self.las = MemorySource((Entity.LEERLING,))
        sources: dict[str, MemorySource] = {"s0": self.las}
        if adds:
            sources["e"] = AddingSource()
        folder.mkdir(parents=True, exist_ok=True)
        self.bench: Bench = bench(store, folder, sources=sources, mappings=[AddingMapping()])
        self.bench.policy(guards={"close": {"number": 1_000_000, "share": None}})
        self.nights: list[int] = []

    def step(self, what: str, key: str, number: int) -> None:
        """Do one thing; what a hub without the koppeling cannot do passes it by."""
        adding = self.bench.sources.get("e")
        match what:
            case "put":
                name = f"Naam{number}"
                bsn = synthetic_bsn(PUPILS.index(key) + 1)
                self.las.put(Entity.LEERLING, key, achternaam=name, bsn=bsn)
            case "remove":
                self.las.remove(Entity.LEERLING, key)
            case "night":
                self.bench.later()
                self.nights.append(self.bench.sync("s0").run_id)
            case "undo" if self.nights:
                run = self.nights.pop()
                self.bench.sync("s0", kind=Kind.UNDO, undone=run, operator="test")
            case "obtain" if isinstance(adding, AddingSource):
                for (core_id,) in self._known(key):
                    adding.obtain(core_id, VALUES[number])
            case "lose" if isinstance(adding, AddingSource):
                for (core_id,) in self._known(key):
                    adding.remove(Entity.LEERLING, hub_key(core_id))
            case "facility" if adding is not None:
                assert self.bench.sync("e").error == ""
            case _:
                pass

    def _known(self, key: str) -> list[Any]:
        return self.bench.query(
            "SELECT core_id FROM link WHERE koppeling_id = 1 AND source_key = ?", key
        )

    def core(self) -> dict[str, Any]:
        """The core, without what was obtained and who obtained it."""
        found = core(self.bench)
        del found["match_key"]  # its keys are of one installation
        found["identificatie"] = [row for row in found["identificatie"] if row[0][1] != "eck_id"]
        found["link"] = [row for row in found["link"] if row[0] == 1]
        return found


@settings(max_examples=8)
@given(steps=st.lists(STEPS, min_size=8, max_size=16))
def test_the_core_is_what_it_is_without(steps: list[tuple[str, str, int]], template: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="koppelhub-adding-"))
    with on_sqlite(template) as one, on_sqlite(template) as other:
        beside, alone = Side(folder / "e", one, adds=True), Side(folder / "s", other, adds=False)
        for step in (*steps, ("night", "", 0), ("facility", "", 0)):
            for side in (beside, alone):
                side.step(*step)
            assert changed(alone.core(), beside.core()) == {}, step
        assert beside.bench.sync("e").steps == {}
        for side in (beside, alone):
            side.bench.close()
    shutil.rmtree(folder)
