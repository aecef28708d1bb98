"""Undo: any applied run is turned round as a new run, and stays so."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.canonical.fields import Entity
from sync_engine.outcome import Outcome, RunReport
from sync_engine.runs import Kind
from tests.support.hubs import Bench
from tests.support.snapshot import core
from tests.unit.sync_engine.conftest import Make

ECK = "https://ketenid.nl/pilot/" + "a" * 128


def undo(bench: Bench, run_id: int, **options: Any) -> RunReport:
    return bench.sync(kind=Kind.UNDO, undone=run_id, operator="test", **options)


def school(make: Make, sources: int = 1) -> Bench:
    bench = make(sources)
    source = bench.sources["s0"]
    source.put(Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
    for number in range(4):
        source.put(
            Entity.LEERLING,
            f"l{number}",
            achternaam=f"Naam{number}",
            roepnaam="Kim",
            geboortedatum=f"2012-03-0{number + 1}",
            email=f"l{number}@thuis.example",
        )
        source.put(Entity.INSCHRIJVING, f"i{number}", leerling=f"l{number}", vestiging="v")
    source.put(
        Entity.GROEP, "g", naam="1A", soort="stamgroep", vestiging="v", leerlingen=["l0", "l1"]
    )
    bench.sync()
    bench.later()
    return bench


def test_what_changed_is_again_what_it_was_and_stays_so(make: Make) -> None:
    bench = school(make)
    before = core(bench)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "l0", achternaam="Anders", geboortedatum="2012-03-01")
    source.put(
        Entity.GROEP, "g", naam="1B", soort="stamgroep", vestiging="v", leerlingen=["l1", "l2"]
    )
    source.put(Entity.LEERLING, "nieuw", achternaam="Nieuw")
    source.put(Entity.INSCHRIJVING, "inieuw", leerling="nieuw", vestiging="v")
    changed = bench.sync()
    assert core(bench) != before
    report = undo(bench, changed.run_id)
    assert (report.outcome, report.error, report.doubts) == (Outcome.DONE, "", [])
    assert core(bench) == before
    for _ in range(3):
        bench.later()
        assert bench.sync().applied == {}
        assert core(bench) == before


def test_a_first_load_can_be_undone(make: Make) -> None:
    bench = school(make)
    report = undo(bench, bench.reports[0].run_id)
    assert (report.outcome, report.error) == (Outcome.DONE, "")
    assert all(not bench.query(f"SELECT 1 FROM {entity}") for entity in Entity)
    assert not bench.query("SELECT 1 FROM link")
    assert not bench.query("SELECT 1 FROM groepsdeelname")
    assert bench.sync().applied == {}


def test_a_closing_is_opened_again(make: Make) -> None:
    bench = school(make)
    before = core(bench)
    bench.sources["s0"].remove(Entity.INSCHRIJVING, "i3")
    bench.sources["s0"].remove(Entity.LEERLING, "l3")
    bench.sync()
    bench.later()
    closed = bench.sync()
    assert closed.applied == {"inschrijving.close": 1, "leerling.close": 1}
    assert undo(bench, closed.run_id).outcome is Outcome.DONE
    assert core(bench) == before
    bench.later()
    assert bench.sync().applied == {}


def test_an_undo_can_be_undone(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].put(Entity.LEERLING, "l0", achternaam="Anders")
    bench.sources["s0"].put(Entity.LEERLING, "nieuw", achternaam="Nieuw")
    changed = bench.sync()
    after = core(bench)
    undone = undo(bench, changed.run_id)
    again = undo(bench, undone.run_id)
    assert (again.outcome, again.error) == (Outcome.DONE, "")
    assert core(bench) == after
    bench.later()
    assert bench.sync().applied == {}
    assert core(bench) == after


def test_what_a_later_run_changed_is_in_doubt_and_left_as_it_is(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "l0", achternaam="Eens")
    source.put(Entity.LEERLING, "l1", achternaam="Eens")
    first = bench.sync()
    source.put(Entity.LEERLING, "l1", achternaam="Later")
    bench.sync()
    report = undo(bench, first.run_id)
    assert report.outcome is Outcome.PARTIAL
    assert [(doubt.entity, doubt.source) for doubt in report.doubts] == [("leerling", "s0/l1")]
    names: dict[int, str] = dict(bench.query("SELECT id, achternaam FROM leerling"))
    assert names[bench.core(Entity.LEERLING, "l0")] == "Naam0"
    assert names[bench.core(Entity.LEERLING, "l1")] == "Later"


def test_what_a_later_record_leans_on_stays(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "nieuw", achternaam="Nieuw")
    first = bench.sync()
    source.put(Entity.INSCHRIJVING, "inieuw", leerling="nieuw", vestiging="v")
    bench.sync()
    before = core(bench)
    report = undo(bench, first.run_id)
    assert [doubt.source for doubt in report.doubts] == ["s0/nieuw"]
    assert core(bench) == before


def test_what_was_undone_comes_back_when_the_source_says_something_else(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].put(Entity.LEERLING, "l0", achternaam="Fout")
    undo(bench, bench.sync().run_id)
    bench.sources["s0"].put(Entity.LEERLING, "l0", achternaam="Goed")
    assert bench.sync().applied == {"leerling.change": 1}
    names: dict[int, str] = dict(bench.query("SELECT id, achternaam FROM leerling"))
    assert names[bench.core(Entity.LEERLING, "l0")] == "Goed"


def test_records_that_became_one_are_two_again(make: Make) -> None:
    bench = school(make, 2)
    other = bench.sources["s1"]
    other.put(Entity.LEERLING, "x", achternaam="Naam0", eck_id=ECK)
    other.put(Entity.GROEP, "h", naam="2A", soort="lesgroep", leerlingen=["x"])
    bench.sync("s1")
    bench.later()
    before = core(bench)
    bench.sources["s0"].put(
        Entity.LEERLING, "l0", achternaam="Naam0", geboortedatum="2012-03-01", eck_id=ECK
    )
    merged = bench.sync()
    assert bench.core(Entity.LEERLING, "x", "s1") == bench.core(Entity.LEERLING, "l0")
    report = undo(bench, merged.run_id)
    assert (report.outcome, report.error) == (Outcome.DONE, "")
    assert core(bench) == before
    bench.later()
    assert bench.sync().applied == {}
    assert bench.sync("s1").applied == {}
    assert core(bench) == before


def test_a_preview_of_an_undo_is_approved_and_shows_what_goes(make: Make) -> None:
    bench = school(make)
    before = core(bench)
    bench.sources["s0"].put(Entity.LEERLING, "nieuw", achternaam="Nieuw")
    changed = bench.sync()
    shown = undo(bench, changed.run_id, plan_only=True)
    assert shown.steps == {"leerling.remove": 1}
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(5,)]
    assert bench.sync(kind=Kind.APPLY, approved=shown.plan_id).outcome is Outcome.DONE
    assert core(bench) == before


@pytest.mark.parametrize("run_id", [0, 999])
def test_a_run_that_is_not_there_is_refused(make: Make, run_id: int) -> None:
    bench = school(make)
    report = undo(bench, run_id)
    assert report.outcome is Outcome.FAILED
    assert "koppelhub runs" in report.advice


def test_a_run_that_is_too_old_is_refused(make: Make) -> None:
    bench = school(make)
    bench.later(24 * 91)
    assert "too old" in undo(bench, bench.reports[0].run_id).error


def test_who_undid_when_and_why_is_kept_also_where_nobody_was_asked(make: Make) -> None:
    bench = school(make)
    report = undo(bench, bench.reports[0].run_id, why="verkeerde school")
    assert bench.query("SELECT decided_by, decided_why FROM plan WHERE id = ?", report.plan_id) == [
        ("test", "verkeerde school")
    ]


def left_and_listed_again(make: Make) -> tuple[Bench, RunReport]:
    """A pupil who left on Monday, and whom the source lists again days later by mistake."""
    bench = school(make)
    bench.sources["s0"].remove(Entity.INSCHRIJVING, "i3")
    bench.sources["s0"].remove(Entity.LEERLING, "l3")
    bench.settle(rounds=2)
    bench.later(72)
    bench.sources["s0"].put(
        Entity.LEERLING,
        "l3",
        achternaam="Naam3",
        roepnaam="Kim",
        geboortedatum="2012-03-04",
        email="l3@thuis.example",
    )
    return bench, bench.reports[-1]


def test_who_was_reopened_by_mistake_left_on_the_day_on_which_he_left(make: Make) -> None:
    bench, _ = left_and_listed_again(make)
    before = core(bench)
    reopened = bench.sync()
    assert reopened.applied == {"leerling.reopen": 1}
    assert undo(bench, reopened.run_id).doubts == []
    assert core(bench) == before
    bench.later(72)
    bench.sync()
    assert core(bench) == before


def test_a_return_that_is_not_accepted_moves_no_last_day(make: Make) -> None:
    bench, _ = left_and_listed_again(make)
    before = core(bench)
    bench.sync(plan_only=True)
    bench.later(72)
    bench.sync(plan_only=True)
    bench.policy(authority={"order": {"*": ["s0"]}})  # everything is folded again
    bench.sync(kind=Kind.REFUSE, refused=bench.reports[-1].plan_id)
    bench.later()
    assert bench.sync().applied == {}
    assert core(bench) == before
