"""A groep is looked up with its members, through the source's own look-up or out of its scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Reading, Scope
from connectors.errors import RequestRefusedError
from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.find import hub_key
from sync_engine.groups import find_groups
from sync_engine.outcome import Outcome, RunReport
from sync_engine.runs import Kind
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.memory import MemoryConnector, MemorySource

Make = Callable[..., Bench]
READ = (Entity.VESTIGING, Entity.MEDEWERKER, Entity.LEERLING, Entity.GROEP)
PUPILS = tuple("abcdefgh")


class Asked:
    """What a connector was asked: (resource, scope, keys), None for a whole scope."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str, tuple[str, ...] | None]] = []
        lookup, snapshot = MemoryConnector.lookup, MemoryConnector.snapshot

        def looked_up(connector: MemoryConnector, scope: Scope, *, keys: Any) -> Reading:
            self.calls.append((scope.resource, scope.key, tuple(sorted(keys))))
            return lookup(connector, scope, keys=keys)

        def read(connector: MemoryConnector, scope: Scope) -> Reading:
            self.calls.append((scope.resource, scope.key, None))
            return snapshot(connector, scope)

        monkeypatch.setattr(MemoryConnector, "lookup", looked_up)
        monkeypatch.setattr(MemoryConnector, "snapshot", read)


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def make(*scopes: str) -> Bench:
        source = MemorySource(READ, scope_keys=scopes or ("noord", "zuid"), page_size=2)
        made.append(bench(store, tmp_path, sources={"s0": source}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def school(make: Make, *scopes: str) -> Bench:
    """Two vestigingen; groep 3A in one, with four pupils and a mentor; 3B in the other."""
    bench = make(*scopes)
    source = bench.sources["s0"]
    north, south = source.scope_keys[0], source.scope_keys[-1]
    for number, key in enumerate(PUPILS):
        source.put(Entity.LEERLING, key, north if number < 4 else south, achternaam="Jansen")
    for key in ("m1", "m2"):
        source.put(Entity.MEDEWERKER, key, north, achternaam="Smit")
    group(bench, "g1", north, "3A", leerlingen=list("abcd"), eerste_mentoren=["m1"])
    group(bench, "g2", south, "3B", leerlingen=list("efgh"))
    bench.sync()
    return bench


def group(bench: Bench, key: str, scope: str, name: str, **values: Any) -> None:
    values = {"soort": "stamgroep", "schooljaar": "2026/2027", **values}
    bench.sources["s0"].put(Entity.GROEP, key, scope, naam=name, **values)


def rename(bench: Bench) -> None:
    """Every pupil of the source has another name now."""
    source = bench.sources["s0"]
    for (resource, scope), records in source.records.items():
        if resource == "leerling":
            for key in records:
                source.put(Entity.LEERLING, key, scope, achternaam="Nieuw")


def look_up(bench: Bench, *wanted: str, **options: Any) -> RunReport:
    groups = find_groups(bench.hub, "s0", wanted)
    return bench.sync(kind=Kind.ONLY, groups=groups, **options)


def renamed(bench: Bench) -> set[str]:
    rows = bench.query(
        "SELECT l.source_key FROM leerling c JOIN link l ON l.core_id = c.id "
        "AND l.entity = 'leerling' WHERE c.achternaam = 'Nieuw'"
    )
    return {row[0] for row in rows}


def members(bench: Bench, key: str, role: str = "leerling") -> set[str]:
    rows = bench.query(
        "SELECT l.source_key FROM groepsdeelname d JOIN link l ON l.core_id = d.persoon_id "
        "WHERE NOT d.beeindigd AND d.rol = ? AND d.groep_id = ?",
        role,
        bench.core(Entity.GROEP, key),
    )
    return {row[0] for row in rows}


def test_a_groep_and_its_members_are_looked_up_and_nothing_else(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = school(make)
    rename(bench)
    group(bench, "g1", "noord", "3A nieuw", leerlingen=list("abcd"), eerste_mentoren=["m1"])
    asked = Asked(monkeypatch)
    report = look_up(bench, "3A")
    assert asked.calls == [
        ("groep", "noord", ("g1",)),
        ("medewerker", "noord", ("m1",)),
        ("leerling", "noord", tuple("abcd")),
    ]
    assert report.outcome is Outcome.DONE
    assert report.applied == {"groep.change": 1, "leerling.change": 4}
    assert renamed(bench) == set("abcd")


def test_who_joined_and_who_left_are_looked_up_too(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "x", "noord", achternaam="Nieuw")  # the hub never saw him
    source.put(Entity.LEERLING, "e", "zuid", achternaam="Nieuw")  # of the other vestiging
    source.put(Entity.LEERLING, "a", "noord", achternaam="Nieuw")  # left the groep
    group(bench, "g1", "noord", "3A", leerlingen=["b", "c", "x", "e"], eerste_mentoren=["m2"])
    report = look_up(bench, "3A")
    assert report.applied == {"groep.change": 1, "leerling.change": 2, "leerling.create": 1}
    assert renamed(bench) == {"a", "e", "x"}
    assert members(bench, "g1") == {"b", "c", "x", "e"}
    assert members(bench, "g1", "eerste_mentor") == {"m2"}
    assert bench.sync().steps == {}


def test_a_preview_of_a_groep_shows_who_joined_and_changes_nothing(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].put(Entity.LEERLING, "x", "noord", achternaam="Nieuw")
    group(bench, "g1", "noord", "3A", leerlingen=list("abcdx"), eerste_mentoren=["m1"])
    before = bench.dump()
    shown = look_up(bench, "3A", dry=True)
    assert bench.dump() == before
    assert shown.steps == {"groep.change": 1, "leerling.create": 1}
    assert look_up(bench, "3A").applied == shown.steps


def test_who_is_not_shown_is_not_gone(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.remove(Entity.LEERLING, "a", "noord")
    source.remove(Entity.GROEP, "g1", "noord")
    for _ in range(3):
        bench.later()
        look_up(bench, "3A")
    assert members(bench, "g1") == set("abcd")
    assert bench.query("SELECT COUNT(*) FROM source_record WHERE missing_since IS NOT NULL") == [
        (0,)
    ]
    assert not bench.query("SELECT 1 FROM leerling WHERE geldig_tot IS NOT NULL")


def test_a_look_up_of_a_groep_moves_no_cursor_and_completes_no_scope(make: Make) -> None:
    bench = school(make)
    asked = (
        "SELECT id, complete_at, complete_count, contract_fp, ended_run FROM scope ORDER BY id",
        "SELECT scope_id, value, run_id FROM source_cursor ORDER BY scope_id",
    )
    before = [bench.query(sql) for sql in asked]
    bench.later()
    bench.sources["s0"].scope_keys = ("noord",)  # only a whole run says that a scope has ended
    look_up(bench, "3A")
    assert [bench.query(sql) for sql in asked] == before


# -- a source without look-ups ---------------------------------------------------------------------


@pytest.mark.usefixtures("without_look_up")
def test_without_look_ups_only_the_scopes_that_hold_it_are_read(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = school(make)
    bench.sources["s0"].put(Entity.LEERLING, "0", "noord", achternaam="Jansen")  # in no groep
    bench.sync()
    rename(bench)
    bench.sources["s0"].remove(Entity.LEERLING, "d", "noord")
    asked = Asked(monkeypatch)
    before = bench.query("SELECT id, complete_at, contract_fp FROM scope ORDER BY id")
    bench.later()
    report = look_up(bench, "3A")
    assert asked.calls == [
        ("groep", "noord", None),
        ("medewerker", "noord", None),
        ("leerling", "noord", None),
    ]
    assert report.applied == {"leerling.change": 3}
    assert renamed(bench) == set("abc")
    assert bench.query("SELECT id, complete_at, contract_fp FROM scope ORDER BY id") == before
    assert bench.query("SELECT COUNT(*) FROM source_record WHERE missing_since IS NOT NULL") == [
        (0,)
    ]


@pytest.mark.usefixtures("without_look_up")
def test_reading_ends_as_soon_as_everybody_was_met(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    for number in range(9):
        source.put(Entity.LEERLING, f"x{number}", "noord", achternaam="Ander")
    bench.sync()
    source.said.clear()
    look_up(bench, "3A")
    (said,) = [said for said in source.said if said.resource == "leerling"]
    assert [key for key, _ in said.items] == list("abcd")  # two pages of seven


# -- which groep -----------------------------------------------------------------------------------


def test_a_groep_is_found_by_name_hub_key_and_key_of_the_source(make: Make) -> None:
    bench = school(make)
    core = bench.core(Entity.GROEP, "g1")
    for text in ("3A", " 3a ", "3-A", "g1", hub_key(core), hub_key(core).lower()):
        assert find_groups(bench.hub, "s0", [text]) == (core,)
    both = (core, bench.core(Entity.GROEP, "g2"))
    assert find_groups(bench.hub, "s0", ["3A", "3B", "g1"]) == both


def test_a_name_means_every_groep_of_this_schooljaar_that_has_it(make: Make) -> None:
    bench = school(make)
    group(bench, "g3", "zuid", "3A", soort="lesgroep")
    group(bench, "g4", "zuid", "3A", schooljaar="2027/2028")
    group(bench, "g5", "zuid", "3-A", soort="lesgroep")
    bench.sync()
    found = find_groups(bench.hub, "s0", ["3A"])
    assert set(found) == {bench.core(Entity.GROEP, key) for key in ("g1", "g3")}
    assert find_groups(bench.hub, "s0", ["g4"]) == (bench.core(Entity.GROEP, "g4"),)


def test_a_groep_may_be_called_as_a_hub_key_is_shaped(make: Make) -> None:
    bench = school(make)
    group(bench, "g3", "zuid", "K-3A", soort="lesgroep")
    bench.sync()
    assert find_groups(bench.hub, "s0", ["k-3a"]) == (bench.core(Entity.GROEP, "g3"),)


def test_an_unknown_groep_names_what_comes_nearest(make: Make) -> None:
    bench = school(make)
    group(bench, "g3", "zuid", "Wiskunde havo 4", soort="lesgroep")
    bench.sync()
    for text, near in (("3", "3A, 3B"), ("Wiskunde hav 4", "Wiskunde havo 4")):
        with pytest.raises(SyncError) as caught:
            find_groups(bench.hub, "s0", [text])
        assert f"Bedoelt u: {near}?" in caught.value.advice
        assert text not in str(caught.value)
    with pytest.raises(SyncError) as caught:
        find_groups(bench.hub, "s0", ["toverstaf"])
    assert "de hub kent 3 namen" in caught.value.advice
    with pytest.raises(SyncError):
        find_groups(bench.hub, "s0", [hub_key(bench.core(Entity.LEERLING, "a"))])
    with pytest.raises(SyncError):
        find_groups(bench.hub, "s0", [" "])


def test_a_scope_that_refuses_stops_no_other(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = school(make)
    rename(bench)
    lookup = MemoryConnector.lookup

    def refused(self: MemoryConnector, scope: Scope, *, keys: Any) -> Reading:
        if scope.resource == "groep":
            raise RequestRefusedError("no", code="403", system="memory", operation="read")
        return lookup(self, scope, keys=keys)

    monkeypatch.setattr(MemoryConnector, "lookup", refused)
    report = look_up(bench, "3A")
    assert report.outcome is Outcome.PARTIAL
    assert renamed(bench) == set("abcd")
