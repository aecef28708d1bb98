"""Whether a run may begin now: maintenance, switched off, hours, hosts that are down, slots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.politeness import SystemPoliteness
from config.scheduling import Blackout
from config.sources import Source
from connectors.base import Budget
from sync_engine.admission import Postponed, admitted, standing, time_left
from sync_engine.errors import MaintenanceError, SyncError
from sync_engine.hub import Hub
from sync_engine.options import Options
from sync_engine.outcome import Outcome, RunReport
from sync_engine.politeness import StoreManners
from sync_engine.runs import run
from sync_engine.schedule import jobs
from sync_engine.schedule.due import free_from
from sync_engine.schedule.jobs import Job, perform
from sync_engine.store.engine import Store
from sync_engine.switches import begin_maintenance, end_maintenance, switch_off, switch_on
from tests.support.hubs import START, Bench, Kind, bench


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    bench_ = bench(store, tmp_path, sources=2)
    yield bench_
    bench_.close()


def source(made: Bench, name: str = "s0") -> Source:
    return made.hub.source(name)


def asked(made: Bench, name: str = "s0", *, by_hand: bool = False) -> Postponed | None:
    with admitted(made.hub, source(made, name), by_hand=by_hand) as answer:
        return answer


def changed(made: Bench, name: str = "s0", **values: Any) -> None:
    """Lay settings over one koppeling."""
    settings = made.hub.settings
    sources = tuple(
        one.model_copy(update=values) if one.name == name else one for one in settings.source
    )
    made.hub = replace(made.hub, settings=settings.model_copy(update={"source": sources}))


def polite(made: Bench, **values: Any) -> None:
    settings = made.hub.settings
    politeness = settings.politeness.model_copy(update=values)
    made.hub = replace(made.hub, settings=settings.model_copy(update={"politeness": politeness}))


# -- maintenance and switched off ------------------------------------------------------------------


def test_in_maintenance_nobody_asks_the_source_until_it_is_ended(made: Bench) -> None:
    begin_maintenance(made.hub, ["s0"], operator="jan", why="overstap van server")
    assert asked(made) == Postponed(None, "maintenance")
    assert asked(made, by_hand=True) == Postponed(None, "maintenance")
    assert asked(made, "s1") is None
    with pytest.raises(MaintenanceError) as refused:
        made.sync(by_hand=True)
    assert "koppelhub source maintenance s0 end" in refused.value.advice
    assert made.query("SELECT COUNT(*) FROM run") == [(0,)]
    end_maintenance(made.hub, ["s0"], operator="jan")
    assert asked(made) is None
    assert made.sync().outcome is Outcome.PARTIAL  # an empty source, but it was asked


def test_maintenance_ends_by_itself_at_its_moment(made: Bench) -> None:
    until = START + timedelta(hours=2)
    begin_maintenance(made.hub, ["s0", "s1"], operator="jan", why="onderhoud", until=until)
    assert standing(made.hub, made.hub.sources()) == {
        name: Postponed(until, "maintenance") for name in ("s0", "s1")
    }
    made.later(2)
    assert asked(made) is None


def test_what_reads_no_source_goes_on_in_maintenance(made: Bench) -> None:
    made.sync()
    begin_maintenance(made.hub, ["s0"], operator="jan", why="onderhoud")
    assert made.sync(kind=Kind.REPLAY).error == ""


def test_maintenance_that_ends_in_the_past_or_has_no_reason_is_refused(made: Bench) -> None:
    with pytest.raises(SyncError):
        begin_maintenance(made.hub, ["s0"], operator="jan", why="x", until=START)
    with pytest.raises(SyncError):
        begin_maintenance(made.hub, ["s0"], operator="jan", why=" ")
    assert asked(made) is None


def test_switched_off_holds_the_clock_and_no_person(made: Bench) -> None:
    switch_off(made.hub, ["s0"], operator="jan", why="school gaat weg")
    assert asked(made) == Postponed(None, "switched_off")
    assert asked(made, by_hand=True) is None
    switch_on(made.hub, ["s0"], operator="jan", why="toch niet")
    assert asked(made) is None


def test_what_persons_do_is_in_the_audit_trail(made: Bench) -> None:
    begin_maintenance(made.hub, ["s0"], operator="jan", why="onderhoud")
    end_maintenance(made.hub, ["s0"], operator="piet")
    switch_off(made.hub, ["s0"], operator="jan", why="stuk")
    switch_on(made.hub, ["s0"], operator="piet", why="heel")
    assert made.query("SELECT operator, action, subject, why FROM audit ORDER BY id") == [
        ("jan", "source maintenance", "koppeling s0", "onderhoud"),
        ("piet", "source maintenance end", "koppeling s0", ""),
        ("jan", "source off", "koppeling s0", "stuk"),
        ("piet", "source on", "koppeling s0", "heel"),
    ]


# -- hours -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-10-05 01:00", None),  # 03:00 on the wall
        ("2026-10-05 10:00", "2026-10-05 23:00"),
        ("2026-10-24 10:00", "2026-10-24 23:00"),
        ("2026-10-25 04:30", "2026-10-26 00:00"),
    ],
)
def test_outside_permitted_hours_the_clock_waits_and_a_person_does_not(
    made: Bench, now: str, until: str | None
) -> None:
    changed(made, hours=(1, 5))
    made.clock.set(datetime.fromisoformat(now).replace(tzinfo=UTC))
    expected = None
    if until is not None:
        expected = Postponed(datetime.fromisoformat(until).replace(tzinfo=UTC), "hours")
    assert asked(made) == expected
    assert asked(made, by_hand=True) is None


@pytest.mark.parametrize(
    ("dark", "now", "until", "reason"),
    [
        ("02:10-02:50", "2026-10-25 00:55", "2026-10-25 01:50", "blackout"),  # between the two
        ("00:00-02:00", "2026-10-05 10:00", "2026-10-06 00:00", "hours"),
        ("00:00-02:00", "2026-10-05 23:30", "2026-10-06 00:00", "blackout"),
        ("04:00-02:00", "2026-10-05 02:30", "2026-10-06 00:00", "blackout"),
    ],
)
def test_a_blackout_is_the_same_for_the_clock_and_for_its_runs(
    made: Bench, dark: str, now: str, until: str, reason: str
) -> None:
    begin, _, end = dark.partition("-")
    window = Blackout.model_validate({"from": begin, "to": end})
    changed(made, hours=(1, 5), blackout=(window,))
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    made.clock.set(moment)
    wanted = datetime.fromisoformat(until).replace(tzinfo=UTC)
    assert asked(made) == Postponed(wanted, reason)
    if reason == "blackout":
        free = free_from(moment, zone=made.hub.settings.timezone, blackout=(window,))
        assert free == wanted


def test_hours_that_a_blackout_leaves_nothing_of_are_waited_for_without_end(made: Bench) -> None:
    window = Blackout.model_validate({"from": "00:00", "to": "06:00"})
    changed(made, hours=(1, 5), blackout=(window,))
    answer = asked(made)
    assert answer is not None
    assert answer.until is not None
    assert answer.until > made.clock.now() + timedelta(days=10)


def test_a_run_of_the_clock_ends_with_its_permitted_hours_and_a_persons_does_not(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(made, hours=(1, 5))
    made.clock.set(datetime(2026, 10, 25, 3, 30, tzinfo=UTC))  # 04:30 in winter time
    assert time_left(made.hub, source(made)) == timedelta(minutes=30)
    assert time_left(made.hub, source(made, "s1")) is None
    limits: list[timedelta | None] = []

    def noted(hub: Hub, koppeling: str, options: Options, **rest: Any) -> RunReport:
        limits.append(options.time_limit)
        return run(hub, koppeling, options, **rest)

    monkeypatch.setattr(jobs, "run", noted)
    for job in (Job("s0"), Job("s1"), Job("s0", by_hand=True, operator="jan")):
        assert isinstance(perform(made.hub, job), RunReport)
    whole = made.hub.settings.policy.limits.run_time
    assert limits == [timedelta(minutes=30), whole, None]


# -- a host that is down, or asks for patience -----------------------------------------------------


def manners(made: Bench, koppeling: str = "s0") -> StoreManners:
    return StoreManners(
        made.hub.store,
        koppeling=koppeling,
        system=source(made, koppeling).system,
        policy=made.hub.settings.politeness,
        probe=timedelta(minutes=2),
        clock=made.clock,
    )


def test_a_host_that_is_down_holds_its_koppelingen_and_no_others(made: Bench) -> None:
    changed(made, "s0", options={"base_url": "https://dood.example/rest"})
    changed(made, "s1", options={"base_url": "https://levend.example/rest"})
    worker = manners(made)
    breaker = worker.breaker("dood.example")
    for _ in range(made.hub.settings.politeness.opens_after):
        breaker.failed()
    held = asked(made)
    assert held is not None
    assert held.reason == "circuit"
    pause = made.hub.settings.politeness.pause
    assert held.until is not None
    assert START + pause <= held.until <= START + pause + timedelta(seconds=15)
    assert asked(made, by_hand=True) == held
    assert asked(made, "s1") is None
    made.clock.advance(pause)
    assert asked(made) is None, "the next run brings the request that decides"
    assert breaker.admit()
    again = asked(made)
    assert again is not None
    assert again.reason == "circuit", "one run is deciding already"
    breaker.succeeded()
    assert asked(made) is None
    worker.close()


def test_patience_that_a_system_asked_for_is_kept_by_postponing(made: Bench) -> None:
    worker = manners(made)
    worker.pacer(Budget(2.0, 1)).pause(timedelta(minutes=30))
    worker.close()
    assert asked(made) == Postponed(START + timedelta(minutes=30), "patience")
    assert asked(made, "s1") is None
    made.clock.advance(timedelta(minutes=30))
    assert asked(made) is None


# -- slots -----------------------------------------------------------------------------------------


def test_no_more_runs_of_one_system_than_its_limit(made: Bench) -> None:
    system = source(made).system
    polite(made, systems={system: SystemPoliteness(simultaneous_runs=2)})
    with ExitStack() as running:
        for name in ("s0", "s1"):
            assert (
                running.enter_context(admitted(made.hub, source(made, name), by_hand=False)) is None
            )
        full = asked(made, by_hand=True)
        assert full is not None
        assert full.reason == "slots"
        assert full.until is not None
        assert full.until > made.clock.now()
    assert asked(made) is None


def test_a_slot_is_free_again_when_its_run_fails(made: Bench) -> None:
    polite(made, simultaneous_runs=1)
    with pytest.raises(ZeroDivisionError), admitted(made.hub, source(made), by_hand=False):
        raise ZeroDivisionError
    assert asked(made) is None
