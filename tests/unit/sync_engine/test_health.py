"""Health of koppelingen, over what runs really left in the store; on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigurationError
from config.policies import Freshness
from config.sources import Expires
from mappings.canonical.fields import Entity
from sync_engine.health import KoppelingHealth, State, Trouble, health
from sync_engine.options import Kind
from sync_engine.outcome import Outcome
from sync_engine.selection import select
from sync_engine.store.engine import Store
from sync_engine.todo import todo
from tests.support.hubs import Bench, bench

Make = Callable[..., Bench]


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def make(sources: int = 1) -> Bench:
        made.append(bench(store, tmp_path, sources=sources))
        return made[-1]

    yield make
    for one in made:
        one.close()


def school(make: Make, sources: int = 1) -> Bench:
    made = make(sources)
    for source in made.sources.values():
        for number in range(4):
            source.put(Entity.LEERLING, f"l{number}", achternaam="Jansen")
        source.put(Entity.VAK, "v", naam="Nederlands")
    return made


def of(made: Bench, name: str = "s0") -> KoppelingHealth:
    return next(one for one in health(made.hub).koppelingen if one.name == name)


def kinds(made: Bench, name: str = "s0") -> dict[Trouble, State]:
    return {problem.kind: problem.state for problem in of(made, name).problems}


def configured(made: Bench, **options: Any) -> None:
    """The only koppeling with these options."""
    settings = made.hub.settings
    sources = tuple(source.model_copy(update=options) for source in settings.source)
    made.hub = replace(made.hub, settings=settings.model_copy(update={"source": sources}))


def test_a_koppeling_that_never_ran_is_no_success(make: Make) -> None:
    made = school(make)
    assert kinds(made) == {Trouble.NEVER: State.WARNING}
    found = of(made)
    assert (found.last, found.good_at, found.age, found.late_by) == (None, None, None, None)


def test_what_was_read_for_a_plan_is_fresh_once_that_is_approved(make: Make) -> None:
    made = school(make)
    planned = made.sync(plan_only=True)
    assert of(made).good_at is None
    made.later(1)
    made.sync(kind=Kind.APPLY, approved=planned.plan_id)
    found = of(made)
    assert Trouble.NEVER not in kinds(made)
    assert found.good_at == planned.started_at
    assert found.age == timedelta(hours=1)


def test_what_was_read_in_part_for_a_plan_is_not(make: Make) -> None:
    made = school(make)
    planned = made.sync(plan_only=True, resources=("leerling",))
    made.sync(kind=Kind.APPLY, approved=planned.plan_id)
    assert Trouble.NEVER in kinds(made)


def test_after_a_good_run_it_says_what_that_did(make: Make) -> None:
    made = school(make)
    report = made.sync()
    made.later(2)
    found = of(made)
    assert (found.state, found.problems, found.late_by) == (State.GOOD, (), None)
    assert found.good_at == found.done_at == report.started_at
    assert found.age == timedelta(hours=2)
    assert found.last is not None
    assert (found.last.id, found.last.outcome, found.last.read) == (report.run_id, "done", 5)
    assert (found.last.created, found.last.changed, found.last.closed) == (5, 0, 0)
    assert found.situations == {
        "leerling.linked": 4,
        "leerling.unmatched": 4,
        "vak.linked": 1,
        "vak.unmatched": 1,
    }
    assert found.schools == ("99XX",)
    made.sync()
    assert of(made).situations == {"leerling.linked": 4, "vak.linked": 1}


def test_what_is_late_says_by_how_much_and_why(make: Make) -> None:
    made = school(make)
    configured(made, freshness=Freshness(promised="26h", critical="50h"))
    made.sync()
    made.later(27)
    found = of(made)
    (problem,) = found.problems
    assert found.late_by == timedelta(hours=1)
    assert (problem.kind, problem.state) == (Trouble.LATE, State.WARNING)
    assert problem.text == (
        "1 uur te laat: de laatste goede run is van 27 uur geleden, beloofd is 26 uur; "
        "zij heeft geen schedule en wordt met de hand gelezen"
    )
    made.sources["s0"].faults = {(str(e), "hoofd"): "error" for e in made.sources["s0"].entities}
    report = made.sync()
    made.later(24)
    late = of(made).problems[0]
    assert (late.kind, late.state) == (Trouble.LATE, State.CRITICAL)
    assert f"run {report.run_id} " in late.text
    assert late.command == f"koppelhub run show {report.run_id}"


def test_a_run_that_does_not_read_everything_is_not_good(make: Make) -> None:
    made = school(make)
    first = made.sync()
    made.later(1)
    made.sources["s0"].faults = {("leerling", "hoofd"): "error"}
    report = made.sync()
    found = of(made)
    assert report.outcome is Outcome.PARTIAL
    assert found.good_at == first.started_at
    assert kinds(made) == {Trouble.PARTIAL: State.WARNING}


def test_a_run_that_reads_nothing_is_not_good(make: Make) -> None:
    made = school(make)
    first = made.sync()
    made.later(1)
    made.sources["s0"].records.clear()
    assert made.sync().outcome is Outcome.PARTIAL
    found = of(made)
    assert found.good_at == first.started_at
    assert set(kinds(made)) == {Trouble.EMPTY, Trouble.PARTIAL, Trouble.SHRUNK}
    assert found.state is State.WARNING


def test_a_record_in_quarantine_keeps_it_fresh_but_never_well(make: Make) -> None:
    made = school(make)
    made.sync()
    made.later(1)
    made.sources["s0"].put(Entity.LEERLING, "l1", achternaam="Jansen", kapot=True)
    report = made.sync()
    assert report.outcome is Outcome.PARTIAL
    found = of(made)
    assert found.good_at == report.started_at
    assert found.done_at != report.started_at
    assert (found.quarantine, kinds(made)) == (1, {Trouble.QUARANTINE: State.WARNING})


def test_who_is_in_doubt_is_counted_with_the_rest(make: Make) -> None:
    made = make(2)
    born = {"achternaam": "Jansen", "roepnaam": "Noor", "geboortedatum": "2012-03-04"}
    made.sources["s0"].put(Entity.LEERLING, "a", **born)
    made.sources["s1"].put(Entity.LEERLING, "x", **born)
    made.sources["s1"].put(Entity.LEERLING, "y", achternaam="Ander")
    made.sync("s0")
    made.sync("s1")
    assert of(made, "s0").situations == {"leerling.linked": 1, "leerling.unmatched": 1}
    found = of(made, "s1")
    assert found.situations == {
        "leerling.disputed": 1,
        "leerling.linked": 1,
        "leerling.unmatched": 1,
    }
    assert (found.open_cases, found.problems) == (1, ())  # the helpdesk's work, not ill health
    made.later(24 * 8)
    made.sync("s1")
    (problem,) = of(made, "s1").problems  # but a week is too long
    assert (problem.kind, problem.count) == (Trouble.CASES, 1)


def test_a_single_pupil_that_is_read_well_says_nothing_of_the_night(make: Make) -> None:
    made = school(make)
    made.sync()
    made.later(1)
    source = made.sources["s0"]
    source.faults = {(str(e), "hoofd"): "error" for e in source.entities}
    failed = made.sync()
    assert failed.outcome is Outcome.PARTIAL or failed.outcome is Outcome.FAILED
    source.faults = {}
    assert made.sync(kind=Kind.ONLY, only=("l1",)).outcome is Outcome.DONE
    found = of(made)
    assert found.last is not None
    assert found.last.id == failed.run_id


def test_a_run_that_is_under_way_is_no_success_and_one_that_broke_off_is_told(make: Make) -> None:
    made = school(make)
    good = made.sync()
    made.later(1)
    made.query(
        "INSERT INTO run (koppeling_id, kind, state, operator, options, started_at, counts, whole) "
        "VALUES (1, 'full', 'running', 'x', '{}', ?, '{}', true)",
        made.clock.now(),
    )
    began = made.clock.now()
    found = of(made)
    assert (found.running_since, found.good_at) == (began, good.started_at)
    assert found.last is not None
    assert (found.last.id, found.state) == (good.run_id, State.GOOD)
    made.later(6)
    found = of(made)
    assert found.running_since is None
    assert kinds(made) == {Trouble.FAILED: State.WARNING}
    with made.hub.store.work() as work:
        waits = todo(made.hub, select(made.hub, work, source=None, school=None))
    assert [item.kind for item in waits.items] == ["run"]


def test_what_is_held_is_told_and_waits_no_longer_than_data_may_be_old(make: Make) -> None:
    made = make(1)
    for number in range(30):
        made.sources["s0"].put(Entity.LEERLING, f"l{number}", achternaam="Jansen")
    made.policy(guards={"close": {"floor": 1, "number": 2}})
    made.sync()
    for number in range(4):
        made.sources["s0"].remove(Entity.LEERLING, f"l{number}")
    made.later(7)
    made.sync()
    made.later(7)
    first = made.sync()
    assert first.outcome is Outcome.HELD
    assert kinds(made)[Trouble.HELD] is State.WARNING
    assert of(made).good_at == first.started_at
    for _ in range(3):
        made.later(24)
        made.sync()
    found = of(made)
    (held,) = found.problems
    assert (held.kind, held.state, held.since) == (
        Trouble.HELD,
        State.CRITICAL,
        first.started_at,
    )
    assert found.held_plans == 1


def test_what_ends_is_told_sixty_thirty_and_seven_days_ahead(make: Make) -> None:
    made = school(make)
    made.sync()
    now = made.clock.now()
    for days, expected in ((61, None), (59, "WARNING"), (29, "WARNING"), (6, "CRITICAL")):
        on = date(2026, 10, 5) + timedelta(days=days - 1)
        configured(made, expires=(Expires(what="credential", on=on, label="token"),))
        found = of(made)
        assert len(found.expiries) == 1
        told = [p for p in found.problems if p.kind is Trouble.EXPIRING]
        assert [p.state.name for p in told] == ([] if expected is None else [expected])
        if told:
            assert told[0].since is not None
            assert told[0].since <= now
    configured(made, expires=(Expires(what="certificate", on=date(2026, 10, 3)),))
    (problem,) = of(made).problems
    assert (problem.state, problem.text) == (
        State.CRITICAL,
        "certificaat is verlopen (laatste dag 2026-10-03)",
    )


def test_health_and_todo_agree_on_what_waits(make: Make) -> None:
    made = school(make, 2)
    made.sync("s0")
    made.sync("s1")
    made.later(1)
    one, other = made.sources["s0"], made.sources["s1"]
    one.put(Entity.LEERLING, "l1", achternaam="Jansen", kapot=True)
    made.sync("s0")
    other.faults = {(str(e), "hoofd"): "error" for e in other.entities}
    made.sync("s1")
    with made.hub.store.work() as work:
        waits = todo(made.hub, select(made.hub, work, source=None, school=None))
    told = {(item.kind, item.koppeling): item.count for item in waits.items}
    for name in ("s0", "s1"):
        found = of(made, name)
        assert told.get(("quarantine", name), 0) == found.quarantine
        assert told.get(("plan", name), 0) == found.held_plans
        assert told.get(("case", name), 0) == found.open_cases
        assert (("run", name) in told) == (Trouble.FAILED in kinds(made, name))


def test_a_dry_run_counts_nothing_and_is_nobodys_last_run(make: Make) -> None:
    made = school(make)
    made.sync()
    before = of(made)
    counted = made.query("SELECT * FROM koppeling_total ORDER BY name")
    made.sources["s0"].put(Entity.VAK, "w", naam="Engels")
    made.later(1)
    made.sync(dry=True)
    assert made.query("SELECT * FROM koppeling_total ORDER BY name") == counted
    made.sync(resources=("vak",))  # counted, but it says nothing of the rest
    found = of(made)
    assert (found.last, found.good_at) == (before.last, before.good_at)


def test_only_what_is_asked_for_and_only_what_there_is(make: Make) -> None:
    made = school(make, 2)
    assert [one.name for one in health(made.hub, only=["s1"]).koppelingen] == ["s1"]
    with pytest.raises(ConfigurationError):
        health(made.hub, only=["s9"])


def test_the_number_of_statements_does_not_grow_with_the_koppelingen(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = school(make, 4)
    for name in made.sources:
        made.sync(name)
    counted: list[str] = []
    with made.hub.store.work() as work:
        kind = type(work)
    execute = kind.execute

    def counting(self: Any, sql: str, params: Any = ()) -> Any:
        counted.append(sql)
        return execute(self, sql, params)

    monkeypatch.setattr(kind, "execute", counting)
    health(made.hub, only=["s0"])
    one = len(counted)
    counted.clear()
    health(made.hub)
    assert len(counted) == one
