"""The clock over many processes: jobs are Procrastinate's, on the same PostgreSQL.

`Queue` hands out; `work` carries out, in any number of processes on any machine. A clock's job of a
koppeling is queued once per kind (queueing lock), and one job of a koppeling runs at a time (lock).
Of a worker that is killed the heartbeat stops: another finds its jobs and puts them back.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import procrastinate
import psycopg
from procrastinate import exceptions, jobs, sql
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from sync_engine.current import Current
from sync_engine.errors import StoreError
from sync_engine.hub import Hub
from sync_engine.schedule.heartbeat import Heartbeat, ProcessKind
from sync_engine.schedule.jobs import BUSY, Attempted, DutyJob, Job, Task, attempt
from sync_engine.schedule.state import Key
from sync_engine.store import queue
from sync_engine.store.engine import Store
from sync_engine.store.failures import BUSY_ADVICE, store_error
from sync_engine.store.postgres import connect

_log = logging.getLogger(__name__)

RUN: Final = "koppelhub.run"
PLAN: Final = "koppelhub.plan"
DUTY: Final = "koppelhub.duty"
"""Names of the tasks in the queue."""
_AGAIN: Final = timedelta(seconds=3)
"""Until the database is tried again."""
_STALLED_LOCK: Final = 0x6B6F70707374616C  # "koppstal", as an advisory lock
_OPTIONS: Final = f"-c search_path={queue.SCHEMA}"


class Queue:
    """Hands tasks to workers. Safe to share between threads.

    Args:
        store: on PostgreSQL; its queue is made where there is none yet.

    Raises: StoreError if the queue must be upgraded, or the database cannot be reached.
    """

    def __init__(self, store: Store) -> None:
        queue.ready(store)
        self._store = store
        self._app = _app(store)
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def under_way(self) -> Collection[Key]:
        """What is queued or runs, of the clock."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT queueing_lock FROM procrastinate_jobs "
                "WHERE status IN ('todo', 'doing') AND queueing_lock IS NOT NULL"
            ).fetchall()
        return {_key(lock) for (lock,) in rows}

    def hand_out(self, task: Task) -> None:
        """Queue it; of the clock, what is queued already is left as it is."""
        by_hand = isinstance(task, Job) and task.by_hand
        name, arguments = _sent(task)
        koppeling = task.key.koppeling
        with self._connected() as connection, suppress(exceptions.AlreadyEnqueued):
            self._app.configure_task(
                name,
                lock=f"koppeling {koppeling}" if koppeling else _lock_of(task.key),
                queueing_lock=None if by_hand else _lock_of(task.key),
                priority=int(task.priority),
                connection=connection,
            ).defer(**arguments)

    def put_back_stalled(self, silent: timedelta) -> int:
        """Queue again what workers had that gave no heartbeat for so long; how many."""
        with self._connected() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_STALLED_LOCK,))
            stalled = connection.execute(
                sql.queries["select_stalled_jobs_by_heartbeat"],
                {
                    "queue": None,
                    "task_name": None,
                    "seconds_since_heartbeat": silent.total_seconds(),
                },
            ).fetchall()
            for row in stalled:
                connection.execute(
                    sql.queries["retry_job"],
                    {
                        "job_id": row[0],
                        "retry_at": datetime.now(UTC),
                        **dict.fromkeys(("new_priority", "new_queue_name", "new_lock")),
                    },
                )
        return len(stalled)

    def forget(self, *, older_than: timedelta) -> None:
        """Remove jobs that ended so long ago."""
        ended = [status.value for status in jobs.Status]
        keep = {jobs.Status.TODO.value, jobs.Status.DOING.value}
        with self._connected() as connection:
            connection.execute(
                sql.queries["delete_old_jobs"],
                {
                    "nb_hours": int(older_than.total_seconds() // 3600),
                    "queue": None,
                    "statuses": [status for status in ended if status not in keep],
                },
            )

    def close(self) -> None:
        """Let the connection go."""
        with self._lock:
            self._drop()

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        """The one connection, made anew where the last one broke.

        Raises: StoreError.
        """
        failure: StoreError | None = None
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = connect(
                        self._store.url, busy=self._store.busy, name="koppelhub queue"
                    )
                    self._connection.execute(f"SET search_path TO {queue.SCHEMA}".encode())
                yield self._connection
            except psycopg.Error as exc:
                self._drop()
                failure = store_error(exc, doing="use the queue")
            except exceptions.ConnectorException as exc:
                self._drop()
                failure = _told(exc)
        if failure is not None:
            raise failure

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


def _told(error: exceptions.ConnectorException) -> StoreError:
    cause = error.__cause__
    if isinstance(cause, psycopg.Error):
        return store_error(cause, doing="use the queue")
    return StoreError("the queue refuses", advice=BUSY_ADVICE, retryable=True)


def _lock_of(key: Key) -> str:
    return " ".join(key)


def _key(lock: str) -> Key:
    koppeling, _, kind = lock.partition(" ")
    return Key(koppeling, kind)


def _sent(task: Task) -> tuple[str, dict[str, Any]]:
    """The name and arguments of a task in the queue."""
    if isinstance(task, DutyJob):
        return DUTY, {"name": task.name}
    # a task of its own: a worker of a former release must not take it for a run that applies
    return PLAN if task.plan_only else RUN, {"job": msgspec.to_builtins(task)}


# -- carrying out ----------------------------------------------------------------------------------


class _AgainError(Exception):
    """It is not over; the queue keeps it until then.

    What a person asked for has no state: each failure takes one of its priority, and so is counted.
    """

    def __init__(self, at: datetime, *, priority: int) -> None:
        super().__init__("again")
        self.at, self.priority = at, priority


class _NotDoneError(Exception):
    """What a person asked for never was a run; the queue keeps it as failed, to be seen."""


class _Again(BaseRetryStrategy):
    """Only what says when is tried again."""

    def get_retry_decision(
        self, *, exception: BaseException, job: jobs.Job
    ) -> RetryDecision | None:
        if not isinstance(exception, _AgainError):
            return None
        return RetryDecision(retry_at=exception.at, priority=exception.priority)


def _app(store: Store, *, pool: int = 1) -> procrastinate.App:
    url = store.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connector = procrastinate.PsycopgConnector(
        conninfo=url,
        kwargs={"options": _OPTIONS, "application_name": "koppelhub worker"},
        min_size=1,
        max_size=pool,
    )
    return procrastinate.App(connector=connector)


class Worker:
    """Carries out what is queued, until it is asked to stop.

    Args:
        hub: the installation, on PostgreSQL.
        concurrency: tasks at once.

    Raises: StoreError if the queue must be upgraded, or the database cannot be reached.
    """

    def __init__(self, hub: Hub, *, concurrency: int) -> None:
        self._hub, self._concurrency = hub, concurrency
        self._current = Current(hub)
        self._queue = Queue(hub.store)
        label = f"worker, {concurrency} tegelijk"
        self._heartbeat = Heartbeat(hub.store, hub.clock, kind=ProcessKind.WORKER, label=label)
        self._app = _app(hub.store, pool=concurrency + 3)
        for name in (RUN, PLAN):
            self._app.task(name=name, pass_context=True, retry=_Again())(self._run)
        self._app.task(name=DUTY, pass_context=True, retry=_Again())(self._duty)

    def work(self, *, stopping: Callable[[], None]) -> None:
        """Work until SIGINT or SIGTERM; runs end at their next page then, and go on elsewhere.

        Args:
            stopping: called once it was asked to stop.
        """
        try:
            asyncio.run(self._work(stopping))
        finally:
            self._heartbeat.end()
            self._queue.close()

    async def _work(self, stopping: Callable[[], None]) -> None:
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        loop.set_default_executor(ThreadPoolExecutor(self._concurrency + 2))

        def stop() -> None:
            asked.set()
            stopping()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        while not asked.is_set():
            try:
                async with self._app.open_async():
                    await self._until(asked)
            except (psycopg.Error, exceptions.ConnectorException) as exc:
                _log.warning("the queue cannot be asked: %s", type(exc).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), _AGAIN.total_seconds())

    async def _until(self, asked: asyncio.Event) -> None:
        """Work until it is asked to stop, or the database is gone."""
        settings = self._hub.settings.scheduling
        working = asyncio.create_task(
            self._app.run_worker_async(
                concurrency=self._concurrency,
                install_signal_handlers=False,
                shutdown_graceful_timeout=0,  # runs are told at once, and end by themselves
                delete_jobs="successful",
                update_heartbeat_interval=settings.heartbeat.total_seconds(),
                stalled_worker_timeout=settings.stalled_after.total_seconds(),
            )
        )
        beating = asyncio.create_task(self._beat())
        asking = asyncio.create_task(asked.wait())
        await asyncio.wait({working, asking}, return_when=asyncio.FIRST_COMPLETED)
        beating.cancel()
        asking.cancel()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

    async def _beat(self) -> None:
        """Say that this process is there, and look for those that are not any more."""
        settings = self._hub.settings.scheduling
        while True:
            await asyncio.to_thread(self._heartbeat.beat)
            try:
                found = await asyncio.to_thread(
                    self._queue.put_back_stalled, settings.stalled_after
                )
                if found:
                    _log.warning("%s jobs of dead workers are taken over", found)
            except StoreError as error:
                _log.warning("stalled jobs: %s", error)
            await asyncio.sleep(settings.heartbeat.total_seconds())

    def _run(self, context: procrastinate.JobContext, *, job: dict[str, Any]) -> None:
        self._carry_out(context, msgspec.convert(job, Job, strict=False))

    def _duty(self, context: procrastinate.JobContext, *, name: str) -> None:
        self._carry_out(context, DutyJob(name))

    def _carry_out(self, context: procrastinate.JobContext, task: Task) -> None:
        now = self._hub.clock.now
        by_hand = isinstance(task, Job) and task.by_hand
        tries = max(0, task.priority - context.job.priority) if by_hand else 0
        try:
            done = attempt(self._current.hub(), task, tries=tries, stop=context.should_abort)
        except StoreError as error:
            _log.warning("%s %s is tried again: %s", *task.key, error)
            done = Attempted(now() + BUSY, tries)
        if done.unseen:
            raise _NotDoneError
        if done.again is None:
            return
        wait = done.again - now()
        if wait > timedelta() and not by_hand:
            # Its state says when; the planner hands it out again then. A job that waited in the
            # queue would keep those of its koppeling that go after it from their turn: one lock.
            return
        raise _AgainError(datetime.now(UTC) + wait, priority=task.priority - done.tries)
