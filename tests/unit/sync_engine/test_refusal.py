"""Refusing a held plan: what the source said is remembered and not proposed again."""

from __future__ import annotations

from typing import Any

from mappings.canonical.fields import Entity
from sync_engine.outcome import Outcome, RunReport
from sync_engine.runs import Kind
from tests.support.hubs import Bench
from tests.support.snapshot import core
from tests.unit.sync_engine.conftest import Make
from tests.unit.sync_engine.test_plans import leave, school


def refuse(bench: Bench, plan_id: int | None, **options: Any) -> RunReport:
    return bench.sync(
        kind=Kind.REFUSE, refused=plan_id, operator="test", why="klopt niet", **options
    )


def held(make: Make) -> tuple[Bench, RunReport]:
    """A school of twelve of whom three would be closed, which the guard holds."""
    bench = school(make)
    leave(bench, 0, 1, 2)
    return bench, bench.sync()


def test_what_is_refused_is_not_proposed_again(make: Make) -> None:
    bench, plan = held(make)
    before = core(bench)
    report = refuse(bench, plan.plan_id)
    assert (report.outcome, report.refusals, report.held) == (Outcome.DONE, 3, 0)
    for _ in range(3):
        bench.later()
        again = bench.sync()
        assert (again.outcome, again.held, again.applied) == (Outcome.DONE, 0, {})
    assert core(bench) == before


def test_it_is_proposed_again_when_the_source_says_something_else(make: Make) -> None:
    bench, plan = held(make)
    refuse(bench, plan.plan_id)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "l0", achternaam="Naam0")
    bench.sync()
    bench.policy(guards={"close": {"number": 1, "share": None, "floor": 0}})
    leave(bench, 0)
    assert bench.sync().held == 1


def test_who_refused_and_why_is_kept(make: Make) -> None:
    bench, plan = held(make)
    refuse(bench, plan.plan_id)
    assert bench.query(
        "SELECT state, decided_by, decided_why FROM plan WHERE id = ?", plan.plan_id
    ) == [("refused", "test", "klopt niet")]


def test_a_refused_plan_is_neither_approved_nor_refused_again(make: Make) -> None:
    bench, plan = held(make)
    refuse(bench, plan.plan_id)
    for report in (
        refuse(bench, plan.plan_id),
        bench.sync(kind=Kind.APPLY, approved=plan.plan_id),
    ):
        assert report.outcome is Outcome.FAILED
        assert "refused" in report.error


def test_what_is_new_since_stays_held(make: Make) -> None:
    bench, plan = held(make)
    bench.sources["s0"].remove(Entity.LEERLING, "l3")
    bench.later()
    bench.sync()
    bench.later()
    bench.sync()
    report = refuse(bench, plan.plan_id)
    assert (report.outcome, report.refusals, report.held) == (Outcome.HELD, 3, 1)
    assert bench.query("SELECT state FROM plan WHERE id = ?", report.plan_id) == [("held",)]


def test_refused_creations_take_what_leans_on_them_along(make: Make) -> None:
    bench = school(make, 4)
    bench.policy(guards={"create": {"share": 0.5, "floor": 0}})
    source = bench.sources["s0"]
    for number in range(4, 8):
        source.put(Entity.LEERLING, f"l{number}", achternaam="Nieuw")
        source.put(Entity.INSCHRIJVING, f"i{number}", leerling=f"l{number}")
    plan = bench.sync()
    before = core(bench)
    report = refuse(bench, plan.plan_id)
    assert (report.outcome, report.refusals) == (Outcome.DONE, 8)
    bench.later()
    assert bench.sync().held == 0
    assert core(bench) == before


def test_a_change_that_policy_causes_cannot_be_refused(make: Make) -> None:
    bench = make(2)
    eck = "https://ketenid.nl/pilot/" + "{}" * 128
    for name in bench.sources:
        for number in range(4):
            bench.sources[name].put(
                Entity.LEERLING, f"l{number}", achternaam=name, eck_id=eck.format(*[number] * 128)
            )
        bench.sync(name)
    few = {"change": {"share": None, "number": 3, "floor": 0}}
    bench.policy(guards=few, authority={"order": {"*": ["s1"]}})
    plan = bench.sync("s0")
    report = refuse(bench, plan.plan_id)
    assert (report.outcome, report.refusals, report.held) == (Outcome.HELD, 0, 4)
    assert bench.sync("s0").held == 4


def test_a_refused_form_no_longer_tells_who_somebody_is(make: Make) -> None:
    bench = school(make, 4)
    eck = "https://ketenid.nl/pilot/" + "b" * 128
    bench.policy(guards={"change": {"share": None, "number": 1, "floor": 0}})
    bench.sources["s0"].put(Entity.LEERLING, "l0", achternaam="Naam0", eck_id=eck)
    refuse(bench, bench.sync().plan_id)
    assert not bench.query("SELECT 1 FROM match_key")
