"""Held plans, previews and approval."""

from __future__ import annotations

from typing import Any

import pytest

from console.output import Output
from console.plans import show_plans
from mappings.canonical.fields import Entity
from sync_engine import pins
from sync_engine.errors import StalePlanError
from sync_engine.outcome import ExitCode, Outcome
from sync_engine.plans import LEFT, list_plans
from sync_engine.runs import Kind
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

FEW = {"close": {"share": None, "number": 3, "floor": 0}}


def school(make: Make, size: int = 12) -> Bench:
    bench = make()
    bench.policy(guards=FEW)
    for number in range(size):
        bench.sources["s0"].put(Entity.LEERLING, f"l{number}", achternaam=f"Naam{number}")
    bench.sync()
    return bench


def leave(bench: Bench, *numbers: int) -> None:
    for number in numbers:
        bench.sources["s0"].remove(Entity.LEERLING, f"l{number}")
    bench.later()
    bench.sync()
    bench.later()


def open_pupils(bench: Bench) -> int:
    return int(bench.query("SELECT COUNT(*) FROM leerling WHERE geldig_tot IS NULL")[0][0])


def approve(bench: Bench, plan_id: int | None) -> Any:
    return bench.sync(kind=Kind.APPLY, approved=plan_id)


def test_closings_over_the_guard_wait_while_the_rest_goes_on(make: Make) -> None:
    bench = school(make)
    leave(bench, 0, 1, 2)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "l5", achternaam="Gewijzigd")
    source.put(Entity.LEERLING, "nieuw", achternaam="Nieuw")
    report = bench.sync()
    assert (report.outcome, report.exit_code, report.held) == (Outcome.HELD, ExitCode.HELD, 3)
    assert [(hold.entity, hold.op) for hold in report.holds] == [("leerling", "close")]
    assert open_pupils(bench) == 13
    names = {row[0] for row in bench.query("SELECT achternaam FROM leerling")}
    assert {"Gewijzigd", "Nieuw"} <= names


def test_below_the_guard_nothing_waits(make: Make) -> None:
    bench = school(make)
    leave(bench, 0, 1)
    assert bench.sync().outcome is Outcome.DONE
    assert open_pupils(bench) == 10


def test_an_approved_plan_is_applied_and_nothing_is_read(make: Make) -> None:
    bench = school(make)
    leave(bench, 0, 1, 2)
    held = bench.sync()
    report = approve(bench, held.plan_id)
    assert (report.outcome, report.held) == (Outcome.DONE, 0)
    assert not report.readings
    assert open_pupils(bench) == 9
    assert bench.sync().steps == {}


def test_what_is_not_in_the_approved_plan_stays_held_and_is_shown_alone(make: Make) -> None:
    bench = school(make)
    leave(bench, 0, 1, 2)
    held = bench.sync()
    bench.sources["s0"].remove(Entity.LEERLING, "l3")
    bench.later()
    bench.sync()
    bench.later()
    bench.sync()
    report = approve(bench, held.plan_id)
    assert (report.outcome, report.held) == (Outcome.HELD, 1)
    assert open_pupils(bench) == 9
    rest = bench.query(
        "SELECT source FROM step WHERE plan_id = ? AND state = 'held'", report.plan_id
    )
    assert rest == [("s0/l3",)]
    assert approve(bench, report.plan_id).outcome is Outcome.DONE
    assert open_pupils(bench) == 8


def test_what_came_back_since_is_not_closed_by_an_approval(make: Make) -> None:
    bench = school(make)
    leave(bench, 0, 1, 2)
    held = bench.sync()
    bench.sources["s0"].put(Entity.LEERLING, "l0", achternaam="Naam0")
    bench.sync()
    approve(bench, held.plan_id)
    assert open_pupils(bench) == 10


def test_a_plan_is_applied_once(make: Make) -> None:
    bench = school(make)
    leave(bench, 0, 1, 2)
    held = bench.sync()
    approve(bench, held.plan_id)
    report = approve(bench, held.plan_id)
    assert report.outcome is Outcome.FAILED
    assert "approved" in report.error


def test_a_plan_that_has_expired_is_refused(make: Make) -> None:
    bench = school(make)
    leave(bench, 0, 1, 2)
    held = bench.sync()
    bench.later(73)
    report = approve(bench, held.plan_id)
    assert report.outcome is Outcome.FAILED
    assert report.advice == StalePlanError.default_advice
    assert open_pupils(bench) == 12


@pytest.mark.parametrize("plan_id", [0, 999])
def test_a_plan_that_is_not_there_is_refused(make: Make, plan_id: int) -> None:
    report = approve(school(make), plan_id)
    assert report.outcome is Outcome.FAILED


def test_a_plan_of_another_koppeling_is_refused(make: Make) -> None:
    bench = make(2)
    report = bench.sync("s0", plan_only=True)
    assert bench.sync("s1", kind=Kind.APPLY, approved=report.plan_id).outcome is Outcome.FAILED


def test_plan_only_waits_with_everything_and_apply_goes_on(make: Make) -> None:
    bench = make()
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "a", achternaam="Jansen")
    source.put(Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=["a"])
    planned = bench.sync(plan_only=True)
    assert planned.outcome is Outcome.HELD
    assert not bench.query("SELECT id FROM leerling")
    report = approve(bench, planned.plan_id)
    assert (report.outcome, report.held) == (Outcome.DONE, 0)
    assert bench.query("SELECT persoon_id FROM groepsdeelname") == [
        (bench.core(Entity.LEERLING, "a"),)
    ]


def test_what_is_left_after_a_decision_says_why_it_waits(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = make()
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "a", achternaam="Jansen")
    planned = bench.sync(plan_only=True)
    source.put(Entity.LEERLING, "b", achternaam="Nieuw")
    bench.sync(plan_only=True)
    report = approve(bench, planned.plan_id)
    assert report.held == 1
    (head,) = list_plans(bench.hub)
    assert (head.id, head.state, head.holds, head.reasons) == (report.plan_id, "held", [], [LEFT])
    show_plans(Output(), [head])
    assert "bleef over: stond niet in het plan" in " ".join(capsys.readouterr().out.split())


def test_creations_over_the_guard_wait_and_what_refers_to_them_waits_with_them(make: Make) -> None:
    bench = school(make, 4)
    bench.policy(guards={"create": {"share": 0.5, "floor": 0}})
    source = bench.sources["s0"]
    for number in range(4, 8):
        source.put(Entity.LEERLING, f"l{number}", achternaam="Nieuw")
        source.put(Entity.INSCHRIJVING, f"i{number}", leerling=f"l{number}")
    source.put(Entity.INSCHRIJVING, "i0", leerling="l0")
    report = bench.sync()
    assert report.outcome is Outcome.HELD
    assert len(bench.query("SELECT id FROM leerling")) == 4
    assert len(bench.query("SELECT id FROM inschrijving")) == 1
    assert approve(bench, report.plan_id).outcome is Outcome.DONE
    assert len(bench.query("SELECT id FROM leerling")) == 8
    assert len(bench.query("SELECT id FROM inschrijving")) == 5


def test_changes_that_a_policy_causes_are_not_lost_when_they_are_held(make: Make) -> None:
    bench = make(2)
    eck = "https://ketenid.nl/pilot/" + "{}" * 128
    for name in bench.sources:
        for number in range(4):
            bench.sources[name].put(
                Entity.LEERLING,
                f"l{number}",
                achternaam=name,
                eck_id=eck.format(*[f"{number}"] * 128),
            )
        bench.sync(name)
    few = {"change": {"share": None, "number": 3, "floor": 0}}
    bench.policy(guards=few, authority={"order": {"*": ["s1"]}})
    held = bench.sync("s0")
    assert held.outcome is Outcome.HELD
    assert bench.query("SELECT DISTINCT achternaam FROM leerling") == [("s0",)]
    assert approve(bench, held.plan_id).outcome is Outcome.DONE
    assert bench.query("SELECT DISTINCT achternaam FROM leerling") == [("s1",)]


def test_a_preview_shows_the_run_and_changes_nothing(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].put(Entity.LEERLING, "nieuw", achternaam="Nieuw")
    bench.sources["s0"].put(Entity.LEERLING, "l1", achternaam="Anders")
    before = bench.dump()
    preview = bench.sync(dry=True)
    assert bench.dump() == before
    assert preview.steps == {"leerling.change": 1, "leerling.create": 1}
    assert bench.sync().steps == preview.steps


def test_the_journal_holds_no_value_in_plain_text(make: Make) -> None:
    bench = school(make, 1)
    person = {"entity": Entity.LEERLING, "reason": "test", "operator": "test"}
    core_id = bench.core(Entity.LEERLING, "l0")
    pins.pin(bench.hub, core_id, field="roepnaam", value="Kanarie", **person)  # type: ignore[arg-type] # keyword arguments from a dict
    bench.sync()
    assert bench.query("SELECT roepnaam FROM leerling") == [("Kanarie",)]
    for table, rows in bench.dump(without=frozenset({"leerling"})).items():
        assert "Kanarie" not in repr(rows), table


def with_groepen(make: Make) -> Bench:
    bench = make()
    source = bench.sources["s0"]
    for number in range(20):
        source.put(Entity.LEERLING, f"l{number}", achternaam=f"Naam{number}")
    for number in range(4):
        groep(bench, number, [f"l{n}" for n in range(20) if n % 4 == number])
    bench.sync()
    bench.later()
    return bench


def groep(bench: Bench, number: int, members: list[str]) -> None:
    bench.sources["s0"].put(
        Entity.GROEP, f"g{number}", naam=f"G{number}", soort="stamgroep", leerlingen=members
    )


def open_members(bench: Bench) -> int:
    found = bench.query("SELECT COUNT(*) FROM groepsdeelname WHERE NOT beeindigd")
    return int(found[0][0])


def test_a_source_that_empties_its_member_lists_is_held(make: Make) -> None:
    bench = with_groepen(make)
    for number in range(4):
        groep(bench, number, [])
    report = bench.sync()
    assert (report.outcome, report.held) == (Outcome.HELD, 4)
    assert [(hold.entity, hold.op, hold.field) for hold in report.holds] == [
        ("groep", "change", "groepsdeelname")
    ]
    assert open_members(bench) == 20
    assert approve(bench, report.plan_id).outcome is Outcome.DONE
    assert open_members(bench) == 0


def test_a_few_members_who_leave_pass(make: Make) -> None:
    bench = with_groepen(make)
    groep(bench, 0, ["l0", "l4"])
    report = bench.sync()
    assert (report.outcome, report.held) == (Outcome.DONE, 0)
    assert open_members(bench) == 17


def test_a_step_says_that_it_leans_on_what_is_held_where_its_own_field_is_not(make: Make) -> None:
    bench = make()
    source = bench.sources["s0"]
    for number in range(20):
        source.put(Entity.GROEP, f"g{number}", naam=f"G{number}", soort="lesgroep", leerjaar=1)
    source.put(Entity.VAK, "v", naam="Nederlands")
    bench.sync()
    bench.policy(
        guards={
            "empty": {"share": None, "number": 3, "floor": 0},
            "create": {"share": None, "number": 3, "floor": 0},
        }
    )
    for number in range(10):
        source.put(Entity.GROEP, f"g{number}", naam=f"G{number}", soort="lesgroep", leerjaar=None)
    for number in range(5):
        source.put(Entity.VAK, f"v{number}", naam=f"Vak {number}")
    source.put(Entity.GROEP, "g19", naam="G19", soort="lesgroep", leerjaar=1, vak="v1")
    report = bench.sync()
    assert report.outcome is Outcome.HELD
    assert sorted((hold.entity, hold.op, hold.field) for hold in report.holds) == [
        ("groep", "change", "leerjaar"),
        ("vak", "create", ""),
    ]
    reasons = bench.query(
        "SELECT entity, held_for, COUNT(*) FROM step WHERE plan_id = ? AND state = 'held' "
        "GROUP BY entity, held_for ORDER BY entity, held_for",
        report.plan_id,
    )
    assert reasons == [
        ("groep", "leerjaar wordt leeg bij 10 van 20 keer groep", 10),
        ("groep", "wacht op een onderdeel dat is vastgehouden", 1),
        ("vak", "5 van 1 keer vak zou worden nieuw", 5),
    ]


def test_what_refers_to_a_merged_record_follows_it_whatever_a_guard_holds(make: Make) -> None:
    bench = make(2)
    eck = "https://ketenid.nl/pilot/" + "a" * 128
    for name, key in (("s0", "a"), ("s1", "b")):
        bench.sources[name].put(Entity.LEERLING, key, achternaam="Jansen")
        bench.sources[name].put(Entity.INSCHRIJVING, f"i{key}", leerling=key)
    bench.sources["s1"].put(Entity.LEERLING, "b", achternaam="Jansen", eck_id=eck)
    bench.settle(rounds=1)
    bench.policy(guards={"change": {"share": None, "number": 1, "floor": 0}})
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen", eck_id=eck)
    bench.sync("s0")
    pupils = {row[0] for row in bench.query("SELECT id FROM leerling")}
    assert len(pupils) == 1
    assert {row[0] for row in bench.query("SELECT leerling_id FROM inschrijving")} == pupils
