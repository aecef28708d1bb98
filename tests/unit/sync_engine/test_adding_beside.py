"""What a koppeling obtained, beside all else that is done with its persons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine.find import look_up
from sync_engine.hubkeys import hub_key
from sync_engine.options import Kind
from sync_engine.outcome import Outcome
from sync_engine.past import state_of
from sync_engine.purge import purge
from sync_engine.resync import of_leerling, resync
from sync_engine.store.engine import Store
from tests.support.adding import AddingMapping, AddingSource, eck_ids
from tests.support.boards import NEW, OLD, Boards, boards, fill, sound
from tests.support.hubs import Bench
from tests.support.memory import MemorySource
from tests.unit.sync_engine.conftest import Make

ONE, TWO = eck_ids(2)
TWO_YEARS = 731 * 24


@pytest.fixture
def made(make: Make) -> Bench:
    """A LAS with two pupils, one of whom got an ECK iD."""
    las = MemorySource((Entity.VESTIGING, Entity.LEERLING, Entity.INSCHRIJVING))
    found = make({"s0": las, "e": AddingSource()}, mappings=[AddingMapping()])
    las.put(Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
    for number, key in enumerate("ab"):
        las.put(Entity.LEERLING, key, achternaam=key, bsn=synthetic_bsn(number + 1))
        las.put(Entity.INSCHRIJVING, f"i{key}", leerling=key, vestiging="v")
    found.sync("s0")
    adding(found).obtain(found.core(Entity.LEERLING, "a"), ONE)
    found.sync("e")
    return found


def adding(made: Bench, name: str = "e") -> AddingSource:
    source = made.sources[name]
    assert isinstance(source, AddingSource)
    return source


def held(made: Bench) -> set[tuple[int, str]]:
    """(person, koppeling) of what was obtained."""
    rows = made.query(
        "SELECT i.eigenaar_id, k.name FROM identificatie i JOIN koppeling k ON k.id = i.uitgever "
        "WHERE i.herkomst = 'verkregen'"
    )
    return {(row[0], row[1]) for row in rows}


def open_pupils(made: Bench) -> set[int]:
    return {row[0] for row in made.query("SELECT id FROM leerling WHERE geldig_tot IS NULL")}


def test_who_was_closed_long_ago_goes_with_his_eck_id(made: Bench) -> None:
    one = made.core(Entity.LEERLING, "a")
    made.sources["s0"].remove(Entity.LEERLING, "a")
    made.sources["s0"].remove(Entity.INSCHRIJVING, "ia")
    made.settle("s0")
    made.later(TWO_YEARS)
    (report,) = purge(made.hub, operator="jan")
    assert report.records == {"inschrijving": 1, "leerling": 1}
    assert held(made) == set()
    assert made.query("SELECT 1 FROM match_key WHERE core_id = ?", one) == []
    assert made.sync("e").steps == {}
    assert len(made.query("SELECT 1 FROM leerling")) == 1


def test_a_replay_obtains_nothing_twice(made: Bench) -> None:
    before = held(made)
    report = made.sync("e", kind=Kind.REPLAY)
    assert (report.error, report.steps, held(made)) == ("", {}, before)


def test_a_koppeling_that_stopped_leaves_what_it_obtained(made: Bench) -> None:
    every = made.hub.settings.source
    left = tuple(source for source in every if source.name != "e")
    made.hub = replace(made.hub, settings=made.hub.settings.model_copy(update={"source": left}))
    made.sync("s0")
    assert len(held(made)) == 1
    made.sources["s0"].remove(Entity.LEERLING, "a")
    made.settle("s0")
    assert len(open_pupils(made)) == 1


def test_a_dry_run_writes_nothing_down(make: Make) -> None:
    made = make({"e": AddingSource()}, mappings=[AddingMapping()])
    adding(made).give("K-11", ONE)
    report = made.sync("e", dry=True)
    assert (report.error, report.situations) == ("", {"unknown": 1})
    assert made.query("SELECT adds FROM koppeling") in ([(False,)], [(0,)])


def test_a_leerling_is_asked_for_by_his_hub_key_before_he_is_known(made: Bench) -> None:
    two = made.core(Entity.LEERLING, "b")
    adding(made).brins["hoofd"] = ("99XX01", "99XX")
    adding(made).obtain(two, TWO)
    parts = of_leerling(made.hub, two)
    assert [part.koppeling for part in parts] == ["s0", "e"]
    done = resync(made.hub, parts, what=hub_key(two), operator="jan")
    assert [part.error for part in done.parts] == ["", ""]
    report = done.parts[1].report
    assert report is not None
    assert (report.read, report.applied) == (1, {"leerling.change": 1})
    assert (two, "e") in held(made)


def test_the_past_knows_what_was_obtained_then(made: Bench) -> None:
    one = made.core(Entity.LEERLING, "a")
    told = state_of(made.hub, Entity.LEERLING, one, operator="jan", on=None, as_known=None)
    assert told.values["eck_verkregen"] == f"…{ONE[-4:]}"


def test_staff_gets_one_too_and_nobody_is_made_of_it(make: Make) -> None:
    las = MemorySource((Entity.MEDEWERKER,))
    source = AddingSource((Entity.MEDEWERKER,))
    made = make({"s0": las, "e": source}, mappings=[AddingMapping()])
    las.put(Entity.MEDEWERKER, "juf", achternaam="Smit", eck_id=TWO)
    made.sync("s0")
    staff = made.core(Entity.MEDEWERKER, "juf")
    source.obtain(staff, ONE)
    source.give(hub_key(4711), TWO)
    report = made.sync("e")
    assert report.applied == {"medewerker.change": 1}
    assert report.situations == {"unlinked": 1, "unknown": 1}
    assert held(made) == {(staff, "e")}
    assert [row[1:] for row in made.cases()] == [("medewerker", "juf", "pseudonym")]


# -- a school that goes to another board -----------------------------------------------------------


@contextmanager
def two_boards(store: Store, folder: Path) -> Iterator[Boards]:
    """Two schools of one board, a koppeling that adds to both, and one of another board."""
    sources = {name: MemorySource(tuple(Entity)) for name in ("s0", "s1", "s2")}
    given: dict[str, Any]
    schools = (("s0", "99XX01", "ab"), ("s1", "99XX02", "xy"), ("s2", "99YY01", "pq"))
    for name, number, keys in schools:
        given = {"pupils": dict.fromkeys(keys), "staff": {keys[0] * 3: None}, "code": f"03{number}"}
        fill(sources[name], name=name, vestiging=number, **given)
    tenants = {"s0": OLD, "s1": OLD, "e": OLD, "s2": NEW}
    every = {**sources, "e": AddingSource()}
    with boards(store, folder, tenants, every) as found:
        found.nights()
        for name, key, value in (("s0", "a", ONE), ("s1", "x", TWO)):
            core_id = found.made.core(Entity.LEERLING, key, name)
            adding(found.made).obtain(core_id, value)
        found.nights("e", rounds=1)
        yield found


def test_what_was_obtained_for_who_goes_stays_behind_no_longer(
    store: Store, tmp_path: Path
) -> None:
    with two_boards(store, tmp_path) as board:
        made = board.made
        stays = made.core(Entity.LEERLING, "a")
        report = board.move("s1")
        sound(made)
        assert report.goes["leerling"] == 2
        assert [twin for twin in report.twins if twin.entity == "leerling"] == []
        assert held(made) == {(stays, "e")}
        (night,) = board.nights("e", rounds=1)
        assert (night.steps, night.situations) == ({}, {"unknown": 1})


def test_what_adds_goes_along_and_takes_nobody_with_it(store: Store, tmp_path: Path) -> None:
    with two_boards(store, tmp_path) as board:
        made = board.made
        goes = made.core(Entity.LEERLING, "x", "s1")
        report = board.move("s1", "e")
        sound(made)
        assert report.goes["leerling"] == 2
        assert held(made) == {(goes, "e")}
        (night,) = board.nights("e", rounds=1)
        assert (night.steps, night.situations) == ({}, {"unknown": 1})
        assert made.sync("s0").outcome is Outcome.DONE


def test_it_is_looked_up_by_hub_key_where_it_is_asked_for_alone(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = made.core(Entity.LEERLING, "b")
    monkeypatch.setattr("sync_engine.find._pupils", lambda hub, koppeling: "leerling")
    assert look_up(made.hub, "e", [hub_key(two)], resources=()) == ((hub_key(two),), ("leerling",))
