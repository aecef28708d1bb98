"""Guards per school: what is too much for one vestiging waits there, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.guards import GuardKind
from mappings.canonical.fields import Entity
from sync_engine.guard import Allowance, read_allowance
from sync_engine.outcome import Outcome, RunReport
from sync_engine.runs import Kind
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource
from tests.unit.sync_engine.conftest import Make

GROOT, KLEIN = "99XX00", "99XX01"


def board(make: Make, *, small: int = 8, large: int = 60) -> Bench:
    """A koppeling with a large and a small vestiging."""
    source = MemorySource(
        tuple(Entity),
        scope_keys=("groot", "klein"),
        brins={"groot": (GROOT, "99XX"), "klein": (KLEIN, "99XX")},
    )
    made = make({"s0": source})
    for scope, size in (("groot", large), ("klein", small)):
        for number in range(size):
            source.put(Entity.LEERLING, f"{scope}{number}", scope=scope, achternaam=f"Naam{number}")
    assert made.sync().outcome is Outcome.DONE
    return made


def leave(made: Bench, scope: str, *numbers: int) -> RunReport:
    """These pupils are gone from two readings; the report of the second."""
    for number in numbers:
        made.sources["s0"].remove(Entity.LEERLING, f"{scope}{number}", scope=scope)
    made.later()
    made.sync()
    made.later()
    return made.sync()


def left(made: Bench) -> set[str]:
    rows = made.query(
        "SELECT l.source_key FROM leerling p JOIN link l ON l.core_id = p.id "
        "WHERE p.geldig_tot IS NOT NULL"
    )
    return {row[0] for row in rows}


FEW = {"share": 0.3, "floor": 2}


def test_a_small_vestiging_that_loses_many_waits_though_the_koppeling_hardly_notices(
    make: Make,
) -> None:
    made = board(make)
    made.policy(guards={"close": FEW})
    report = leave(made, "klein", 0, 1, 2)
    assert report.outcome is Outcome.HELD
    (hold,) = report.holds
    assert (hold.entity, hold.op, hold.school) == ("leerling", "close", KLEIN)
    assert "3 van 8" in hold.reason
    assert not left(made)


def test_the_other_vestiging_goes_on(make: Make) -> None:
    made = board(make)
    made.policy(guards={"close": FEW})
    made.sources["s0"].remove(Entity.LEERLING, "groot5", scope="groot")
    report = leave(made, "klein", 0, 1, 2)
    assert report.held == 3
    assert left(made) == {"groot5"}


def test_what_was_held_for_a_school_is_approved_as_any_plan(make: Make) -> None:
    made = board(make)
    made.policy(guards={"close": FEW})
    held = leave(made, "klein", 0, 1, 2)
    assert made.sync(kind=Kind.APPLY, approved=held.plan_id).outcome is Outcome.DONE
    assert left(made) == {"klein0", "klein1", "klein2"}


def test_a_school_may_have_a_threshold_of_its_own(make: Make) -> None:
    made = board(make)
    own = {"close": {"number": 2}}
    made.policy(guards={"close": FEW, "schools": {GROOT: own}})
    report = leave(made, "groot", 0, 1)
    assert [(hold.op, hold.school) for hold in report.holds] == [("close", GROOT)]


def test_a_school_with_a_wider_threshold_is_not_held_with_its_koppeling(make: Make) -> None:
    made = board(make)
    wide = {"close": {"share": 0.9, "floor": 2}}
    strict = {"number": 3, "share": None, "floor": 0}
    made.policy(guards={"close": strict, "schools": {KLEIN: wide}})
    assert leave(made, "klein", 0, 1, 2).outcome is Outcome.DONE
    assert len(left(made)) == 3
    assert leave(made, "groot", 0, 1, 2).outcome is Outcome.HELD


def test_new_records_of_one_school_wait_and_what_refers_to_them_waits_with_them(
    make: Make,
) -> None:
    made = board(make)
    made.policy(guards={"create": {"share": 0.5, "floor": 2}})
    source = made.sources["s0"]
    for number in range(20, 26):
        source.put(Entity.LEERLING, f"klein{number}", scope="klein", achternaam="Nieuw")
        source.put(Entity.INSCHRIJVING, f"i{number}", scope="klein", leerling=f"klein{number}")
    source.put(Entity.LEERLING, "groot99", scope="groot", achternaam="Nieuw")
    report = made.sync()
    assert [(hold.op, hold.school) for hold in report.holds] == [("create", KLEIN)]
    new = "SELECT l.source_key FROM leerling p JOIN link l ON l.core_id = p.id "
    assert made.query(f"{new} WHERE p.achternaam = 'Nieuw'") == [("groot99",)]
    assert not made.query("SELECT 1 FROM inschrijving")
    assert made.sync(kind=Kind.APPLY, approved=report.plan_id).outcome is Outcome.DONE
    assert len(made.query(f"{new} WHERE p.achternaam = 'Nieuw'")) == 7
    assert len(made.query("SELECT 1 FROM inschrijving")) == 6


def test_policy_may_let_the_rest_of_a_school_wait(make: Make) -> None:
    made = board(make)
    made.policy(guards={"close": FEW, "schools": {KLEIN: {"held_rest": "hold"}}})
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "klein7", scope="klein", achternaam="Anders")
    source.put(Entity.LEERLING, "groot7", scope="groot", achternaam="Anders")
    for number in (0, 1, 2):
        source.remove(Entity.LEERLING, f"klein{number}", scope="klein")
    made.sync()
    made.later()
    source.put(Entity.LEERLING, "klein6", scope="klein", achternaam="Later")
    source.put(Entity.LEERLING, "groot6", scope="groot", achternaam="Later")
    report = made.sync()
    assert (report.outcome, report.held) == (Outcome.HELD, 4)
    rows = made.query("SELECT COUNT(*) FROM leerling WHERE achternaam = 'Later'")
    assert rows == [(1,)]


@pytest.mark.parametrize(("rest", "held"), [("go", 0), ("hold", 1)])
def test_what_was_read_beside_a_broken_reading_goes_on_or_waits_as_policy_says(
    make: Make, rest: str, held: int
) -> None:
    made = board(make)
    made.policy(guards={"incomplete": rest})
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "klein7", scope="klein", achternaam="Anders")
    source.put(Entity.LEERLING, "groot7", scope="groot", achternaam="Anders")
    source.faults["leerling", "klein"] = "error"
    source.page_size = 4  # the changed one is on a page that comes through
    source.put(Entity.LEERLING, "klein0", scope="klein", achternaam="Anders")
    report = made.sync()
    assert report.held == held
    changed = {
        row[0]
        for row in made.query(
            "SELECT l.source_key FROM leerling p JOIN link l ON l.core_id = p.id "
            "WHERE p.achternaam = 'Anders'"
        )
    }
    assert changed == ({"groot7", "klein0"} if rest == "go" else {"groot7"})


def test_nobody_is_closed_by_what_was_not_read_to_its_end(make: Make) -> None:
    made = board(make)
    source = made.sources["s0"]
    source.remove(Entity.LEERLING, "klein0", scope="klein")
    for _ in range(3):
        made.later()
        source.faults["leerling", "klein"] = "error"
        report = made.sync()
        assert "leerling.close" not in report.steps
    assert not left(made)


def test_a_source_that_delivers_far_fewer_closes_nothing_of_that_scope(make: Make) -> None:
    made = board(make)
    report = leave(made, "klein", *range(6))
    assert {r.state for r in report.readings if r.scope == "klein" and r.missing} == {"incomplete"}
    assert any(event.startswith("shrunk") for event in report.events)
    assert not left(made)


def groepen(made: Bench, members: dict[int, list[str]]) -> None:
    for number, keys in members.items():
        made.sources["s0"].put(
            Entity.GROEP,
            f"g{number}",
            scope="groot",
            naam=f"G{number}",
            soort="stamgroep",
            leerlingen=keys,
        )


def test_a_groep_that_loses_all_its_leerlingen_waits_and_the_others_go_on(make: Make) -> None:
    made = board(make)
    lists = {n: [f"groot{n * 6 + place}" for place in range(6)] for n in range(9)}
    groepen(made, lists)
    made.sync()
    groepen(made, {**lists, 0: [], 1: lists[1][:-1]})
    report = made.sync()
    assert [(h.entity, h.field) for h in report.holds] == [("groep", "groepsdeelname/*")]
    assert report.held == 1
    ended = made.query(
        "SELECT groep_id, COUNT(*) FROM groepsdeelname WHERE beeindigd GROUP BY groep_id"
    )
    assert ended == [(made.core(Entity.GROEP, "g1"), 1)]


def test_a_groep_whose_leerlingen_are_all_others_now_goes_on(make: Make) -> None:
    made = board(make)
    groepen(made, {0: [f"groot{place}" for place in range(6)]})
    made.sync()
    made.policy(guards={"empty": {"share": 1.0, "floor": 50}})
    groepen(made, {0: [f"groot{place}" for place in range(10, 16)]})
    assert made.sync().outcome is Outcome.DONE


def test_what_a_person_allows_passes_in_that_run_only(make: Make) -> None:
    made = board(make)
    made.policy(guards={"close": FEW})
    held = leave(made, "klein", 0, 1, 2)
    assert held.outcome is Outcome.HELD
    too_few = made.sync(allowed=(Allowance(GuardKind.CLOSE, "leerling", 2),))
    assert too_few.outcome is Outcome.HELD
    enough = made.sync(allowed=(Allowance(GuardKind.CLOSE, "leerling", 3),), operator="balie")
    assert enough.outcome is Outcome.DONE
    assert len(left(made)) == 3
    assert leave(made, "klein", 3, 4, 5).outcome is Outcome.HELD
    assert made.query("SELECT operator, why FROM audit WHERE action = 'allow' ORDER BY id") == [
        ("system", "close=leerling:2"),
        ("balie", "close=leerling:3"),
    ]


@pytest.mark.parametrize(
    "text", ["", "close", "close=leerling", "close=klas:3", "sluit=leerling:3", "close=leerling:0"]
)
def test_what_is_typed_wrong_allows_nothing(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_allowance(text)
    assert "close=leerling:200" in caught.value.advice


def test_an_allowance_is_read_as_it_is_typed() -> None:
    assert str(read_allowance(" create=groep:30 ")) == "create=groep:30"


def test_the_counts_of_a_school_are_the_same_on_both_databases(
    store: Store, tmp_path: Path
) -> None:
    made = board(lambda sources: bench(store, tmp_path, sources=sources))
    made.policy(guards={"close": FEW, "empty": {"share": 0.5, "floor": 1}})
    groepen(made, {0: [f"groot{place}" for place in range(4)]})
    made.sync()
    groepen(made, {0: ["groot0"]})
    report = leave(made, "klein", 0, 1, 2)
    made.close()
    assert {(hold.entity, hold.school, hold.reason[:7]) for hold in report.holds} == {
        ("groep", "", "3 van 4"),
        ("leerling", KLEIN, "3 van 8"),
    }


def test_policy_may_let_everything_wait_that_comes_with_what_is_held(
    store: Store, tmp_path: Path
) -> None:
    made = board(lambda sources: bench(store, tmp_path, sources=sources))
    strict = {"close": {"number": 3, "share": None, "floor": 0}, "held_rest": "hold"}
    made.policy(guards=strict)
    for number in (0, 1, 2):
        made.sources["s0"].remove(Entity.LEERLING, f"groot{number}", scope="groot")
    made.later()
    made.sync()
    made.later()
    made.sources["s0"].put(Entity.LEERLING, "nieuw", scope="klein", achternaam="Nieuw")
    made.sources["s0"].put(Entity.LEERLING, "klein1", scope="klein", achternaam="Anders")
    report = made.sync()
    assert (report.outcome, report.held) == (Outcome.HELD, 5)
    reasons: dict[str, str] = dict(
        made.query("SELECT op, held_for FROM step WHERE plan_id = ?", report.plan_id)
    )
    names = made.query("SELECT 1 FROM leerling WHERE achternaam IN ('Nieuw', 'Anders')")
    approved = made.sync(kind=Kind.APPLY, approved=report.plan_id)
    made.close()
    assert "3 van 68" in reasons["close"]
    assert "een ander deel is vastgehouden" in reasons["create"]
    assert "een ander deel is vastgehouden" in reasons["change"]
    assert names == []
    assert (approved.outcome, approved.held) == (Outcome.DONE, 0)
