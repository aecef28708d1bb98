"""The clock in one process: APScheduler with a bounded number of threads.

It keeps its timers and threads; what is due says planner.py, and what was begun and not settled
stands in the database. So nothing of it need outlive the process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from config.errors import KoppelhubError
from sync_engine.current import Current
from sync_engine.schedule.duties import duty_of
from sync_engine.schedule.jobs import Attempted, DutyJob, Priority, Task, attempt
from sync_engine.schedule.state import Key

_log = logging.getLogger(__name__)
_BEATS: Final = 2
"""Threads for what is done every few seconds."""
_BY_HAND: Final = 2
"""Threads for what a person asked for: it does not wait for the night's work."""
_LIGHT: Final = 1
"""Threads for light duties: nobody is told too late because the night's work is not done."""


class Threads:
    """Carries out tasks in threads of this process, and calls what must be done again and again.

    Args:
        hub: the installation; each task is given it as its configuration says then.
        workers: tasks at once.
    """

    def __init__(self, hub: Current, *, workers: int) -> None:
        self._hub = hub
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._under_way: set[Task] = set()
        pools = {
            "tasks": ThreadPoolExecutor(workers),
            "by hand": ThreadPoolExecutor(_BY_HAND),
            "light": ThreadPoolExecutor(_LIGHT),
            "beats": ThreadPoolExecutor(_BEATS),
        }
        self._scheduler = BackgroundScheduler(executors=pools, timezone=UTC)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def every(self, interval: timedelta, call: Callable[[], object], *, name: str) -> None:
        """Call something now and at an interval, never twice at once; what goes wrong is logged."""
        self._scheduler.add_job(
            _told(call, name),
            "interval",
            seconds=interval.total_seconds(),
            id=f"every {name}",
            executor="beats",
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=datetime.now(UTC),
        )

    def under_way(self) -> Collection[Key]:
        """What waits for a thread or has one."""
        with self._lock:
            return {task.key for task in self._under_way}

    def hand_out(self, task: Task) -> None:
        """Carry it out as soon as a thread is free; a task that is under way is left as it is."""
        with self._lock:
            if task in self._under_way or self._stopping.is_set():
                return
            self._under_way.add(task)
        self._add(task, tries=0, wait=timedelta())

    def _add(self, task: Task, *, tries: int, wait: timedelta) -> None:
        self._scheduler.add_job(
            self._carry_out,
            "date",
            run_date=datetime.now(UTC) + wait,
            args=[task, tries],
            executor=_pool_of(task),
            misfire_grace_time=None,
        )

    def stop(self, *, within: timedelta) -> bool:
        """Begin nothing more, ask runs to end at their next page, and wait for them.

        Whether all of them ended in time; what did not is finished by the next process.
        """
        self._stopping.set()
        ending = threading.Thread(target=self._scheduler.shutdown, daemon=True)
        ending.start()
        ending.join(within.total_seconds())
        return not ending.is_alive()

    def _carry_out(self, task: Task, tries: int) -> None:
        done = Attempted()
        try:
            if not self._stopping.is_set():
                done = attempt(self._hub.hub(), task, tries=tries, stop=self._stopping.is_set)
        except KoppelhubError as error:
            _log.warning("%s %s is tried again: %s", *task.key, error)
        except Exception:  # noqa: BLE001 - the outermost edge of a job
            _log.exception("%s %s broke down", *task.key)
        by_hand = task.priority is Priority.BY_HAND
        if done.again is not None and by_hand and not self._stopping.is_set():
            self._add(task, tries=done.tries, wait=done.again - self._hub.hub().clock.now())
            return
        with self._lock:  # what the clock wants is handed out again when its time has come
            self._under_way.discard(task)


def _told(call: Callable[[], object], name: str) -> Callable[[], None]:
    """The call, with what goes wrong logged: the next one does it."""

    def made() -> None:
        try:
            call()
        except KoppelhubError as error:
            _log.warning("%s: %s", name, error)
        except Exception:  # noqa: BLE001 - the outermost edge of what is called again and again
            _log.exception("%s broke down", name)

    return made


def _pool_of(task: Task) -> str:
    if isinstance(task, DutyJob) and duty_of(task.name).light:
        return "light"
    return "by hand" if task.priority is Priority.BY_HAND else "tasks"
