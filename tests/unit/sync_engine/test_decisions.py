"""Decisions of a person: link, create, split, merge, ignore; remembered, and taken back."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine.options import Decision, Verdict
from sync_engine.outcome import Outcome, RunReport
from sync_engine.pins import pin
from sync_engine.runs import Kind
from tests.support.hubs import Bench
from tests.support.snapshot import core
from tests.unit.sync_engine.conftest import Make

PUPIL = {"achternaam": "Jansen", "roepnaam": "Kim", "geboortedatum": "2012-03-04"}


def decide(
    bench: Bench, verdict: Verdict, key: str = "", source: str = "s0", **rest: Any
) -> RunReport:
    options = {name: rest.pop(name) for name in ("core_id", "other", "case_id") if name in rest}
    decision = Decision(verdict, Entity.LEERLING, key, **options)
    return bench.sync(
        source, kind=Kind.DECIDE, decision=decision, why="test", operator="test", **rest
    )


def lift(bench: Bench, act: int, source: str = "s0") -> RunReport:
    return bench.sync(source, kind=Kind.DECIDE, lifted=act, operator="test")


def act_of(bench: Bench) -> int:
    return int(bench.query("SELECT MAX(act) FROM decision")[0][0])


def alike(make: Make) -> Bench:
    """A pupil of s0, and one of s1 who looks like him: a case."""
    bench = make(2)
    bench.sources["s0"].put(Entity.LEERLING, "a", **PUPIL)
    bench.sources["s1"].put(Entity.LEERLING, "b", **PUPIL)
    bench.sources["s1"].put(Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=["b"])
    bench.sources["s1"].put(Entity.INSCHRIJVING, "i", leerling="b")
    bench.sync("s0")
    bench.sync("s1")
    assert [row[3] for row in bench.cases()] == ["score"]
    return bench


def test_a_link_answers_the_case_and_survives_every_run(make: Make) -> None:
    bench = alike(make)
    pupil = bench.core(Entity.LEERLING, "a")
    report = decide(bench, Verdict.LINK, "b", "s1", core_id=pupil)
    assert (report.outcome, report.error) == (Outcome.DONE, "")
    assert bench.core(Entity.LEERLING, "b", "s1") == pupil
    assert bench.cases() == []
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]
    assert bench.query("SELECT leerling_id FROM inschrijving") == [(pupil,)]
    assert bench.query("SELECT persoon_id FROM groepsdeelname") == [(pupil,)]


def test_a_record_of_its_own_stays_so_also_when_it_changes(make: Make) -> None:
    bench = alike(make)
    decide(bench, Verdict.CREATE, "b", "s1")
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    bench.sources["s1"].put(Entity.LEERLING, "b", **PUPIL, geboorteplaats="Delft")
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    assert bench.cases() == []


def test_what_is_ignored_makes_nothing_and_asks_nothing(make: Make) -> None:
    bench = alike(make)
    decide(bench, Verdict.IGNORE, "b", "s1")
    bench.sources["s1"].put(Entity.LEERLING, "b", **PUPIL, geboorteplaats="Delft")
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]
    assert bench.cases() == []


def test_a_link_against_exact_keys_holds_until_the_keys_are_others(make: Make) -> None:
    bench = make(2)
    bench.sources["s0"].put(Entity.LEERLING, "a", **PUPIL, bsn=synthetic_bsn(1))
    bench.sources["s1"].put(Entity.LEERLING, "b", **PUPIL, bsn=synthetic_bsn(2))
    bench.sync("s0")
    bench.sync("s1")
    pupil = bench.core(Entity.LEERLING, "a")
    decide(bench, Verdict.LINK, "b", "s1", core_id=pupil)
    bench.sources["s1"].put(
        Entity.LEERLING, "b", **PUPIL, bsn=synthetic_bsn(2), geboorteplaats="Lent"
    )
    bench.settle()
    assert bench.cases() == []
    assert bench.core(Entity.LEERLING, "b", "s1") == pupil
    bench.sources["s1"].put(Entity.LEERLING, "b", **PUPIL, bsn=synthetic_bsn(3))
    bench.sync("s1")
    assert [row[3] for row in bench.cases()] == ["contradiction"]


def test_the_keys_of_a_decided_record_are_known_to_others(make: Make) -> None:
    bench = make(3)
    bench.sources["s0"].put(Entity.LEERLING, "a", **PUPIL)
    bench.sources["s1"].put(Entity.LEERLING, "b", **PUPIL, bsn=synthetic_bsn(2))
    bench.sync("s0")
    bench.sync("s1")
    pupil = bench.core(Entity.LEERLING, "a")
    decide(bench, Verdict.LINK, "b", "s1", core_id=pupil)
    bench.sources["s2"].put(Entity.LEERLING, "c", achternaam="Anders", bsn=synthetic_bsn(2))
    bench.sync("s2")
    assert bench.core(Entity.LEERLING, "c", "s2") == pupil


def joined(make: Make) -> Bench:
    """One pupil in two sources, by an exact key; with groepen and inschrijvingen of both."""
    bench = make(2)
    for name, number in (("s0", 0), ("s1", 1)):
        source = bench.sources[name]
        source.put(Entity.LEERLING, f"l{number}", **PUPIL, bsn=synthetic_bsn(1))
        source.put(
            Entity.GROEP,
            f"g{number}",
            naam=f"{number}A",
            soort="stamgroep",
            leerlingen=[f"l{number}"],
        )
        source.put(Entity.INSCHRIJVING, f"i{number}", leerling=f"l{number}")
        bench.sync(name)
    bench.later()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]
    return bench


def test_a_split_takes_its_own_inschrijving_and_membership_along(make: Make) -> None:
    bench = joined(make)
    report = decide(bench, Verdict.SPLIT, "l1", "s1")
    assert (report.outcome, report.error) == (Outcome.DONE, "")
    one, other = bench.core(Entity.LEERLING, "l0"), bench.core(Entity.LEERLING, "l1", "s1")
    assert one != other
    for table, column in (("inschrijving", "leerling_id"), ("groepsdeelname", "persoon_id")):
        where = " WHERE NOT beeindigd" if table == "groepsdeelname" else ""
        found = {row[0] for row in bench.query(f"SELECT {column} FROM {table}{where}")}
        assert found == {one, other}, table
    after = core(bench)
    bench.settle()
    assert core(bench) == after
    assert bench.cases() == []


def test_a_split_that_is_taken_back_is_as_before(make: Make) -> None:
    bench = joined(make)
    before = core(bench)
    decide(bench, Verdict.SPLIT, "l1", "s1")
    report = lift(bench, act_of(bench), "s1")
    assert (report.outcome, report.error) == (Outcome.DONE, "")
    after = core(bench)  # the number that was given stands for him whom it became
    assert [row[1] for row in after.pop("alias")] == [bench.core(Entity.LEERLING, "l0")]
    assert after == {name: rows for name, rows in before.items() if name != "alias"}
    bench.settle()
    assert core(bench)["inschrijving"] == before["inschrijving"]
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]


def test_two_records_become_one_and_two_again(make: Make) -> None:
    bench = alike(make)
    decide(bench, Verdict.CREATE, "b", "s1")
    bench.settle()
    before = core(bench)
    one, other = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "b", "s1")
    report = decide(bench, Verdict.MERGE, core_id=one, other=other)
    assert (report.outcome, report.error) == (Outcome.DONE, "")
    assert bench.query("SELECT id FROM leerling") == [(one,)]
    assert bench.query("SELECT leerling_id FROM inschrijving") == [(one,)]
    assert bench.query("SELECT persoon_id FROM groepsdeelname WHERE NOT beeindigd") == [(one,)]
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]
    assert lift(bench, act_of(bench)).error == ""
    assert core(bench) == before
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(2,)]


def test_a_merge_answers_for_a_record_of_another_source_with_the_same_key(make: Make) -> None:
    bench = make(2)
    mine, other = bench.sources["s0"], bench.sources["s1"]
    mine.put(Entity.LEERLING, "a", achternaam="Bos", bsn=synthetic_bsn(1))
    other.put(Entity.LEERLING, "c", achternaam="Bos", bsn=synthetic_bsn(1))
    other.put(Entity.LEERLING, "a", achternaam="Dam", bsn=synthetic_bsn(2))
    bench.settle()
    mine.put(Entity.LEERLING, "a", achternaam="Bos", bsn=synthetic_bsn(3))
    bench.settle()
    assert [row[:4] for row in bench.cases()] == [("s0", "leerling", "a", "contradiction")]
    one, two = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "a", "s1")
    assert decide(bench, Verdict.MERGE, core_id=one, other=two).error == ""
    other.put(Entity.LEERLING, "a", achternaam="Dam", bsn=synthetic_bsn(2), geboorteplaats="Ede")
    bench.settle()
    assert bench.cases() == []


def test_a_wrong_link_is_taken_back_and_what_belongs_to_it_returns(make: Make) -> None:
    bench = alike(make)
    decide(bench, Verdict.LINK, "b", "s1", core_id=bench.core(Entity.LEERLING, "a"))
    bench.settle()
    report = lift(bench, act_of(bench), "s1")
    assert (report.outcome, report.error, report.doubts) == (Outcome.DONE, "", [])
    assert not bench.query("SELECT 1 FROM inschrijving")
    assert not bench.query("SELECT 1 FROM groepsdeelname WHERE NOT beeindigd")
    bench.sync("s1")
    assert [row[3] for row in bench.cases()] == ["score"]
    decide(bench, Verdict.CREATE, "b", "s1")
    bench.settle()
    own = bench.core(Entity.LEERLING, "b", "s1")
    assert bench.query("SELECT leerling_id FROM inschrijving") == [(own,)]


def test_a_record_that_was_made_by_a_decision_goes_with_it(make: Make) -> None:
    bench = alike(make)
    before = core(bench)
    decide(bench, Verdict.CREATE, "b", "s1")
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    report = lift(bench, act_of(bench), "s1")
    assert (report.outcome, report.error, report.doubts) == (Outcome.DONE, "", [])
    assert core(bench)["leerling"] == before["leerling"]
    assert not bench.query("SELECT 1 FROM inschrijving")
    assert not bench.query("SELECT 1 FROM groepsdeelname WHERE NOT beeindigd")
    bench.sync("s1")
    assert [row[3] for row in bench.cases()] == ["score"]
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]


def test_a_record_that_something_leans_on_stays_when_its_decision_is_taken_back(make: Make) -> None:
    bench = alike(make)
    decide(bench, Verdict.CREATE, "b", "s1")
    own = bench.core(Entity.LEERLING, "b", "s1")
    pin(
        *(bench.hub, own),
        entity=Entity.LEERLING,
        field="roepnaam",
        value="Kimberley",
        reason="belofte",
        operator="balie",
    )
    bench.settle()
    report = lift(bench, act_of(bench), "s1")
    assert ("leerling", own) in {(doubt.entity, doubt.core_id) for doubt in report.doubts}
    assert bench.core(Entity.LEERLING, "b", "s1") == own
    assert bench.query("SELECT leerling_id FROM inschrijving") == [(own,)]
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(2,)]


@pytest.mark.parametrize("verdict", [Verdict.CREATE, Verdict.IGNORE])
def test_what_is_linked_is_not_made_anew_nor_ignored(make: Make, verdict: Verdict) -> None:
    bench = joined(make)
    before = bench.dump()
    report = decide(bench, verdict, "l1", "s1")
    assert report.outcome is Outcome.FAILED
    assert "split" in report.advice
    assert bench.dump() == before


def test_a_decision_is_shown_before_it_is_taken(make: Make) -> None:
    bench = joined(make)
    before = core(bench)
    shown = decide(bench, Verdict.SPLIT, "l1", "s1", plan_only=True)
    assert shown.steps["leerling.create"] == 1
    assert core(bench) == before
    assert not bench.query("SELECT 1 FROM decision")
    done = bench.sync("s1", kind=Kind.APPLY, approved=shown.plan_id, operator="test")
    assert (done.outcome, done.error) == (Outcome.DONE, "")
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    assert bench.query("SELECT kind, operator FROM decision") == [("split", "test")]


def test_classmates_who_were_merged_are_both_in_their_groep_again(make: Make) -> None:
    """Whichever of the two rows of the groep is the older one."""
    bench = make()
    source = bench.sources["s0"]
    for key in ("a", "b"):
        source.put(Entity.LEERLING, key, achternaam=f"Naam {key}")
    source.put(Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=["b"])
    bench.sync()
    source.put(Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=["a", "b"])
    bench.later()
    bench.sync()
    before = core(bench)
    one, other = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "b")
    decide(bench, Verdict.MERGE, core_id=one, other=other)
    assert lift(bench, act_of(bench)).error == ""
    assert core(bench) == before


# -- by what others are known ----------------------------------------------------------------------


def test_what_is_in_doubt_again_is_known_by_the_keys_that_it_had(make: Make) -> None:
    """Parted, made one and parted again: who comes with their number is neither by himself."""
    bench = make(3)
    pupil = {"achternaam": "Bakker", "bsn": synthetic_bsn(1)}
    for name in ("s0", "s1"):
        bench.sources[name].put(Entity.LEERLING, "a", **pupil)
        bench.sync(name)
    decide(bench, Verdict.SPLIT, "a", "s1")
    one, other = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "a", "s1")
    decide(bench, Verdict.MERGE, core_id=one, other=other)
    lift(bench, act_of(bench))
    bench.sources["s2"].put(Entity.LEERLING, "a", **pupil)
    bench.sync("s2")
    assert ("s2", "leerling", "a", "match") in bench.cases()


def test_a_merge_asks_nothing_of_a_record_that_it_moves(make: Make) -> None:
    """That their numbers differ a person has seen."""
    bench = make()
    for key, number in (("a", 1), ("b", 2)):
        bench.sources["s0"].put(Entity.LEERLING, key, achternaam="Bos", bsn=synthetic_bsn(number))
    bench.sync()
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="Dam", bsn=synthetic_bsn(1))
    bench.sync(plan_only=True)  # it is received, and judged with the act
    one, other = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "b")
    assert decide(bench, Verdict.MERGE, core_id=one, other=other).error == ""
    assert bench.cases() == []
    bench.settle()
    assert bench.cases() == []


def test_a_record_that_has_the_key_of_a_moved_one_of_another_source_stays_known(make: Make) -> None:
    bench = make(3)
    mine, other = bench.sources["s0"], bench.sources["s1"]
    mine.put(Entity.LEERLING, "a", achternaam="Vos", bsn=synthetic_bsn(1))
    mine.put(Entity.LEERLING, "b", achternaam="Bos")
    other.put(Entity.LEERLING, "a", achternaam="Bos", bsn=synthetic_bsn(2))
    bench.settle(rounds=1)
    one, two = bench.core(Entity.LEERLING, "b"), bench.core(Entity.LEERLING, "a", "s1")
    decide(bench, Verdict.MERGE, core_id=one, other=two)
    bench.sources["s2"].put(Entity.LEERLING, "c", achternaam="Vos", bsn=synthetic_bsn(1))
    bench.sync("s2")
    assert bench.core(Entity.LEERLING, "c", "s2") == bench.core(Entity.LEERLING, "a")


def test_inschrijvingen_become_one_when_their_pupils_do(make: Make) -> None:
    bench = make(2)
    for name, surname in (("s0", "Bos"), ("s1", "Dam")):
        source = bench.sources[name]
        source.put(Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
        source.put(Entity.OPLEIDING, "o", naam="Havo", code="0150", vestiging="v")
        source.put(Entity.LEERLING, "a", achternaam=surname)
        source.put(Entity.INSCHRIJVING, "i", leerling="a", vestiging="v", opleiding="o")
        bench.sync(name)
    one, other = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "a", "s1")
    decide(bench, Verdict.MERGE, core_id=one, other=other)
    bench.settle(rounds=1)
    assert bench.query("SELECT leerling_id FROM inschrijving") == [(one,)]
    assert bench.cases() == []


def test_who_comes_to_an_inschrijving_that_moved_is_not_taken_for_its_former_pupil(
    make: Make,
) -> None:
    """After a split the inschrijving of one is found by him, and not by the other."""
    bench = make(3)
    place = {"leerling": "a", "vestiging": "v", "opleiding": "o"}
    for name in ("s0", "s1", "s2"):
        source = bench.sources[name]
        source.put(Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
        source.put(Entity.OPLEIDING, "o", naam="Havo", code="0150", vestiging="v")
        source.put(Entity.LEERLING, "a", achternaam="Bos", bsn=synthetic_bsn(1))
    bench.sources["s1"].put(Entity.INSCHRIJVING, "i", **place)
    bench.settle(rounds=1)
    decide(bench, Verdict.SPLIT, "a", "s1")
    bench.sources["s0"].put(Entity.INSCHRIJVING, "j", **place)
    bench.sync("s0")
    one, other = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "a", "s1")
    found: dict[int, int] = dict(bench.query("SELECT id, leerling_id FROM inschrijving"))
    assert found[bench.core(Entity.INSCHRIJVING, "j")] == one
    assert found[bench.core(Entity.INSCHRIJVING, "i", "s1")] == other


def entered_twice(make: Make) -> Bench:
    """A pupil in two records of one source, joined by her number; a guardian of both."""
    bench = make(2)
    source = bench.sources["s0"]
    source.put(Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
    source.put(Entity.VERZORGER, "m", achternaam="Jansen")
    for key in ("a", "b"):
        source.put(Entity.LEERLING, key, **PUPIL, leerlingnummer="123")
        source.put(Entity.VERZORGER_RELATIE, f"m/{key}", verzorger="m", leerling=key)
        source.put(Entity.INSCHRIJVING, f"i{key}", leerling=key, vestiging="v")
    bench.settle(rounds=1)
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]
    assert bench.query("SELECT COUNT(*) FROM verzorger_relatie") == [(1,)]
    return bench


def holders(bench: Bench, table: str = "verzorger_relatie") -> list[int]:
    """Of whom the rows of a table are."""
    return [row[0] for row in bench.query(f"SELECT leerling_id FROM {table} ORDER BY 1")]


def test_who_parts_leaves_the_other_what_is_the_others(make: Make) -> None:
    bench = entered_twice(make)
    before = core(bench)
    pupil = bench.core(Entity.LEERLING, "a")
    assert decide(bench, Verdict.SPLIT, "b").error == ""
    other = bench.core(Entity.LEERLING, "b")
    assert holders(bench) == [pupil, other]
    for key, of in (("m/a", pupil), ("m/b", other)):
        row = bench.core(Entity.VERZORGER_RELATIE, key)
        assert bench.query(f"SELECT leerling_id FROM verzorger_relatie WHERE id = {row}") == [(of,)]
    assert holders(bench, "inschrijving") == [pupil, other]
    after = core(bench)
    bench.settle()
    assert core(bench) == after
    assert bench.cases() == []
    assert lift(bench, act_of(bench)).error == ""
    assert {**core(bench), "alias": ()} == {**before, "alias": ()}
    bench.settle()
    assert holders(bench) == [pupil]


def test_what_became_one_by_a_merge_parts_when_it_is_taken_back(make: Make) -> None:
    bench = make(2)
    source = bench.sources["s0"]
    source.put(Entity.VERZORGER, "m", achternaam="Jansen")
    for key in ("a", "b"):
        source.put(Entity.LEERLING, key, achternaam="Jansen", roepnaam=key)
        source.put(Entity.VERZORGER_RELATIE, f"m/{key}", verzorger="m", leerling=key)
    bench.settle(rounds=1)
    one, two = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "b")
    decide(bench, Verdict.MERGE, core_id=one, other=two)
    bench.settle(rounds=1)
    assert holders(bench) == [one]
    assert lift(bench, act_of(bench)).error == ""
    assert holders(bench) == [one, two]
    bench.settle()
    assert holders(bench) == [one, two]


def test_who_becomes_another_takes_only_his_own_along(make: Make) -> None:
    bench = entered_twice(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "c", achternaam="Vos")
    source.put(Entity.VERZORGER_RELATIE, "m/c", verzorger="m", leerling="c")
    bench.sync("s0")
    one, third = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "c")
    assert decide(bench, Verdict.LINK, "b", core_id=third).error == ""
    bench.settle(rounds=1)
    assert holders(bench) == [one, third]
    assert lift(bench, act_of(bench)).error == ""
    bench.settle()
    assert holders(bench) == [one, third]
    assert bench.core(Entity.VERZORGER_RELATIE, "m/b") == bench.core(
        Entity.VERZORGER_RELATIE, "m/a"
    )


@pytest.mark.parametrize("source", ["s0", "s1"])
def test_a_split_holds_for_the_record_that_stayed_too(make: Make, source: str) -> None:
    bench = make(2)
    for name, key in (("s0", "a"), (source, "b")):
        bench.sources[name].put(Entity.LEERLING, key, **PUPIL, bsn=synthetic_bsn(1))
        bench.sync(name)
    decide(bench, Verdict.SPLIT, "b", source)
    bench.sources["s0"].put(
        Entity.LEERLING, "a", **PUPIL | {"achternaam": "Bos"}, bsn=synthetic_bsn(1)
    )
    bench.settle()
    assert bench.cases() == []
    assert sorted(bench.query("SELECT achternaam FROM leerling")) == [("Bos",), ("Jansen",)]
    lift(bench, act_of(bench), source)
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]


def test_a_new_number_asks_again_of_two_who_were_parted(make: Make) -> None:
    bench = make(2)
    source = bench.sources["s0"]
    for key, bsn in (("a", {}), ("b", {"bsn": synthetic_bsn(1)})):
        source.put(Entity.LEERLING, key, **PUPIL, leerlingnummer="123", **bsn)
    bench.settle(rounds=1)
    decide(bench, Verdict.SPLIT, "b")
    source.put(Entity.LEERLING, "a", **PUPIL, leerlingnummer="123", bsn=synthetic_bsn(1))
    bench.settle(rounds=1)
    assert [row[2:4] for row in bench.cases()] == [("a", "match")]
