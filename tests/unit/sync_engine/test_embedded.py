"""The clock in one process: threads that carry out, a person before the night, a clean end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from config.clock import Clock
from config.sources import Source
from connectors.base import Connector
from mappings.canonical.fields import Entity
from sync_engine.current import Current
from sync_engine.errors import RunActiveError, StoreError
from sync_engine.schedule import embedded, state, view
from sync_engine.schedule.embedded import Threads
from sync_engine.schedule.jobs import Job
from sync_engine.schedule.service import Service
from sync_engine.schedule.state import Place
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.memory import MemoryConnector, MemorySource
from tests.support.processes import until

WAIT = 20.0
"""Seconds after which a thread that a test waits for is taken to hang."""
SOON = timedelta(seconds=WAIT)


@pytest.fixture
def gate() -> threading.Event:
    """What `s0` waits for before it answers."""
    return threading.Event()


@pytest.fixture
def asked() -> threading.Event:
    """Whether `s0` was asked."""
    return threading.Event()


@pytest.fixture
def made(
    sqlite_store: Store, tmp_path: Path, gate: threading.Event, asked: threading.Event
) -> Iterator[Bench]:
    """A koppeling that answers when the gate is open, and one that always does."""
    sources = {name: MemorySource((Entity.INSTELLING,)) for name in ("s0", "s1")}
    for name, source in sources.items():
        source.put(Entity.INSTELLING, name, brin=f"99X{name[1]}", naam="School")
    one = bench(sqlite_store, tmp_path, sources=sources)

    def connect(source: Source, clock: Clock) -> Connector:
        if source.name == "s0" and threading.current_thread() is not threading.main_thread():
            asked.set()
            assert gate.wait(WAIT)
        return MemoryConnector(sources[source.name])

    one.hub = replace(one.hub, connect=connect)
    yield one
    gate.set()
    one.close()


@pytest.fixture
def threads(made: Bench) -> Iterator[Threads]:
    """One thread for the night; `s0` is due."""
    now, place = made.clock.now(), Place(made.hub.koppeling("s0").id, "full")
    with made.hub.store.work() as work, work.transaction():
        state.begin(work, [place], now=now - timedelta(hours=1))
        state.hand_out(work, place, now)
    started = Threads(Current(made.hub), workers=1)
    started.start()
    yield started
    if not started._stopping.is_set():
        assert started.stop(within=SOON)


def test_what_a_person_asks_for_does_not_wait_for_the_night(
    made: Bench, threads: Threads, gate: threading.Event, asked: threading.Event
) -> None:
    night, person = Job("s0"), Job("s1", by_hand=True, operator="jan")
    threads.hand_out(night)
    threads.hand_out(night)
    assert asked.wait(WAIT)
    threads.hand_out(person)
    until(lambda: person.key not in threads.under_way())
    assert set(threads.under_way()) == {night.key}
    gate.set()
    until(lambda: not threads.under_way())
    ran = "SELECT operator, state FROM run ORDER BY finished_at"
    assert made.query(ran) == [("jan", "done"), ("system", "done")]


def test_who_stops_asks_runs_to_end_and_waits_for_them(
    made: Bench, threads: Threads, gate: threading.Event, asked: threading.Event
) -> None:
    threads.hand_out(Job("s0"))
    assert asked.wait(WAIT)
    ended: list[bool] = []
    stopping = threading.Thread(target=lambda: ended.append(threads.stop(within=SOON)))
    stopping.start()
    assert threads._stopping.wait(WAIT)
    threads.hand_out(Job("s1"))  # nothing begins any more
    gate.set()
    stopping.join(WAIT)
    assert ended == [True]
    assert made.query("SELECT state FROM run") == [("cancelled",)]
    assert made.query("SELECT waits_for FROM schedule_state") == [("stopped",)]


def test_a_run_that_does_not_end_in_time_is_told(
    threads: Threads, gate: threading.Event, asked: threading.Event
) -> None:
    threads.hand_out(Job("s0"))
    assert asked.wait(WAIT)
    assert not threads.stop(within=timedelta())
    gate.set()
    until(lambda: not threads.under_way())


def test_a_task_that_breaks_down_is_handed_out_again(
    threads: Threads, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.set()

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(embedded, "attempt", broken)
    threads.hand_out(Job("s0"))
    until(lambda: not threads.under_way())


def test_what_goes_wrong_once_is_called_again(
    threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Semaphore(0)
    wrong = [ZeroDivisionError(), StoreError("the database is away")]

    def call() -> None:
        called.release()
        if wrong:
            raise wrong.pop()

    threads.every(timedelta(milliseconds=1), call, name="iets")
    for _ in range(3):
        assert called.acquire(timeout=WAIT)
    assert "iets: the database is away" in caplog.text
    assert "iets broke down" in caplog.text


def test_one_process_serves_a_sqlite_database_and_says_that_it_is_there(made: Bench) -> None:
    with Service(made.hub) as service:
        until(lambda: [p.alive for p in view.clock(made.hub).processes] == [True])
        with pytest.raises(RunActiveError) as caught, Service(made.hub):
            pass
        assert "Stop die eerst" in caught.value.advice
    assert service.ended_well
    assert view.clock(made.hub).processes == []
