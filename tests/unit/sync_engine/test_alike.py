"""Many cases answered at once: only those whose record agrees with its one candidate."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine.alike import alike_cases
from sync_engine.options import Kind
from sync_engine.outcome import Outcome, RunReport
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

ECK = "https://ketenid.nl/pilot/{}"


def family(bench: Bench, number: int, *sides: dict[str, Any]) -> None:
    """A child in both sources, and in each a guardian of his who is called as said."""
    for name, ouder in zip(("s0", "s1"), sides, strict=True):
        source, key = bench.sources[name], f"{number}-{name}"
        eck = ECK.format(f"{number:x}" * 128)
        source.put(Entity.LEERLING, f"l{key}", achternaam="Jansen", eck_id=eck)
        source.put(Entity.VERZORGER, f"o{key}", **ouder)
        source.put(Entity.VERZORGER_RELATIE, f"r{key}", verzorger=f"o{key}", leerling=f"l{key}")


def ouder(number: int, **more: Any) -> dict[str, Any]:
    return {"achternaam": "Jansen", "email": f"ouder{number}@thuis.example", **more}


def met(make: Make) -> Bench:
    """Five families; the guardians of two say the same in both sources."""
    bench = make(2)
    family(bench, 1, ouder(1, voorletters="J.M."), ouder(1, voorletters="JM"))
    family(bench, 2, ouder(2), ouder(2, mobiel="0600000002"))  # more is no contradiction
    family(bench, 3, ouder(3, mobiel="0600000003"), ouder(3, mobiel="0600000004"))
    family(bench, 4, ouder(4, geslacht="V"), ouder(4, geslacht="M"))
    family(bench, 5, ouder(5), ouder(5))
    bench.sources["s1"].put(Entity.VERZORGER, "o5-twee", **ouder(5))  # who of both is it?
    bench.sources["s1"].put(
        Entity.VERZORGER_RELATIE, "r5-twee", verzorger="o5-twee", leerling="l5-s1"
    )
    bench.settle(rounds=1)
    assert len(bench.cases()) == 6
    return bench


def decide(bench: Bench, cases: tuple[int, ...], **more: Any) -> RunReport:
    return bench.sync("s1", kind=Kind.DECIDE, alike=cases, operator="test", why="verhuisd", **more)


def test_who_differs_in_anything_or_is_one_of_two_is_left_for_a_person(make: Make) -> None:
    bench = met(make)
    found = alike_cases(bench.hub, "s1", "verzorger")
    assert sorted(one.source_key for one in found.found) == ["o1-s1", "o2-s1"]
    assert sum(found.left.values()) == 4
    assert found.left["iets is anders"] == 2
    assert alike_cases(bench.hub, "s1", "leerling").found == []
    assert alike_cases(bench.hub, "s0", "verzorger").found == []


def test_all_become_one_in_one_act_and_their_relations_follow(make: Make) -> None:
    bench = met(make)
    count = bench.query("SELECT COUNT(*) FROM verzorger")
    report = decide(bench, alike_cases(bench.hub, "s1", "verzorger").cases)
    assert (report.outcome, report.error) == (Outcome.DONE, "")
    for number in (1, 2):
        first = bench.core(Entity.VERZORGER, f"o{number}-s0")
        assert bench.core(Entity.VERZORGER, f"o{number}-s1", "s1") == first
    assert bench.query("SELECT DISTINCT act, operator, why FROM decision") == [
        (1, "test", "verhuisd")
    ]
    answered = bench.query("SELECT case_id FROM decision ORDER BY case_id")
    assert len(set(answered)) == 2
    bench.settle("s1")
    assert bench.query("SELECT COUNT(*) FROM verzorger") == count
    assert len(bench.cases()) == 4
    assert bench.query("SELECT COUNT(*) FROM verzorger_relatie") == [(5,)]
    assert bench.sync("s1").steps == {}


def pupils(make: Make, *sides: dict[str, Any]) -> Bench:
    """One leerling in both sources, of whom names and birth date agree; a case."""
    bench = make(2)
    for name, more in zip(("s0", "s1"), sides, strict=True):
        told = {"achternaam": "Jansen", "roepnaam": "Anna", "geboortedatum": "2012-03-04"}
        bench.sources[name].put(Entity.LEERLING, name, **(told | more))
    bench.settle(rounds=1)
    assert len(bench.cases()) == 1
    return bench


def at(postcode: str, **more: Any) -> dict[str, Any]:
    return {"adres": {"straat": "Kade", "postcode": postcode}, **more}


@pytest.mark.parametrize(("sure_at", "taken"), [(None, 0), (0.9, 1), (0.901, 0)])
def test_who_scores_what_policy_is_sure_at_is_answered_with_the_rest(
    make: Make, sure_at: float | None, taken: int
) -> None:
    bench = pupils(make, at("1234AB"), at("9999ZZ", email="anna@school.example"))
    if sure_at is not None:
        bench.policy(
            correlation={"sources": {"s1": {"entities": {"leerling": {"sure_at": sure_at}}}}}
        )
    bench.settle(rounds=1)
    assert len(bench.cases()) == 1  # however sure: a person answers
    found = alike_cases(bench.hub, "s1", "leerling")
    assert (len(found.found), found.differing, found.sure_at) == (taken, taken, sure_at)
    assert [(one.score, one.differs) for one in found.found] == [(0.9, ("adres",))] * taken
    assert found.left["iets is anders"] == 1 - taken
    if taken:
        decide(bench, found.cases)
        assert bench.core(Entity.LEERLING, "s0") == bench.core(Entity.LEERLING, "s1", "s1")


@pytest.mark.parametrize(
    "sides",
    [
        ({"bsn": synthetic_bsn(1)}, {"bsn": synthetic_bsn(2)}),
        ({"eck_id": ECK.format("a" * 128)}, {"eck_id": ECK.format("b" * 128)}),
    ],
)
def test_of_who_has_another_personal_number_nobody_is_sure(
    make: Make, sides: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    bench = pupils(make, *sides)
    bench.policy(correlation={"case_at": 0.1, "sure_at": 0.1})
    assert alike_cases(bench.hub, "s1", "leerling").found == []


def test_of_whom_only_a_number_or_a_name_led_to_nobody_is_sure(make: Make) -> None:
    bench = pupils(make, at("1234AB"), at("9999ZZ"))
    bench.policy(correlation={"case_at": 0.1, "sure_at": 0.1})
    assert len(alike_cases(bench.hub, "s1", "leerling").found) == 1
    for agrees in ('["leerlingnummer"]', '["achternaam","roepnaam"]'):
        with bench.hub.store.work() as work:
            work.execute(
                "UPDATE zaak SET detail = ?",
                (
                    f'[{{"core_id":{bench.core(Entity.LEERLING, "s0")},"score":1.0,'
                    f'"agrees":{agrees}}}]',
                ),
            )
        assert alike_cases(bench.hub, "s1", "leerling").found == []


def test_what_is_shown_is_what_is_done_and_it_is_taken_back_whole(make: Make) -> None:
    bench = met(make)
    cases = alike_cases(bench.hub, "s1", "verzorger").cases
    shown = decide(bench, cases, plan_only=True)
    assert bench.query("SELECT COUNT(*) FROM decision") == [(0,)]
    done = bench.sync("s1", kind=Kind.DECIDE, approved=shown.plan_id, operator="test")
    assert (done.outcome, done.error) == (Outcome.DONE, "")
    assert bench.query("SELECT COUNT(*) FROM decision") == [(2,)]
    assert bench.sync("s1", kind=Kind.DECIDE, lifted=1, operator="test").outcome is Outcome.DONE
    bench.settle("s1", rounds=1)
    assert len(bench.cases()) == 6


def test_cases_that_were_settled_meanwhile_are_left_out(make: Make) -> None:
    bench = met(make)
    cases = alike_cases(bench.hub, "s1", "verzorger").cases
    decide(bench, cases[:1])
    assert decide(bench, cases).outcome is Outcome.DONE
    assert bench.query("SELECT COUNT(*) FROM decision") == [(2,)]
    again = decide(bench, cases)
    assert again.outcome is Outcome.FAILED
    assert again.advice
