"""A koppeling that only adds: what it obtained stands with its person, whom others make and end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine.case_view import read_case
from sync_engine.errors import SyncError
from sync_engine.explain import explain
from sync_engine.history import explain_record
from sync_engine.hubkeys import hub_key
from sync_engine.options import Decision, Kind, Verdict
from sync_engine.outcome import Outcome
from sync_engine.pins import pin
from sync_engine.search import search
from sync_engine.store.engine import Store
from tests.support.adding import CHAIN, AddingMapping, AddingSource, eck_ids
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource

ONE, TWO, THREE = eck_ids(3)
LAS = (Entity.VESTIGING, Entity.LEERLING, Entity.INSCHRIJVING, Entity.GROEP)
Build = Callable[..., Bench]


@pytest.fixture
def build(store: Store, tmp_path: Path) -> Iterator[Build]:
    """A LAS `s0`, if asked another `s1`, and what adds to them: `e`, and `e2` of another sector."""
    made: list[Bench] = []

    def build(*more: str) -> Bench:
        kinds: dict[str, MemorySource] = {"s0": MemorySource(LAS), "e": AddingSource()}
        others = {"s1": MemorySource(LAS), "e2": AddingSource(sector="po")}
        kinds |= {name: others[name] for name in more}
        made.append(bench(store, tmp_path, sources=kinds, mappings=[AddingMapping()]))
        return made[-1]

    yield build
    for one in made:
        one.close()


def obtain(made: Bench, key: str, value: str, name: str = "e", **more: Any) -> int:
    """The pupil of the LAS with that key gets an ECK iD; the next run of `name` brings it."""
    core_id = made.core(Entity.LEERLING, key)
    source = made.sources[name]
    assert isinstance(source, AddingSource)
    source.obtain(core_id, value, **more)
    return core_id


def school(made: Bench, *keys: str) -> None:
    for number, key in enumerate(keys):
        made.sources["s0"].put(
            Entity.LEERLING, key, achternaam=f"Naam{number}", bsn=synthetic_bsn(number + 1)
        )
    made.sync("s0")


def koppeling(made: Bench, name: str) -> int:
    return int(made.query("SELECT id FROM koppeling WHERE name = ?", name)[0][0])


def obtained(made: Bench) -> set[tuple[int, str, str]]:
    """(pupil, koppeling, ECK iD) of what was obtained."""
    names: dict[int, str] = dict(made.query("SELECT id, name FROM koppeling"))
    return {
        (owner, names[issuer], text)
        for (owner, kind, issuer), text in made.identifiers().items()
        if kind == "eck_id" and issuer
    }


def periods(made: Bench) -> list[tuple[str, str | None]]:
    """First day and end of what was obtained."""
    return made.query(
        "SELECT CAST(geldig_van AS TEXT), CAST(geldig_tot AS TEXT) FROM identificatie "
        "WHERE soort = 'eck_id' AND uitgever <> 0"
    )


def open_pupils(made: Bench) -> set[int]:
    return {row[0] for row in made.query("SELECT id FROM leerling WHERE geldig_tot IS NULL")}


def test_it_stands_with_its_origin_and_a_second_run_changes_nothing(build: Build) -> None:
    made = build()
    school(made, "a", "b")
    one = obtain(made, "a", ONE, until="2027-08-01")
    report = made.sync("e")
    assert (report.outcome, report.error, report.applied) == (
        Outcome.DONE,
        "",
        {"leerling.change": 1},
    )
    assert obtained(made) == {(one, "e", ONE)}
    assert made.query(
        "SELECT herkomst, keten, sector, CAST(geldig_van AS TEXT), CAST(geldig_tot AS TEXT) "
        "FROM identificatie WHERE soort = 'eck_id'"
    ) == [("verkregen", CHAIN, "vo", "2026-10-05", "2027-08-01")]
    assert made.query("SELECT DISTINCT herkomst FROM identificatie WHERE soort = 'bsn'") == [
        ("geleverd",)
    ]
    assert made.query("SELECT rule FROM link WHERE koppeling_id = ?", koppeling(made, "e")) == [
        ("hub key",)
    ]
    before = made.dump()
    for name in ("e", "s0", "e"):
        made.later()
        assert made.sync(name).steps == {}
    assert made.dump()["identificatie"] == before["identificatie"]


def test_two_sectors_stand_side_by_side_and_beside_what_is_delivered(build: Build) -> None:
    made = build("e2")
    made.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen", eck_id=THREE)
    made.sync("s0")
    one = obtain(made, "a", ONE)
    obtain(made, "a", TWO, "e2")
    made.sync("e")
    made.sync("e2")
    assert obtained(made) == {(one, "e", ONE), (one, "e2", TWO)}
    assert made.identifiers()[one, "eck_id", 0] == THREE
    assert [row for row in made.cases() if row[3] in {"contradiction", "match"}] == []


def test_another_period_alone_is_a_change(build: Build) -> None:
    made = build()
    school(made, "a")
    obtain(made, "a", ONE)
    made.sync("e")
    obtain(made, "a", ONE, until="2027-01-01")
    assert made.sync("e").applied == {"leerling.change": 1}
    assert made.query(
        "SELECT CAST(geldig_tot AS TEXT) FROM identificatie WHERE soort = 'eck_id'"
    ) == [("2027-01-01",)]


def test_who_left_one_vestiging_and_is_at_another_has_an_eck_id_that_lasts(build: Build) -> None:
    made = build()
    school(made, "a")
    source = made.sources["e"]
    assert isinstance(source, AddingSource)
    one = made.core(Entity.LEERLING, "a")
    source.scope_keys = ("noord", "zuid", "oost")
    source.obtain(one, ONE, scope="noord", until="2026-11-01")
    source.obtain(one, ONE, scope="oost", until="2026-10-20")
    source.obtain(one, ONE, scope="zuid")
    made.sync("e")
    assert periods(made) == [("2026-10-05", None)]
    source.obtain(one, ONE, scope="zuid", until="2026-10-28")
    made.later()
    made.sync("e")
    assert periods(made) == [("2026-10-05", "2026-11-01")]  # the last that he was at any of them


def test_who_leaves_is_closed_although_his_eck_id_stands(build: Build) -> None:
    made = build()
    school(made, "a", "b", "c", "d", "f")
    one = obtain(made, "a", ONE)
    made.sync("e")
    held = made.query("SELECT id, geldig_van FROM leerling ORDER BY id")
    made.sources["s0"].remove(Entity.LEERLING, "a")
    for _ in range(3):
        made.later(24)
        made.sync("s0")
    assert one not in open_pupils(made)
    assert len(open_pupils(made)) == 4
    made.later()
    assert made.sync("e").steps == {}
    assert one not in open_pupils(made)
    assert obtained(made) == {(one, "e", ONE)}
    assert made.query("SELECT id, geldig_van FROM leerling ORDER BY id") == held


def test_what_is_obtained_no_longer_closes_nobody(build: Build) -> None:
    made = build()
    school(made, "a", "b", "c")
    for key, value in zip("abc", (ONE, TWO, THREE), strict=True):
        obtain(made, key, value)
    made.sync("e")
    made.sources["e"].remove(Entity.LEERLING, hub_key(made.core(Entity.LEERLING, "a")))
    for _ in range(3):
        made.later(24)
        assert made.sync("e").steps == {}
    assert len(open_pupils(made)) == 3


@pytest.mark.parametrize("policy", ["create", "case"])
def test_of_whom_the_hub_knows_nobody_nothing_is_made(build: Build, policy: str) -> None:
    made = build()
    made.policy(reactions={"unmatched": policy})
    source = made.sources["e"]
    assert isinstance(source, AddingSource)
    source.give(hub_key(4711), ONE)
    source.give("zomaar", TWO)
    report = made.sync("e")
    assert (report.outcome, report.steps) == (Outcome.DONE, {})
    assert report.situations == {"unknown": 2}
    assert report.events == ['unknown persons: {"records":2}']
    assert made.query("SELECT COUNT(*) FROM leerling") == [(0,)]
    assert (made.query("SELECT COUNT(*) FROM link"), made.cases()) == ([(0,)], [])


def test_a_key_of_another_entity_or_tenant_is_nobodys(build: Build) -> None:
    made = build()
    school(made, "a")
    made.sources["s0"].put(Entity.VESTIGING, "v", naam="Haven")
    made.sync("s0")
    one = made.core(Entity.LEERLING, "a")
    source = made.sources["e"]
    assert isinstance(source, AddingSource)
    source.obtain(made.core(Entity.VESTIGING, "v"), TWO)
    with made.hub.store.work() as work, work.transaction():
        work.execute("INSERT INTO tenant (id, name, title) VALUES (9, 'ander', 'Ander')")
        work.execute("UPDATE leerling SET tenant_id = 9 WHERE id = ?", (one,))
    source.obtain(one, ONE)
    assert made.sync("e").situations == {"unknown": 2}
    assert made.query("SELECT COUNT(*) FROM identificatie WHERE soort = 'eck_id'") == [(0,)]


def test_a_new_administration_is_known_by_what_was_obtained(build: Build) -> None:
    made = build("s1")
    school(made, "a")
    one = obtain(made, "a", ONE)
    made.sync("e")
    made.sources["s1"].put(Entity.LEERLING, "x", achternaam="Jansen", eck_id=ONE)
    made.sync("s1")
    assert made.core(Entity.LEERLING, "x", "s1") == one
    assert search(made.hub, Entity.LEERLING, ONE, operator="test")[0].key == hub_key(one)


def test_he_is_found_by_an_eck_id_that_was_obtained(build: Build) -> None:
    made = build("e2")
    school(made, "a", "b")
    one = obtain(made, "a", ONE)
    obtain(made, "a", TWO, "e2")
    made.sync("e")
    made.sync("e2")
    told = explain_record(
        made.hub, Entity.LEERLING, one, field="eck_verkregen", operator="test"
    ).fields[0]
    assert told.changes_when == "verandert als e iets anders levert; wat e2 zegt staat ernaast"
    for value in (ONE, TWO):
        assert [m.key for m in search(made.hub, Entity.LEERLING, value, operator="t")] == [
            hub_key(one)
        ]
    with pytest.raises(SyncError):
        search(made.hub, Entity.LEERLING, THREE, operator="test")


def test_it_is_shown_by_its_end(build: Build) -> None:
    made = build()
    school(made, "a")
    one = obtain(made, "a", ONE)
    made.sync("e")
    with made.context() as context:
        (reason,) = explain(context, Entity.LEERLING, one, only="eck_verkregen").fields
    shown = {"waarde": f"…{ONE[-4:]}", "keten": CHAIN, "sector": "vo", "geldig_van": "2026-10-05"}
    assert (reason.value, reason.koppeling) == (shown, "e")
    assert [change.after for change in reason.history] == [shown]
    assert [claim.value for claim in reason.claims] == [shown]


def test_undoing_the_first_load_takes_who_is_known_by_it_alone(build: Build) -> None:
    made = build("s1")
    school(made, "a", "b")
    first = made.reports[-1].run_id
    one, two = obtain(made, "a", ONE), obtain(made, "b", TWO)
    made.sync("e")
    made.sources["s1"].put(Entity.LEERLING, "x", achternaam="Jansen", bsn=synthetic_bsn(2))
    made.sync("s1")
    undone = made.sync("s0", kind=Kind.UNDO, undone=first, operator="test")
    assert (undone.error, undone.doubts) == ("", [])
    assert open_pupils(made) == {two}
    assert obtained(made) == {(two, "e", TWO)}
    assert made.sync("e").situations == {"unknown": 1}
    again = made.sync("s0", kind=Kind.UNDO, undone=undone.run_id, operator="test")
    assert (again.error, open_pupils(made)) == ("", {one, two})
    assert obtained(made) == {(one, "e", ONE), (two, "e", TWO)}
    assert made.sync("e").steps == {}


def test_undoing_what_was_obtained_leaves_the_pupil(build: Build) -> None:
    made = build()
    school(made, "a")
    one = obtain(made, "a", ONE)
    run = made.sync("e").run_id
    undone = made.sync("e", kind=Kind.UNDO, undone=run, operator="test")
    assert (undone.error, undone.doubts) == ("", [])
    assert (obtained(made), open_pupils(made)) == (set(), {one})
    made.later()
    assert made.sync("e").steps == {}


def test_who_is_merged_keeps_what_was_obtained_for_both(build: Build) -> None:
    made = build()
    made.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen", bsn=synthetic_bsn(1))
    made.sources["s0"].put(Entity.LEERLING, "b", achternaam="Jansen")
    made.sync("s0")
    one, two = obtain(made, "a", ONE), obtain(made, "b", ONE)
    made.sync("e")
    assert [row[2:] for row in made.cases()] == [(hub_key(one), "match")]
    merge = Decision(Verdict.MERGE, Entity.LEERLING, core_id=one, other=two)
    report = made.sync("s0", kind=Kind.DECIDE, decision=merge, operator="test", why="dezelfde")
    assert report.error == ""
    made.later()
    made.sync("e")
    assert obtained(made) == {(one, "e", ONE)}
    assert made.cases() == []
    made.later()
    assert made.sync("e").steps == {}


def test_who_is_split_takes_no_eck_id_along(build: Build) -> None:
    made = build("s1")
    school(made, "a")
    made.sources["s1"].put(Entity.LEERLING, "x", achternaam="Jansen", bsn=synthetic_bsn(1))
    made.sync("s1")
    one = obtain(made, "a", ONE)
    made.sync("e")
    split = Decision(Verdict.SPLIT, Entity.LEERLING, source_key="x")
    report = made.sync("s1", kind=Kind.DECIDE, decision=split, operator="test", why="een ander")
    assert report.error == ""
    assert made.core(Entity.LEERLING, "x", "s1") != one
    assert obtained(made) == {(one, "e", ONE)}
    alone = Decision(Verdict.SPLIT, Entity.LEERLING, source_key="a")
    refused = made.sync("s0", kind=Kind.DECIDE, decision=alone, operator="test", why="ook")
    assert refused.error == "nothing else is linked to that record"


def test_who_it_is_of_is_no_question_for_a_person(build: Build) -> None:
    made = build()
    school(made, "a", "b")
    one = obtain(made, "a", ONE)
    made.sync("e")
    other = Decision(
        Verdict.LINK,
        Entity.LEERLING,
        source_key=hub_key(one),
        core_id=made.core(Entity.LEERLING, "b"),
    )
    report = made.sync("e", kind=Kind.DECIDE, decision=other, operator="test", why="nee")
    assert report.error == "its keys are those of the hub: who a record is of is no question"


def test_many_at_once_are_no_change_that_waits(build: Build) -> None:
    made = build()
    school(made, *(f"l{number}" for number in range(60)))
    values = eck_ids(60)
    obtain(made, "l0", values[0])
    made.sync("e")
    for number in range(1, 60):
        obtain(made, f"l{number}", values[number])
    report = made.sync("e")
    assert (report.held, report.applied) == (0, {"leerling.change": 59})


# -- what is delivered is another ------------------------------------------------------------------


def delivers(made: Bench, value: str | None, scope: str = "hoofd") -> None:
    made.sources["s0"].put(Entity.LEERLING, "a", scope, achternaam="Jansen", eck_id=value)
    assert made.sync("s0").error == ""


def differences(made: Bench) -> list[Any]:
    """Open cases of the kind: (koppeling, source key)."""
    return [row[::2] for row in made.cases() if row[3] == "pseudonym"]


@pytest.mark.parametrize("first", ["delivered", "obtained"])
def test_another_eck_id_is_a_case_that_shows_both_by_their_ends(build: Build, first: str) -> None:
    made = build()
    delivers(made, TWO if first == "delivered" else None)
    one = obtain(made, "a", ONE)
    made.sync("e")
    if first == "obtained":
        assert differences(made) == []
        delivers(made, TWO)
    assert differences(made) == [("s0", "a")]
    assert obtained(made) == {(one, "e", ONE)}
    assert made.identifiers()[one, "eck_id", 0] == TWO
    (number,) = made.query("SELECT id FROM zaak WHERE state = 'open'")[0]
    view = read_case(made.hub, number)
    told = " ".join([*view.facts, *map(str, view.record.values())])
    assert f"s0 levert …{TWO[-4:]} (sinds 2026-10-05)" in view.facts
    assert any(
        fact.startswith(f"e verkreeg …{ONE[-4:]} (keten …{CHAIN[-4:]}, sector vo")
        for fact in view.facts
    )
    assert ONE not in told
    assert TWO not in told
    assert [c.command.split(" ")[1] for c in view.choices] == ["explain", "pin", "case", "case"]
    made.later()
    for name in ("s0", "e"):
        made.sync(name)
    assert differences(made) == [("s0", "a")]


@pytest.mark.parametrize("becomes", [ONE, None])
def test_it_closes_by_itself_when_they_agree_or_one_is_gone(
    build: Build, becomes: str | None
) -> None:
    made = build()
    delivers(made, TWO)
    obtain(made, "a", ONE)
    made.sync("e")
    delivers(made, becomes)
    assert made.cases() == []


def test_it_closes_when_what_was_obtained_is_over(build: Build) -> None:
    made = build()
    delivers(made, TWO)
    obtain(made, "a", ONE)
    made.sync("e")
    obtain(made, "a", ONE, until="2026-10-05")
    made.sync("e")
    assert made.cases() == []


def test_it_closes_when_a_person_fixed_which_one_is_delivered(build: Build) -> None:
    made = build()
    delivers(made, TWO)
    one = obtain(made, "a", ONE)
    made.sync("e")
    pin(made.hub, one, entity=Entity.LEERLING, field="eck_id", value=TWO, reason="k", operator="j")
    made.sync("s0")
    assert made.cases() == []


def test_of_two_sectors_either_may_be_delivered(build: Build) -> None:
    made = build("e2")
    delivers(made, TWO)
    obtain(made, "a", ONE)
    made.sync("e")
    assert differences(made) == [("s0", "a")]
    obtain(made, "a", TWO, "e2")
    made.sync("e2")
    assert made.cases() == []
    delivers(made, THREE)
    assert differences(made) == [("s0", "a")]


@pytest.mark.parametrize(
    ("delivering", "obtaining", "cases"),
    [
        (("99XX01", "99XX"), ("99XX01", "99XX"), 1),
        (("99XX01", "99XX"), ("99XX02", "99XX"), 0),
        (("99XX",), ("99XX02", "99XX"), 1),
        (("98XX",), ("99XX02", "99XX"), 0),
        ((), ("99XX02", "99XX"), 1),
    ],
)
def test_it_is_compared_with_what_was_obtained_for_the_same_school(
    build: Build, delivering: tuple[str, ...], obtaining: tuple[str, ...], cases: int
) -> None:
    made = build()
    made.sources["s0"].brins["hoofd"] = delivering
    made.sources["e"].brins["hoofd"] = obtaining
    delivers(made, TWO)
    obtain(made, "a", ONE)
    made.sync("e")
    assert len(differences(made)) == cases


# -- one ECK iD, two pupils ------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["delivered", "obtained"])
def test_one_eck_id_of_two_children_is_a_case_and_joins_nobody(build: Build, first: str) -> None:
    made = build("s1")
    school(made, "a")
    made.sources["s1"].put(Entity.LEERLING, "x", achternaam="Bakker", bsn=synthetic_bsn(2))
    made.sync("s1")
    for turn in (first, {"delivered": "obtained", "obtained": "delivered"}[first]):
        if turn == "delivered":
            told = {"achternaam": "Bakker", "bsn": synthetic_bsn(2), "eck_id": ONE}
            made.sources["s1"].put(Entity.LEERLING, "x", **told)
            made.sync("s1")
        else:
            one = obtain(made, "a", ONE)
            made.sync("e")
    where = ("s1", "x") if first == "obtained" else ("e", hub_key(one))
    assert [(row[0], *row[2:]) for row in made.cases()] == [(*where, "contradiction")]
    assert len(open_pupils(made)) == 2
    made.sources["s1"].put(Entity.LEERLING, "x", achternaam="Bakker", bsn=synthetic_bsn(2))
    for name in ("s1", "e"):
        made.later()
        made.sync(name)
    assert made.cases() == []
    assert obtained(made) == {(one, "e", ONE)}


def test_one_eck_id_and_nothing_else_joins_two_administrations(build: Build) -> None:
    made = build("s1")
    school(made, "a")
    made.sources["s1"].put(Entity.LEERLING, "x", achternaam="Jansen", eck_id=ONE)
    made.sync("s1")
    one = obtain(made, "a", ONE)
    made.sync("e")
    assert made.core(Entity.LEERLING, "x", "s1") == one
    assert made.query("SELECT COUNT(*) FROM leerling") == [(1,)]


def test_a_merge_may_be_the_act_of_what_adds(build: Build) -> None:
    made = build()
    made.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen", bsn=synthetic_bsn(1))
    made.sources["s0"].put(Entity.LEERLING, "b", achternaam="Jansen")
    made.sync("s0")
    one, two = obtain(made, "a", ONE), obtain(made, "b", ONE)
    made.sync("e")
    (number,) = made.query("SELECT id FROM zaak WHERE state = 'open'")[0]
    verdicts = [choice.verdict for choice in read_case(made.hub, number).choices if choice.verdict]
    assert verdicts == [Verdict.MERGE]
    merge = Decision(Verdict.MERGE, Entity.LEERLING, core_id=one, other=two, case_id=number)
    report = made.sync("e", kind=Kind.DECIDE, decision=merge, operator="test", why="dezelfde")
    assert report.error == ""
    assert (obtained(made), made.cases()) == ({(one, "e", ONE)}, [])
    lifted = made.sync("e", kind=Kind.DECIDE, lifted=1, operator="test")
    assert lifted.error == ""
    assert len(open_pupils(made)) == 2
