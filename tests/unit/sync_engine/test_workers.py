"""The queue of workers on PostgreSQL: once per kind, persons first, nothing of the dead lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from procrastinate import JobContext, jobs
from procrastinate.job_context import AbortReason

from config.errors import ConfigurationError
from connectors.base import Connector
from connectors.errors import SourceUnavailableError
from mappings.canonical.fields import Entity
from sync_engine.errors import StoreError
from sync_engine.options import Kind, Options
from sync_engine.schedule import state, view
from sync_engine.schedule.asking import ask, workers
from sync_engine.schedule.heartbeat import Heartbeat, ProcessKind
from sync_engine.schedule.jobs import DutyJob, Job
from sync_engine.schedule.planner import Planner
from sync_engine.schedule.state import Key, Place
from sync_engine.schedule.view import Stand
from sync_engine.schedule.workers import RUN, Queue, Worker, _AgainError
from sync_engine.store import queue as schema
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from tests.support.clockwork import scheduled
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource

pytestmark = pytest.mark.postgres

LEFT = "SELECT status FROM procrastinate.procrastinate_jobs ORDER BY id"
SILENT = timedelta(seconds=30)


@pytest.fixture
def made(postgres_store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two koppelingen."""
    sources = {name: MemorySource((Entity.INSTELLING,)) for name in ("s0", "s1")}
    for name, source in sources.items():
        source.put(Entity.INSTELLING, name, brin=f"99X{name[1]}", naam="School")
    one = bench(postgres_store, tmp_path, sources=sources)
    yield one
    one.close()


@pytest.fixture
def queue(made: Bench) -> Iterator[Queue]:
    with closing(Queue(made.hub.store)) as opened:
        yield opened


def drain(made: Bench) -> None:
    """A worker that stops when nothing is left that it may begin now."""
    worker = Worker(made.hub, concurrency=1)

    async def work() -> None:
        async with worker._app.open_async():
            await worker._app.run_worker_async(
                wait=False,
                listen_notify=False,
                install_signal_handlers=False,
                delete_jobs="successful",
            )

    asyncio.run(work())
    worker._queue.close()


def test_of_the_clock_a_kind_is_queued_once_and_of_a_person_as_often_as_he_asks(
    made: Bench, queue: Queue
) -> None:
    for task in (Job("s0"), Job("s0"), Job("s0", Kind.DELTA), DutyJob("purge"), DutyJob("purge")):
        queue.hand_out(task)
    for _ in range(2):
        queue.hand_out(Job("s0", Kind.ONLY, pupils=(7,), by_hand=True, operator="jan"))
    assert queue.under_way() == {Key("s0", "full"), Key("s0", "delta"), Key("", "purge")}
    assert made.query(LEFT) == [("todo",)] * 5


def test_what_a_person_asks_for_overtakes_the_night(made: Bench, queue: Queue) -> None:
    clock = scheduled(made, schedule="0 4 * * *")
    planner = Planner(clock.bench.hub, queue, light=clock.light)
    planner.tick()
    made.clock.advance(timedelta(hours=1))
    planner.tick()
    queue.hand_out(Job("s1", by_hand=True, operator="jan"))
    drain(clock.bench)
    ran = "SELECT k.name, r.operator FROM run r JOIN koppeling k ON k.id = r.koppeling_id "
    assert made.query(ran + "ORDER BY r.id") == [("s1", "jan"), ("s0", "system"), ("s1", "system")]
    assert made.query(LEFT) == []
    assert clock.state()["settled"]
    assert not [key for key in planner.tick() if key.koppeling]


def away(*_: Any) -> Connector:
    """The way to a system that does not answer."""
    raise SourceUnavailableError("refused", system="memory", operation="connect")


def test_what_may_pass_by_itself_is_handed_out_again_later(made: Bench, queue: Queue) -> None:
    clock = scheduled(made, schedule="0 4 * * *")
    planner = Planner(clock.bench.hub, queue, light=clock.light)
    planner.tick()
    made.hub = replace(made.hub, connect=away)
    made.clock.advance(timedelta(hours=1))
    planner.tick()
    drain(made)
    assert clock.state()["tries"] == 1
    assert not [key for key in planner.tick() if key.koppeling]
    assert made.query(LEFT) == []
    made.clock.advance(timedelta(minutes=2))
    assert [key.koppeling for key in planner.tick() if key.koppeling] == ["s0", "s1"]


def test_deltas_that_fail_all_the_time_keep_nobody_from_reading_everything(
    made: Bench, queue: Queue
) -> None:
    clock = scheduled(made, schedule="0 4 * * *", delta_schedule="*/15 * * * *")
    hub = clock.bench.hub
    planner = Planner(hub, queue, light=clock.light)
    planner.tick()
    made.clock.advance(timedelta(minutes=50))
    planner.tick()
    made.hub = replace(hub, connect=away)
    drain(made)  # the deltas fail, and are tried again later
    assert clock.state(kind="delta")["tries"] == 1
    made.hub = hub
    queue.hand_out(Job("s0"))
    with hub.store.work() as work:
        state.hand_out(work, Place(hub.koppeling("s0").id, "full"), made.clock.now())
    drain(made)
    assert ("full", "done") in clock.runs()


def test_jobs_of_the_dead_are_put_back_and_those_of_the_living_are_not(
    made: Bench, queue: Queue
) -> None:
    for name, silent in (("s0", 40), ("s1", 10)):
        queue.hand_out(Job(name))
        with queue._connected() as connection:
            connection.execute(
                "WITH w AS (INSERT INTO procrastinate_workers (last_heartbeat) "
                "VALUES (now() - %s * interval '1 second') RETURNING id) "
                "UPDATE procrastinate_jobs SET status = 'doing', worker_id = w.id FROM w "
                "WHERE status = 'todo'",
                (silent,),
            )
    assert queue.put_back_stalled(SILENT) == 1
    assert queue.put_back_stalled(SILENT) == 0
    assert made.query(LEFT) == [("todo",), ("doing",)]


def test_a_run_of_a_worker_that_stops_goes_back_into_the_queue(made: Bench, queue: Queue) -> None:
    worker = Worker(made.hub, concurrency=1)
    job = Job("s0", by_hand=True)
    made_job = jobs.Job(id=1, queue="q", lock=None, queueing_lock=None, task_name=RUN, priority=100)
    going_on = JobContext(
        app=worker._app, job=made_job, start_timestamp=0.0, abort_reason=lambda: None
    )
    stopping = going_on.evolve(abort_reason=lambda: AbortReason.SHUTDOWN)
    with pytest.raises(_AgainError):
        worker._carry_out(stopping, job)
    assert made.query("SELECT state FROM run") == [("cancelled",)]
    worker._carry_out(going_on, job)
    assert made.query("SELECT state FROM run ORDER BY id")[1:] == [("done",)]
    worker._queue.close()


def test_only_failures_of_what_a_person_asked_for_count_as_tries(made: Bench, queue: Queue) -> None:
    hub = made.hub
    queue.hand_out(Job("s0", by_hand=True, operator="jan"))

    def again() -> list[tuple[Any, ...]]:
        with queue._connected() as connection:
            connection.execute("UPDATE procrastinate_jobs SET scheduled_at = now()")
        drain(made)
        return made.query("SELECT status, attempts FROM procrastinate.procrastinate_jobs")

    with lease(hub.store, f"koppeling-{hub.koppeling('s0').id}"):
        drain(made)
        for attempts in (2, 3, 4):  # it waits for another run
            assert again() == [("todo", attempts)]
    made.hub = replace(hub, connect=away)
    assert again() == [("todo", 5)]
    assert again() == [("todo", 6)]
    assert again() == []
    assert made.query("SELECT state, operator FROM run") == [("failed", "jan")] * 3


def test_what_a_person_asked_for_and_never_was_a_run_is_seen_as_failed(
    made: Bench, queue: Queue
) -> None:
    queue.hand_out(Job("s0", by_hand=True, operator="jan"))
    hub, without = made.hub, made.hub.settings.model_copy(update={"source": ()})
    made.hub = replace(hub, settings=without)  # of a worker with another configuration
    drain(made)
    (asked,) = view.clock(hub).asked
    assert (asked.koppeling, asked.operator, asked.stand) == ("s0", "jan", Stand.FAILED)


def test_later_migrations_of_the_queue_are_run_once(
    made: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = made.hub.store
    schema.ready(store)  # makes it where there is none
    assert schema.upgrade(store) == []
    later = tmp_path / "99.00.00_01_later.sql"
    later.write_text("CREATE TABLE of_a_later_release (id int);")
    known = schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda: {**known, later.name: later})
    with pytest.raises(StoreError) as caught:
        schema.ready(store)
    assert "koppelhub db upgrade" in caught.value.advice
    assert schema.upgrade(store) == [later.name]
    assert made.query("SELECT COUNT(*) FROM procrastinate.of_a_later_release") == [(0,)]
    schema.ready(store)


def test_a_person_asks_a_worker_where_one_lives_and_is_in_the_audit_trail(made: Bench) -> None:
    hub = made.hub
    with workers(hub) as nobody:
        assert nobody is None
    beat = Heartbeat(hub.store, hub.clock, kind=ProcessKind.WORKER, label="worker")
    beat.beat()
    wanted = Options(kind=Kind.ONLY, pupils=(7,), by_hand=True, operator="jan")
    with workers(hub) as queue:
        assert queue is not None
        ask(hub, queue, [("s0", wanted)], action="resync leerling", subject="K-7")
        for wrong in (Options(only=("10007",), kind=Kind.ONLY), Options(dry=True)):
            with pytest.raises(ConfigurationError, match="cannot be queued"):
                ask(hub, queue, [("s0", wrong)], action="sync", subject="koppeling s0")
    assert made.query("SELECT action, subject FROM audit") == [("resync leerling", "K-7")]
    (asked,) = view.clock(hub).asked
    assert (asked.koppeling, asked.operator, asked.stand) == ("s0", "jan", Stand.QUEUED)
    made.clock.advance(timedelta(minutes=1))
    with workers(hub) as nobody:
        assert nobody is None


def test_jobs_that_ended_long_ago_are_forgotten(made: Bench, queue: Queue) -> None:
    for name in ("s0", "s1"):
        queue.hand_out(Job(name))
    with queue._connected() as connection:
        connection.execute("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = 1")
        connection.execute("UPDATE procrastinate_events SET at = now() - interval '40 days'")
    queue.forget(older_than=timedelta(days=30))
    assert made.query(LEFT) == [("todo",)]


def test_after_the_server_was_restarted_everybody_connects_anew(made: Bench, queue: Queue) -> None:
    assert made.hub.koppeling("s0").name == "s0"  # a connection of the pool
    assert not queue.under_way()
    made.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert made.hub.koppeling("s0").name == "s0"
    with pytest.raises(StoreError) as caught:
        queue.under_way()
    assert caught.value.retryable
    assert not queue.under_way()
