"""The planner and what carries out its jobs, with a clock that the test sets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigurationError
from config.scheduling import Blackout
from connectors.base import Connector
from connectors.errors import SourceUnavailableError
from mappings.canonical.fields import Entity
from sync_engine.admission import admitted
from sync_engine.errors import AlreadyDoneError
from sync_engine.options import Kind, Options
from sync_engine.outcome import Outcome
from sync_engine.runs import run
from sync_engine.schedule import duties, jobs, planner, state, view
from sync_engine.schedule.jobs import DELAYS, Job, attempt
from sync_engine.schedule.state import Key
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from sync_engine.switches import begin_maintenance, end_maintenance
from tests.conftest import BOTH
from tests.support.clockwork import Clockwork, Hands, scheduled
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource

FULL, DELTA = Key("s0", "full"), Key("s0", "delta")
DAILY = "0 4 * * *"  # the bench begins at 03:00 local time


both = pytest.mark.parametrize("made", BOTH, indirect=True)
"""For what leans on the store; the rest is the same code on either."""


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Two koppelingen of one instelling each, on SQLite where nothing else is said."""
    store: Store = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_store")
    sources = {name: MemorySource((Entity.INSTELLING,)) for name in ("s0", "s1")}
    for number, source in enumerate(sources.values()):
        source.put(Entity.INSTELLING, f"i{number}", brin=f"99X{number}", naam="School")
    one = bench(store, tmp_path, sources=sources)
    yield one
    one.close()


@pytest.fixture
def clock(made: Bench) -> Clockwork:
    return scheduled(made, schedule=DAILY)


@both
def test_a_koppeling_runs_when_it_is_due_and_only_then(clock: Clockwork) -> None:
    assert clock.tick() == []  # it is seen for the first time
    assert clock.tick(minutes=59) == []
    assert clock.tick(minutes=1) == [FULL, Key("s1", "full")]
    assert clock.tick() == []  # it is in somebody's hands
    assert clock.work() == [FULL, Key("s1", "full")]
    assert clock.runs() == [("full", "done")] * 2
    assert clock.state()["settled"]
    assert clock.tick(hours=23) == []
    assert clock.tick(hours=1) == [FULL, Key("s1", "full")]


@both
def test_however_many_times_were_missed_one_run_catches_them_up(clock: Clockwork) -> None:
    clock.tick()
    clock.restart()
    assert clock.tick(days=5, hours=2) == [FULL, Key("s1", "full")]
    clock.work()
    assert clock.tick() == []
    assert len(clock.runs()) == 2


def test_what_was_missed_too_long_ago_waits_for_its_next_time(made: Bench) -> None:
    clock = scheduled(made, schedule=DAILY, scheduling={"catch_up": timedelta(hours=1)})
    clock.tick()
    assert clock.tick(hours=3) == []
    assert clock.tick(hours=22) == [FULL, Key("s1", "full")]


@both
def test_a_clock_that_was_wrong_for_a_while_keeps_nobody_from_running(clock: Clockwork) -> None:
    right = clock.bench.clock.now()
    clock.tick()
    clock.tick(days=400)
    clock.work()
    clock.bench.clock.set(right)
    assert clock.tick() == []
    assert clock.tick(hours=1) == [FULL, Key("s1", "full")]
    clock.work()
    assert clock.runs()[-1] == ("full", "done")


@both
def test_killed_after_writing_down_and_before_handing_out(
    clock: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.tick()
    with monkeypatch.context() as patch:
        patch.setattr(clock.hands, "hand_out", _killed)
        with pytest.raises(KeyboardInterrupt):
            clock.tick(hours=1)
    clock.restart()
    assert clock.tick() == [FULL, Key("s1", "full")]
    clock.work()
    assert clock.tick() == []
    assert clock.runs() == [("full", "done")] * 2


@both
def test_killed_after_the_run_and_before_writing_that_down(
    clock: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.tick()
    clock.tick(hours=1)
    with monkeypatch.context() as patch:
        patch.setattr(state, "settle", _killed)
        with pytest.raises(KeyboardInterrupt):
            clock.work()
    assert clock.runs() == [("full", "done")]
    clock.restart()
    assert clock.tick() == [FULL, Key("s1", "full")]
    clock.work()
    assert clock.runs() == [("full", "done")] * 2  # s0 once, s1 once
    assert clock.state()["settled"]


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@both
def test_a_process_that_died_in_mid_run_is_followed_by_one_that_finishes_it(
    clock: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.tick()
    clock.tick(hours=1)
    clock.hands.held = clock.hands.held[:1]
    with monkeypatch.context() as patch:
        patch.setattr("sync_engine.runs._Run._judge_outcome", _killed)
        patch.setattr("sync_engine.runs._Run._close_run", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            clock.work()
    assert clock.runs() == [("full", "running")]
    clock.restart()
    assert FULL in clock.tick()
    clock.work()
    assert clock.runs()[:2] == [("full", "failed"), ("full", "done")]
    assert clock.state()["settled"]


def test_what_ends_while_it_is_planned_is_not_handed_out_again(clock: Clockwork) -> None:
    class Quick(Hands):
        def under_way(self) -> Collection[Key]:
            self.work(clock.bench.hub)  # what was held ends just before it is looked at
            return super().under_way()

    clock.hands = Quick()
    clock.planner = planner.Planner(clock.bench.hub, clock.hands, light=clock.light)
    clock.tick()
    assert clock.tick(hours=1) == [FULL, Key("s1", "full")]
    assert clock.tick() == []
    assert clock.runs() == [("full", "done")] * 2


@both
def test_one_process_plans_at_a_time(clock: Clockwork) -> None:
    clock.tick()
    with lease(clock.bench.hub.store, "planner"):
        assert clock.tick(hours=1) == []
    assert clock.tick() == [FULL, Key("s1", "full")]


def test_deltas_by_day_and_everything_by_night(made: Bench) -> None:
    clock = scheduled(made, schedule=DAILY, delta_schedule="30 8-17 * * *")
    clock.tick()
    clock.tick(hours=1)
    assert set(clock.work()) == {FULL, Key("s1", "full")}
    assert set(clock.tick(hours=4, minutes=30)) == {DELTA, Key("s1", "delta")}
    clock.work()
    assert [kind for kind, _ in clock.runs()] == ["full", "full", "delta", "delta"]


def test_a_delta_that_falls_due_with_a_whole_reading_is_answered_by_it(made: Bench) -> None:
    clock = scheduled(made, schedule=DAILY, delta_schedule="every 1h")
    clock.tick()
    assert set(clock.tick(hours=1)) == {FULL, Key("s1", "full")}
    assert clock.state(kind="delta")["outcome"] == "full"
    assert clock.tick(hours=1) == []  # everything is still being read
    clock.work()
    assert DELTA in clock.tick(hours=1)


def test_a_source_that_is_away_is_tried_again_and_then_left_until_its_next_time(
    clock: Clockwork,
) -> None:
    clock.tick()
    whole = clock.bench.hub

    def away(*_: Any) -> Connector:
        raise SourceUnavailableError("refused", system="memory", operation="connect")

    clock.bench.hub = replace(whole, connect=away)
    clock.restart()
    clock.tick(hours=1)
    for tries, delay in enumerate(DELAYS, start=1):
        assert FULL in clock.work()
        assert (clock.state()["tries"], clock.state()["settled"]) == (tries, False)
        assert clock.tick(seconds=delay.total_seconds() - 1) == []
        assert FULL in clock.tick(seconds=1)
    clock.work()
    assert (clock.state()["outcome"], clock.state()["settled"]) == ("failed", True)
    assert "refused" in clock.state()["error"]
    assert clock.tick(hours=1) == []
    clock.bench.hub = whole
    clock.restart()
    assert FULL in clock.tick(hours=23)
    clock.work()
    assert (clock.state()["outcome"], clock.state()["tries"]) == ("done", 0)


def test_what_only_a_person_can_mend_is_not_tried_again(clock: Clockwork) -> None:
    clock.tick()

    def wrong(*_: Any) -> Connector:
        raise ConfigurationError("a secret is not there")

    clock.bench.hub = replace(clock.bench.hub, connect=wrong)
    clock.tick(hours=1)
    clock.work()
    assert (clock.state()["outcome"], clock.state()["settled"]) == ("failed", True)
    assert clock.tick(hours=5) == []


def test_a_bug_in_one_job_stops_no_other(clock: Clockwork, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.tick()
    clock.tick(hours=1)
    performed = jobs.perform

    def perform(hub: Any, job: Job, **more: Any) -> Any:
        if job.koppeling == "s0":
            raise ZeroDivisionError
        return performed(hub, job, **more)

    monkeypatch.setattr(jobs, "perform", perform)
    clock.work()
    assert clock.state()["error"] == "ZeroDivisionError"
    assert clock.state("s1")["outcome"] == "done"


def test_a_koppeling_that_is_busy_waits_and_runs_after(clock: Clockwork) -> None:
    clock.tick()
    clock.tick(hours=1)
    with lease(clock.bench.hub.store, f"koppeling-{clock.bench.hub.koppeling('s0').id}"):
        clock.work()
        assert clock.state()["waits_for"] == "busy"
    assert clock.tick() == []
    assert clock.tick(minutes=1) == [FULL]
    clock.work()
    assert clock.runs() == [("full", "done")] * 2


def test_a_run_ends_at_its_next_page_when_asked_and_goes_on_elsewhere(clock: Clockwork) -> None:
    clock.tick()
    clock.tick(hours=1)
    clock.work(stop=lambda: True)
    assert clock.runs() == [("full", "cancelled")] * 2
    assert clock.state()["waits_for"] == "stopped"
    assert clock.bench.query("SELECT COUNT(*) FROM source_record") == [(2,)]  # it is kept
    assert clock.bench.query("SELECT COUNT(*) FROM plan") == [(0,)]  # and judged with the rest
    clock.restart()
    assert FULL in clock.tick()
    clock.work()
    assert clock.runs()[2:] == [("full", "done")] * 2


def test_nothing_begins_in_a_blackout_and_what_was_due_goes_on_after_it(made: Bench) -> None:
    window = Blackout.model_validate({"from": "03:30", "to": "07:00"})
    clock = scheduled(made, schedule=DAILY, blackout=(window,))
    clock.tick()
    assert clock.tick(hours=3) == []
    assert FULL in clock.tick(hours=1)
    made.clock.set(made.clock.now() - timedelta(hours=1))  # its worker comes too early
    clock.work()
    assert (clock.state()["waits_for"], clock.runs()) == ("blackout", [])
    assert FULL in clock.tick(hours=1)
    clock.work()
    assert clock.state()["outcome"] == "done"


def test_a_koppeling_that_a_worker_is_not_configured_for_is_told_and_not_tried_for_ever(
    clock: Clockwork,
) -> None:
    clock.tick()
    clock.tick(hours=1)
    hub = clock.bench.hub
    none = hub.settings.model_copy(update={"source": ()})
    clock.hands.work(replace(hub, settings=none))
    assert (clock.state()["outcome"], clock.state()["settled"]) == ("failed", True)
    assert "no source 's0'" in clock.state()["error"]
    assert clock.tick() == []


def test_what_a_person_asks_for_has_no_schedule_and_no_blackout(made: Bench) -> None:
    window = Blackout.model_validate({"from": "00:00", "to": "06:00"})
    clock = scheduled(made, blackout=(window,))
    assert attempt(clock.bench.hub, Job("s0", by_hand=True, operator="jan")).again is None
    assert clock.runs() == [("full", "done")]
    assert made.query("SELECT operator FROM run") == [("jan",)]


@both
def test_a_run_for_which_there_is_no_place_frees_its_worker_and_goes_on_later(
    clock: Clockwork,
) -> None:
    clock.tick()
    clock.tick(hours=1)
    hub = clock.bench.hub
    one = hub.settings.politeness.model_copy(update={"simultaneous_runs": 1})
    clock.bench.hub = replace(hub, settings=hub.settings.model_copy(update={"politeness": one}))
    with admitted(clock.bench.hub, hub.source("s1"), by_hand=True):
        clock.work()
    assert (clock.runs(), clock.state()["waits_for"]) == ([], "slots")
    assert set(clock.tick(minutes=1)) == {FULL, Key("s1", "full")}
    clock.work()
    assert clock.runs() == [("full", "done")] * 2


def test_what_is_in_maintenance_is_not_handed_out_and_is_still_due_after_it(
    clock: Clockwork,
) -> None:
    clock.tick()
    hub = clock.bench.hub
    begin_maintenance(hub, ["s0"], operator="jan", why="verhuizing")
    assert clock.tick(hours=1) == [Key("s1", "full")]
    (full,) = [job for job in view.clock(hub, only="s0").jobs if job.kind == "full"]
    assert (full.stand, full.waits_for) == (view.Stand.WAITS, "maintenance")
    end_maintenance(hub, ["s0"], operator="jan")
    assert clock.tick(hours=5) == [FULL]


@both
def test_the_same_due_time_is_carried_out_once_and_by_hand_as_often_as_asked(made: Bench) -> None:
    due = made.clock.now()
    assert run(made.hub, "s0", Options(due=due)).outcome is Outcome.DONE
    with pytest.raises(AlreadyDoneError):
        run(made.hub, "s0", Options(due=due))
    assert run(made.hub, "s0", Options(kind=Kind.DELTA, due=due)).outcome is Outcome.DONE
    assert run(made.hub, "s0", Options()).outcome is Outcome.DONE


@both
def test_duties_are_done_at_their_own_times(clock: Clockwork) -> None:
    clock.tick()
    clock.tick(hours=4)
    assert Key("", "purge") in clock.hands.under_way()
    clock.hands.work(clock.bench.hub)
    assert clock.bench.query(
        "SELECT outcome FROM schedule_state WHERE koppeling_id = 0 AND kind = 'purge'"
    ) == [("done",)]
    assert clock.bench.query("SELECT COUNT(*) FROM audit WHERE action = 'purge'") == [(2,)]


def test_a_light_duty_is_done_by_who_plans(clock: Clockwork) -> None:
    clock.tick()
    clock.tick(hours=4)
    mine = {duty.name for duty in duties.DUTIES if duty.light}
    assert {key.kind for key in clock.light.under_way()} == mine
    assert not mine & {key.kind for key in clock.hands.under_way()}


def test_deltas_of_a_system_that_cannot_tell_are_refused(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = scheduled(made, delta_schedule="every 1h")
    planner.check_schedules(clock.bench.hub)
    manifest = MemorySource.manifest

    def without(self: MemorySource) -> Any:
        declared = manifest(self)
        read = tuple(replace(one, capabilities=frozenset()) for one in declared.resources)
        return replace(declared, resources=read)

    monkeypatch.setattr(MemorySource, "manifest", without)
    with pytest.raises(ConfigurationError, match=r"source\[s0\].delta_schedule.*s1"):
        planner.check_schedules(clock.bench.hub)


def test_what_comes_next_is_told_for_each(clock: Clockwork) -> None:
    coming = planner.upcoming(clock.bench.hub)
    assert coming[FULL] == clock.bench.clock.now() + timedelta(hours=1)
    assert Key("", "purge") in coming
