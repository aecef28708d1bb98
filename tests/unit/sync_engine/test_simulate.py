"""Rules of correlation tried on a whole source: what they answer, beside what stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigurationError
from config.operators import Role
from connectors.errors import SourceUnavailableError
from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine.actor import Actor
from sync_engine.errors import NoRightError
from sync_engine.find import hub_key
from sync_engine.options import Decision, Verdict
from sync_engine.options import Kind as RunKind
from sync_engine.outcome import ExitCode, Outcome
from sync_engine.store.engine import Store
from sync_engine.trial.answers import Answer, Change
from sync_engine.trial.simulate import Answered, Simulation, Trial, Wanted, simulate
from tests.support.adding import AddingMapping, AddingSource, eck_ids
from tests.support.hubs import Bench, bench
from tests.support.memory import MemoryConnector, MemorySource

Make = Callable[..., Bench]
ECK, OTHER, THIRD = (f"https://ketenid.nl/pilot/{digit * 128}" for digit in "abc")
ANNA = {"achternaam": "Jansen", "geboortedatum": "2012-03-04", "roepnaam": "Anna"}
HERE, THERE = ({"straat": "Kade", "postcode": code} for code in ("1234AB", "9999ZZ"))
ALL = tuple(Change)


@pytest.fixture
def both(store: Store, tmp_path: Path) -> Iterator[Make]:
    """Makes a bench on each of the two databases."""
    yield from _makes(store, tmp_path)


@pytest.fixture
def make(sqlite_store: Store, tmp_path: Path) -> Iterator[Make]:
    """Makes a bench on SQLite."""
    yield from _makes(sqlite_store, tmp_path)


def _makes(store: Store, folder: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def make(sources: Any = 2) -> Bench:
        made.append(bench(store, folder, sources=sources))
        return made[-1]

    yield make
    for one in made:
        one.close()


def put(bench: Bench, name: str, entity: Entity, key: str, **values: Any) -> None:
    bench.sources[name].put(entity, key, **values)


def ask(
    bench: Bench, name: str = "s1", *, read: bool = False, trial: Trial | None = None, **wanted: Any
) -> Simulation:
    wanted.setdefault("changes", ALL)
    return simulate(bench.hub, name, trial or Trial(), Wanted(**wanted), operator="anna", read=read)


def of(found: Simulation, key: str) -> Answered:
    (record,) = [record for record in found.records if record.source_key == key]
    return record


def told(found: Simulation) -> dict[str, tuple[Answer, str, Change]]:
    return {r.source_key: (r.answer, r.rule, r.change) for r in found.records}


def school(make: Make) -> Bench:
    """Two sources that know one school: by key, by looks, alone, and a groep by its name."""
    made = make()
    for name in made.sources:
        put(made, name, Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
        put(made, name, Entity.LEERLING, "key", achternaam="Bakker", eck_id=ECK)
        put(made, name, Entity.LEERLING, f"look-{name}", **ANNA, adres=HERE)
        put(made, name, Entity.LEERLING, f"alone-{name}", achternaam=f"Smit {name}")
        groep = {"naam": "1A", "soort": "stamgroep", "schooljaar": "2026/2027", "vestiging": "v"}
        put(made, name, Entity.GROEP, "g", **groep)
        at = {"vestiging": "v", "schooljaar": "2026/2027"}
        put(made, name, Entity.INSCHRIJVING, "i", leerling="key", **at)
        put(made, name, Entity.INSCHRIJVING, "j", leerling=f"look-{name}", vestiging="v")
    for name in ("s0", "s1"):
        made.sync(name)
    return made


# -- as it stands ----------------------------------------------------------------------------------


def test_the_rules_answer_what_stands_and_nothing_is_changed(both: Make) -> None:
    made = school(both)
    before = made.dump(without=frozenset({"audit", "audit_anchor"}))
    found = ask(made)
    assert made.dump(without=frozenset({"audit", "audit_anchor"})) == before
    assert told(found) == {
        "v": (Answer.LINKED, "exact: vestigingsnummer", Change.SAME),
        "key": (Answer.LINKED, "exact: eck_id", Change.SAME),
        "look-s1": (Answer.DISPUTED, "score", Change.SAME),
        "alone-s1": (Answer.NEW, "new", Change.SAME),
        "g": (Answer.LINKED, "exact: groep", Change.SAME),
        "i": (Answer.LINKED, "exact: plaatsing", Change.SAME),
        "j": (Answer.WAITING, "", Change.SAME),
    }
    assert (
        of(found, "key").key
        == of(found, "key").stands
        == hub_key(made.core(Entity.LEERLING, "key"))
    )
    looks = of(found, "look-s1")
    assert looks.candidates == (hub_key(made.core(Entity.LEERLING, "look-s0")),)
    assert (looks.score, looks.key, looks.stands) == (1.0, "", "")
    counted = {(one.entity, one.rule): (one.records, one.differs) for one in found.rules}
    assert counted["leerling", "exact: eck_id"] == (1, 0)
    assert counted["leerling", "score"] == (1, 0)
    assert (found.changes, found.exit_code) == ({Change.SAME: 7}, ExitCode.DONE)
    noted = made.query("SELECT operator, subject FROM audit WHERE action = 'correlation try'")
    assert noted == [("anna", "koppeling s1")]


def test_what_a_koppeling_alone_tells_of_does_not_look_like_itself(both: Make) -> None:
    made = school(both)
    found = ask(made, "s0")  # it was there first: of the others nobody is known who looks so
    assert found.changes == {Change.SAME: 7}
    assert told(found)["look-s0"] == (Answer.NEW, "new", Change.SAME)
    assert told(found)["key"] == (Answer.LINKED, "exact: eck_id", Change.SAME)
    assert made.sync("s0").steps == {}  # and everything is where it was
    assert made.sync("s1").steps == {}


def test_what_a_simulation_breaks_off_at_leaves_the_store_as_it_is(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = school(make)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("sync_engine.trial.answers.correlate_pending", broken)
        with pytest.raises(RuntimeError):
            ask(made)
    assert made.sync("s1").steps == {}
    assert ask(made).changes == {Change.SAME: 7}


def test_what_is_gone_is_not_asked_about(make: Make) -> None:
    made = school(make)
    made.sources["s1"].remove(Entity.LEERLING, "alone-s1")
    made.settle()
    assert "alone-s1" not in told(ask(made))


# -- before the first run --------------------------------------------------------------------------


def test_a_new_source_is_answered_as_its_first_run_does(both: Make) -> None:
    made = both()
    school_of = [("s0", "look-s0", HERE), ("s1", "look-s1", HERE)]
    for name, key, adres in school_of:
        put(made, name, Entity.LEERLING, key, **ANNA, adres=adres)
        put(made, name, Entity.LEERLING, "key", achternaam="Bakker", eck_id=ECK)
        put(made, name, Entity.LEERLING, f"alone-{name}", achternaam="Smit")
        put(made, name, Entity.MEDEWERKER, f"m-{name}", achternaam="Vos", eck_id=THIRD)
    for key in ("twin-a", "twin-b"):
        number = {"leerlingnummer": "7", "geboortedatum": "2011-01-01"}
        put(made, "s1", Entity.LEERLING, key, achternaam="Kok", **number)
    made.sync("s0")
    assert ask(made).rules == []  # nothing was read of it yet
    before = made.dump()
    found = ask(made, read=True)
    assert made.dump() == before  # but for its plan, as every dry run has
    assert found.report is not None
    assert told(found) == {
        "m-s1": (Answer.LINKED, "exact: eck_id", Change.FRESH),
        "alone-s1": (Answer.NEW, "new", Change.FRESH),
        "key": (Answer.LINKED, "exact: eck_id", Change.FRESH),
        "look-s1": (Answer.DISPUTED, "score", Change.FRESH),
        "twin-a": (Answer.NEW, "new", Change.FRESH),
        "twin-b": (Answer.NEW, "exact: leerlingnummer", Change.FRESH),
    }
    assert found.exit_code is ExitCode.DONE
    done = made.sync("s1")
    assert done.situations == found.report.situations
    links = {
        key: hub_key(core_id)
        for key, core_id in made.query(
            "SELECT l.source_key, l.core_id FROM link l JOIN koppeling k "
            "ON k.id = l.koppeling_id WHERE k.name = 's1'"
        )
    }
    assert links.keys() == {r.source_key for r in found.records if r.answer is not Answer.DISPUTED}
    assert all(links[r.source_key] == r.key for r in found.records if r.key)
    assert [case[2] for case in made.cases()] == ["look-s1"]
    assert links["twin-a"] == links["twin-b"]
    assert ask(made).changes == {Change.SAME: 6}  # and so it stays


def test_a_source_that_fails_is_told_and_answers_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = school(make)

    def down(*_: Any, **__: Any) -> None:
        raise SourceUnavailableError("down", system="memory")

    monkeypatch.setattr(MemoryConnector, "scopes", down)
    found = ask(made, read=True)
    assert found.report is not None
    assert found.report.outcome is Outcome.FAILED
    assert (found.rules, found.exit_code) == ([], found.report.exit_code)


# -- other rules -----------------------------------------------------------------------------------


def test_without_a_key_who_it_joined_would_stand_alone(make: Make) -> None:
    found = ask(school(make), trial=Trial(frozenset({"eck_id"})))
    assert told(found)["key"] == (Answer.NEW, "new", Change.PARTS)
    assert told(found)["i"] == (Answer.NEW, "new", Change.PARTS)  # and with him what is his
    assert told(found)["g"] == (Answer.LINKED, "exact: groep", Change.SAME)
    assert found.exit_code is ExitCode.PARTIAL
    counted = {(one.entity, one.rule): (one.records, one.differs) for one in found.rules}
    assert counted["leerling", "new"] == (2, 1)


@pytest.mark.parametrize(
    ("tables", "answer"),
    [
        ({"correlation": {"case_at": 0.9}}, Answer.DISPUTED),
        ({"correlation": {"case_at": 0.901}}, Answer.NEW),
        ({"correlation": {"weights": {"postcode": 20.0}}}, Answer.NEW),
        (
            {"correlation": {"case_at": 0.99, "entities": {"leerling": {"case_at": 0.9}}}},
            Answer.DISPUTED,
        ),
        ({"correlation": {"sources": {"s1": {"case_at": 1.0}}}}, Answer.NEW),
        ({"reactions": {"unmatched": "ignore"}, "correlation": {"case_at": 1.0}}, Answer.LEFT),
    ],
)
def test_a_threshold_is_tried_before_it_is_configured(
    make: Make, tables: dict[str, Any], answer: Answer
) -> None:
    made = make()
    put(made, "s0", Entity.LEERLING, "a", **ANNA, adres=HERE)
    put(made, "s1", Entity.LEERLING, "b", **ANNA, adres=THERE)
    for name in ("s0", "s1"):
        made.sync(name)
    found = of(ask(made, trial=Trial(policy=tables)), "b")
    assert found.answer is answer
    assert found.score == (0.9 if answer is Answer.DISPUTED else None)


def test_one_threshold_on_the_line_goes_before_all_that_are_configured(make: Make) -> None:
    made = make()
    made.policy(correlation={"sure_at": 0.9, "sources": {"s1": {"case_at": 0.5}}})
    put(made, "s0", Entity.LEERLING, "a", **ANNA, adres=HERE)
    put(made, "s1", Entity.LEERLING, "b", **ANNA, adres=THERE)
    for name in ("s0", "s1"):
        made.sync(name)
    for case_at, answer in ((0.9, Answer.DISPUTED), (0.901, Answer.NEW)):
        assert of(ask(made, trial=Trial(case_at=case_at)), "b").answer is answer


def test_looks_may_be_left_out(make: Make) -> None:
    found = ask(school(make), trial=Trial(frozenset({"score"})))
    assert told(found)["look-s1"] == (Answer.NEW, "new", Change.FRESH)
    assert told(found)["j"] == (Answer.NEW, "new", Change.FRESH)


def decide(bench: Bench, verdict: Verdict, key: str, core_id: int | None = None) -> None:
    decision = Decision(verdict, Entity.LEERLING, key, core_id=core_id)
    made = bench.sync("s1", kind=RunKind.DECIDE, decision=decision, why="x", operator="test")
    assert not made.error, made.error


def test_a_decision_answers_first_and_its_own_words_do_not_raise_a_score(both: Make) -> None:
    made = both()
    made.policy(authority={"order": {"*": ["s1", "s0"]}})
    put(made, "s0", Entity.LEERLING, "a", **ANNA, adres=HERE)
    put(made, "s1", Entity.LEERLING, "b", **ANNA, adres=THERE)
    made.sync("s0")
    made.sync("s1")
    decide(made, Verdict.LINK, "b", made.core(Entity.LEERLING, "a"))
    made.sync("s1")
    assert made.query("SELECT postcode FROM adres") == [("9999ZZ",)]  # s1 is believed
    found = of(ask(made), "b")
    assert (found.answer, found.rule, found.change) == (
        Answer.LINKED,
        "decision: link",
        Change.SAME,
    )
    alone = of(ask(made, trial=Trial(frozenset({"decision"}))), "b")
    assert (alone.answer, alone.change) == (Answer.DISPUTED, Change.DISPUTED)
    assert alone.score == 0.9  # by what s0 says of him
    assert alone.candidates == (hub_key(made.core(Entity.LEERLING, "a")),)


def test_where_the_rules_would_move_or_join_is_told(make: Make) -> None:
    made = make()
    for key, eck in (("x", ECK), ("y", OTHER), ("z", THIRD)):
        put(made, "s0", Entity.LEERLING, key, achternaam="Jansen", eck_id=eck)
    for key, eck in (("x", ECK), ("y", OTHER)):
        put(made, "s1", Entity.LEERLING, key, achternaam="Jansen", eck_id=eck)
    put(made, "s1", Entity.LEERLING, "w", achternaam="Jansen")
    made.sync("s0")
    made.sync("s1")
    decide(made, Verdict.LINK, "w", made.core(Entity.LEERLING, "z"))
    decide(made, Verdict.SPLIT, "x")
    decide(made, Verdict.SPLIT, "y")
    decide(made, Verdict.LINK, "y", made.core(Entity.LEERLING, "x", "s1"))
    assert {r.change for r in ask(made).records} == {Change.SAME}
    found = told(ask(made, trial=Trial(frozenset({"decision"}))))
    assert found["w"] == (Answer.NEW, "new", Change.PARTS)
    assert found["x"] == (Answer.LINKED, "exact: eck_id", Change.JOINS)
    assert found["y"] == (Answer.LINKED, "exact: eck_id", Change.JOINS)
    decide(made, Verdict.LINK, "y", made.core(Entity.LEERLING, "z"))
    moved = told(ask(made, trial=Trial(frozenset({"decision"}))))
    assert moved["y"] == (Answer.LINKED, "exact: eck_id", Change.MOVES)


@pytest.mark.parametrize("parts", ["a", "b"])
def test_who_was_parted_stays_so_from_either_side(make: Make, parts: str) -> None:
    made = make()
    for key in ("a", "b"):
        put(made, "s1", Entity.LEERLING, key, **ANNA, leerlingnummer="123")
    put(made, "s0", Entity.LEERLING, "c", achternaam="Vos", eck_id=ECK)
    made.settle(rounds=1)
    decide(made, Verdict.SPLIT, parts)
    assert {r.change for r in ask(made).records} == {Change.SAME}
    loose = ask(made, trial=Trial(frozenset({"decision"})))
    assert Change.JOINS in {r.change for r in loose.records}


def test_who_was_parted_from_a_record_of_another_source_stays_so(make: Make) -> None:
    made = make()
    for name in made.sources:
        put(made, name, Entity.LEERLING, "a", **ANNA, eck_id=ECK)
    made.settle(rounds=1)
    decide(made, Verdict.SPLIT, "a")
    assert {r.change for name in made.sources for r in ask(made, name).records} == {Change.SAME}


def test_who_would_lose_a_record_and_whom_of_others_it_would_join_is_told(make: Make) -> None:
    made = make(3)
    put(made, "s0", Entity.LEERLING, "a", achternaam="Jansen", bsn=synthetic_bsn(1))
    put(made, "s1", Entity.LEERLING, "b", achternaam="Jansen", eck_id=ECK)
    both = {"bsn": synthetic_bsn(1), "eck_id": ECK}
    put(made, "s2", Entity.LEERLING, "c", achternaam="Jansen", **both)
    put(made, "s2", Entity.LEERLING, "alone", achternaam="Smit")
    made.sync("s0")
    made.sync("s1")
    first = ask(made, "s2", read=True)
    assert (first.merges, told(first)["c"][0]) == (1, Answer.LINKED)
    made.sync("s2")
    ignoring = ask(made, "s2", trial=Trial(policy={"reactions": {"unmatched": "ignore"}}))
    assert told(ignoring)["alone"] == (Answer.LEFT, "", Change.LOST)
    assert told(ignoring)["c"][2] is Change.SAME


def test_two_records_of_one_source_part_or_stay_together(make: Make) -> None:
    made = make(1)
    for key in "ab":
        number = {"leerlingnummer": "7", "geboortedatum": "2011-01-01"}
        put(made, "s0", Entity.LEERLING, key, achternaam="Kok", **number)
    made.sync("s0")
    assert {r.change for r in ask(made, "s0").records} == {Change.SAME}
    parted = ask(made, "s0", trial=Trial(frozenset({"leerlingnummer"})))
    assert {r.change for r in parted.records} == {Change.PARTS}


def test_who_only_adds_brings_nobody_and_is_answered_by_its_hub_keys(
    sqlite_store: Store, tmp_path: Path
) -> None:
    adds = AddingSource()
    kinds = {"s0": MemorySource((Entity.LEERLING,)), "e": adds}
    made = bench(sqlite_store, tmp_path, sources=kinds, mappings=[AddingMapping()])
    put(made, "s0", Entity.LEERLING, "a", **ANNA)
    made.sync("s0")
    adds.obtain(made.core(Entity.LEERLING, "a"), eck_ids(1)[0])
    made.sync("e")
    key = hub_key(made.core(Entity.LEERLING, "a"))
    of_adding = of(ask(made, "e"), key)
    assert (of_adding.answer, of_adding.rule, of_adding.key) == (Answer.LINKED, "hub key", key)
    assert of_adding.change is Change.SAME
    assert told(ask(made, "s0"))["a"] == (Answer.NEW, "new", Change.SAME)


# -- what is asked ---------------------------------------------------------------------------------


def test_all_are_counted_and_those_that_are_wanted_listed(make: Make) -> None:
    made = school(make)
    trial = Trial(frozenset({"eck_id"}))
    seen: list[str] = []
    found = ask(made, trial=trial, changes=(), limit=1, each=lambda r: seen.append(r.source_key))
    assert (seen, len(found.records), found.more) == (["key", "i"], 1, 1)
    assert sum(one.records for one in found.rules) == found.changes.total() == 7
    only = ask(made, trial=trial, entities=("groep",))
    assert [r.source_key for r in only.records] == ["g"]
    cases = ask(made, answers=(Answer.DISPUTED,))
    assert [r.source_key for r in cases.records] == ["look-s1"]


@pytest.mark.parametrize(
    ("trial", "wanted"),
    [
        (Trial(frozenset({"eckid"})), {}),
        (Trial(policy={"guards": {}}), {}),
        (Trial(policy={"correlation": {"case_at": 2.0}}), {}),
        (Trial(policy={"correlation": {"link_at": 0.9}}), {}),
        (Trial(), {"entities": ("leerlin",)}),
    ],
)
def test_rules_that_there_are_not_are_refused(
    make: Make, trial: Trial, wanted: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ask(make(1), "s0", trial=trial, **wanted)
    assert refused.value.advice


def test_who_may_act_for_a_part_of_a_tenant_is_refused(make: Make) -> None:
    made = make(1)
    part = Actor("mies", Role.HELPDESK, frozenset(), schools=frozenset({"99XX"}))
    made.hub = replace(made.hub, actor=part)
    with pytest.raises(NoRightError):
        ask(made, "s0")
