"""Health and the clock: what is due, what keeps it from starting, and whether anybody starts it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from config.errors import ConfigurationError
from connectors.base import Budget
from mappings.canonical.fields import Entity
from sync_engine.health import Health, KoppelingHealth, State, Trouble, health
from sync_engine.politeness import StoreManners
from sync_engine.schedule.heartbeat import Heartbeat, ProcessKind
from sync_engine.store.engine import Store
from sync_engine.switches import begin_maintenance, switch_off
from tests.support.clockwork import Clockwork, scheduled
from tests.support.hubs import Bench, bench

SCHOOL_DAYS = "15 2 * * 1-5"


@pytest.fixture
def made(sqlite_store: Store, tmp_path: Path) -> Iterator[Bench]:
    """One source, and it is Friday 9 October 2026, one o'clock at night."""
    found = bench(sqlite_store, tmp_path)
    found.sources["s0"].put(Entity.VAK, "v", naam="Nederlands")
    found.clock.set(local(9, 1, 0))
    yield found
    found.close()


def local(day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, 10, day, hour, minute, tzinfo=ZoneInfo("Europe/Amsterdam"))


def at(made: Bench, *moment: int) -> Health:
    made.clock.set(local(*moment))
    return health(made.hub)


def only(found: Health) -> KoppelingHealth:
    (one,) = found.koppelingen
    return one


def night(made: Bench) -> Clockwork:
    """It is read on school days by somebody who is there."""
    clockwork = scheduled(made, schedule=SCHOOL_DAYS)
    serving(made)
    clockwork.tick()
    return clockwork


def serving(made: Bench, kind: ProcessKind = ProcessKind.SERVE) -> Heartbeat:
    beat = Heartbeat(made.hub.store, made.clock, kind=kind, label="serve")
    beat.beat()
    return beat


def test_who_is_read_on_school_days_is_not_late_on_sunday(made: Bench) -> None:
    clockwork = night(made)
    made.clock.set(local(9, 2, 15))
    clockwork.tick()
    clockwork.work()
    friday = only(health(made.hub))
    assert (friday.state, friday.next_due) == (State.GOOD, local(12, 2, 15))
    serving(made)
    assert only(at(made, 11, 20, 0)).problems == ()
    assert only(at(made, 12, 4, 0)).problems == ()  # Monday's run may take two hours
    monday = only(at(made, 12, 5, 0))
    (late,) = monday.problems
    assert (late.kind, late.state) == (Trouble.LATE, State.WARNING)
    assert monday.late_by == timedelta(minutes=45)


def test_an_own_promise_counts_whatever_the_schedule_says(made: Bench) -> None:
    clockwork = night(made)
    freshness = made.hub.settings.policy.freshness
    sources = tuple(
        source.model_copy(update={"freshness": freshness}) for source in made.hub.settings.source
    )
    settings = made.hub.settings.model_copy(update={"source": sources})
    made.hub = replace(made.hub, settings=settings)
    made.clock.set(local(9, 2, 15))
    clockwork.tick()
    clockwork.work()
    assert only(at(made, 11, 20, 0)).problems[0].kind is Trouble.LATE


def test_where_nobody_starts_what_is_due_the_installation_says_so(made: Bench) -> None:
    scheduled(made, schedule=SCHOOL_DAYS)
    never = health(made.hub)
    (problem,) = never.problems
    assert (problem.kind, problem.state) == (Trouble.WORKERS, State.WARNING)
    beat = serving(made)
    assert health(made.hub).problems == ()
    (dead,) = at(made, 9, 1, 10).problems
    assert (dead.kind, dead.state) == (Trouble.WORKERS, State.CRITICAL)
    assert "10 minuten geleden" in dead.text
    beat.beat()
    assert health(made.hub).problems == ()
    made.sync()
    late = only(at(made, 14, 3, 0)).problems[0]
    assert "niemand start runs" in late.text


def test_a_process_that_seldom_says_so_is_not_taken_for_dead(made: Bench) -> None:
    slow = {"heartbeat": timedelta(minutes=10), "stalled_after": timedelta(minutes=20)}
    scheduled(made, scheduling=slow, schedule=SCHOOL_DAYS)
    serving(made)
    made.clock.advance(timedelta(minutes=9))
    assert health(made.hub).problems == ()
    made.clock.advance(timedelta(minutes=12))
    assert health(made.hub).problems[0].kind is Trouble.WORKERS


def test_on_postgresql_a_worker_must_be_there_too(postgres_store: Store, tmp_path: Path) -> None:
    made = bench(postgres_store, tmp_path)
    scheduled(made, schedule=SCHOOL_DAYS)
    serving(made)
    (problem,) = health(made.hub).problems
    assert (problem.kind, problem.state) == (Trouble.WORKERS, State.CRITICAL)
    assert problem.command == "koppelhub worker"
    serving(made, ProcessKind.WORKER)
    assert health(made.hub).problems == ()
    made.close()


def test_maintenance_eases_and_says_why_it_is_late(made: Bench) -> None:
    night(made)
    made.sync()
    begin_maintenance(made.hub, ["s0"], operator="jan", why="Mevrouw Canarie vroeg het")
    found = only(at(made, 15, 8, 0))
    kinds = {problem.kind: problem.state for problem in found.problems}
    assert kinds == {Trouble.LATE: State.WARNING, Trouble.MAINTENANCE: State.WARNING}
    assert "zij is in onderhoud" in found.problems[0].text
    assert "Canarie" not in repr(found)  # a person's words may name a person


def test_what_was_switched_off_is_told(made: Bench) -> None:
    night(made)
    made.sync()
    switch_off(made.hub, ["s0"], operator="jan", why="op verzoek")
    (problem,) = only(health(made.hub)).problems
    assert (problem.kind, problem.state) == (Trouble.SWITCHED_OFF, State.WARNING)
    made.query("UPDATE koppeling_state SET off_by = 'system'")
    (problem,) = only(health(made.hub)).problems
    assert (problem.kind, problem.state) == (Trouble.SWITCHED_OFF, State.CRITICAL)


def test_a_host_that_is_down_is_told_at_every_koppeling_that_asks_it(made: Bench) -> None:
    made.sync()
    sources = tuple(
        source.model_copy(update={"options": {"url": "https://las.example/rest"}})
        for source in made.hub.settings.source
    )
    settings = made.hub.settings.model_copy(update={"source": sources})
    made.hub = replace(made.hub, settings=settings)
    manners = StoreManners(
        made.hub.store,
        koppeling="s0",
        system="memory",
        policy=settings.politeness,
        probe=timedelta(minutes=2),
        clock=made.clock,
    )
    manners.pacer(Budget(10, 2))
    breaker = manners.breaker("las.example")
    for _ in range(settings.politeness.opens_after):
        assert breaker.admit()
        breaker.failed()
    manners.close()
    (problem,) = only(health(made.hub)).problems
    assert (problem.kind, problem.state) == (Trouble.CIRCUIT, State.WARNING)


def test_what_could_not_even_begin_is_a_failure(made: Bench) -> None:
    clockwork = night(made)

    def refuses(*_: object) -> None:
        raise ConfigurationError("het geheim ontbreekt", advice="Zet het neer.")

    made.clock.set(local(9, 2, 15))
    clockwork.tick()
    working = made.hub
    made.hub = replace(working, connect=refuses)  # type: ignore[arg-type] # it never returns
    clockwork.work()
    found = only(health(made.hub))
    assert Trouble.FAILED in {problem.kind for problem in found.problems}
    assert "het geheim ontbreekt" in " ".join(problem.text for problem in found.problems)


def test_what_is_due_and_waits_is_shown_as_due(made: Bench) -> None:
    clockwork = night(made)
    made.clock.set(local(9, 2, 15))
    clockwork.tick()
    made.clock.advance(timedelta(minutes=1))
    assert only(health(made.hub)).next_due == local(9, 2, 15)
