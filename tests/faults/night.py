"""A night of many schools: real `serve` and `worker` processes on one PostgreSQL, in quick time.

Every school is a sandbox of its own over a real socket. While they are read some of them are down,
workers are killed with SIGKILL, and the database is restarted. What is asked of the sources is
written down by the clock of that night.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Final

from config.settings import Settings
from console.setup import initialise
from fixtures.sandbox.faults import Reset
from fixtures.sandbox.messages import Exchange
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from sync_engine.hub import Hub
from sync_engine.store.work import Row
from tests.faults.quick_clock import QuickClock
from tests.support.postgres import PostgresServer

EVENING: Final = datetime(2026, 11, 3, 0, 58, tzinfo=UTC)
"""Two minutes before the schedule of every school, 02:00 in Amsterdam."""
_ROOT: Final = Path(__file__).parents[2]
_SECRET: Final = "KOPPELHUB_DEMO_CLIENT_SECRET"
_TOGETHER: Final = 0.4
"""Seconds between two requests of one run, at most; more may be another run."""

_HEAD: Final = """
[database]
url = "{url}"
[keys]
file = "koppelhub.keys"
[scheduling]
jitter = "{jitter}m"
tick = "1s"
heartbeat = "1s"
stalled_after = "4s"
[politeness]
simultaneous_runs = {simultaneous}
opens_after = 3
pause = "5m"
[policy.limits]
run_time = "24h"
request_timeout = "30m"
"""
_SCHOOL: Final = """
[[tenant]]
name = "bestuur-{number}"
title = "Bestuur {number}"
[[tenant.school]]
brin = "{brin}"
name = "School {number}"
[[source]]
name = "school-{number}"
system = "somtoday"
tenant = "bestuur-{number}"
schedule = "0 2 * * *"
[source.options]
api_base = "{api_base}"
token_url = "{token_url}"
organisation = "{organisation}"
client_id = "{client_id}"
client_secret = {{ env = "KOPPELHUB_DEMO_CLIENT_SECRET" }}
per_second = "{per_second}"
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a night; durations are those of its own clock.

    Attributes:
        factor: how many times as fast as on the wall its clock runs.
        jitter: over how many minutes the schools are spread.
        simultaneous: runs at once that the system allows.
        per_second: requests a second that each koppeling may send.
        down: every so manieth school is down, from `down_from` for `down_for`.
        kill_every: a worker is killed.
        restart_at: the database is restarted.
        morning: how long after the evening it must all be over.
    """

    schools: int
    workers: int = 4
    concurrency: int = 2
    pupils: int = 20
    factor: float = 60.0
    jitter: int = 180
    simultaneous: int = 8
    per_second: float = 0.2
    down: int = 10
    down_from: timedelta = timedelta(minutes=20)
    down_for: timedelta = timedelta(hours=1)
    kill_every: timedelta = timedelta(minutes=10)
    restart_at: timedelta = timedelta(minutes=100)
    morning: timedelta = timedelta(hours=8)


@dataclass
class Night:
    """One night, while it goes on and afterwards.

    Attributes:
        asked: koppeling → instants (seconds on the wall) at which its source was asked for data.
        killed: workers that were killed while they lived.
        restarted: whether the database was restarted.
        seconds: how long it took on the wall, until every school was read.
    """

    plan: Plan
    folder: Path
    server: PostgresServer
    clock: QuickClock
    schools: list[SomtodaySandbox] = field(default_factory=list)
    asked: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    killed: int = 0
    restarted: bool = False
    seconds: float = 0.0

    # -- its processes ---------------------------------------------------------------------------

    def process(self, *command: str) -> subprocess.Popen[bytes]:
        """A process of the hub on the clock of this night, in a group of its own."""
        config = ("--config", str(self.folder / "koppelhub.toml"))
        log = (self.folder / "processes.log").open("ab")
        with log:
            return subprocess.Popen(  # noqa: S603 - our own interpreter, our own code
                [
                    *(sys.executable, "-m", "tests.faults.quick_clock"),
                    *(self.clock.epoch.isoformat(), str(self.clock.file)),
                    *(repr(self.clock.factor), *command, *config),
                ],
                cwd=_ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def hub(self) -> Hub:
        """The installation, opened here; close it."""
        return Hub.open(Settings.load(self.folder / "koppelhub.toml"), self.clock)

    def query(self, hub: Hub, sql: str) -> list[Row]:
        """Rows of its database."""
        with hub.store.work() as work:
            return work.execute(sql)

    # -- what may be asked of it afterwards ------------------------------------------------------

    def too_often(self) -> list[str]:
        """Koppelingen of which more was asked in some stretch of time than their budget allows."""
        rate, factor = self.plan.per_second, self.plan.factor
        found = []
        for name, instants in self.asked.items():
            times = sorted(at * factor for at in instants)
            for first in range(len(times)):
                last = min(first + 10, len(times) - 1)
                allowed = (times[last] - times[first]) * rate + max(1.0, rate) + 1
                if last - first + 1 > allowed:
                    found.append(name)
                    break
        return found

    def most_at_once(self) -> int:
        """The most koppelingen that were read at one moment: between two requests of one run."""
        edges: list[tuple[float, int]] = []
        for instants in self.asked.values():
            times = sorted(instants)
            gap = _TOGETHER + 1.5 / (self.plan.per_second * self.plan.factor)
            for before, after in pairwise(times):
                if after - before <= gap:
                    edges += [(before, 1), (after, -1)]
        at_once = most = 0
        for _, step in sorted(edges):
            at_once += step
            most = max(most, at_once)
        return most


@contextmanager
def night(folder: Path, server: PostgresServer, plan: Plan) -> Iterator[Night]:
    """The schools and their hub on the evening before; nothing runs yet."""
    with ExitStack() as stack:
        clock = QuickClock(EVENING, folder.with_suffix(".began"), plan.factor)
        made = Night(plan, folder, server, clock)
        lock, text = (
            Lock(),
            _HEAD.format(
                url=server.url(server.create(upgraded=True)),
                jitter=plan.jitter,
                simultaneous=plan.simultaneous,
            ),
        )
        for number in range(plan.schools):
            name, brin = f"school-{number}", f"{number // 26 % 90 + 10}{chr(65 + number % 26)}X"
            school = School(plan_school(plan.pupils, seed=number + 1, brin=brin))
            sandbox = SomtodaySandbox(school, observer=_writing(made.asked[name], lock))
            sandbox.now = made.clock.now
            made.schools.append(stack.enter_context(sandbox))
            text += _SCHOOL.format(
                number=number,
                brin=brin,
                api_base=sandbox.api_base,
                token_url=sandbox.token_url,
                organisation=school.uuid,
                client_id=sandbox.credentials.client_id,
                per_second=plan.per_second,
            )
        os.environ[_SECRET] = made.schools[0].credentials.client_secret
        initialise(folder, configuration=text)
        yield made


def _writing(instants: list[float], lock: Lock) -> Callable[[Exchange], None]:
    def write(exchange: Exchange) -> None:
        if exchange.method == "GET":
            with lock:
                instants.append(time.time())

    return write


def spend(made: Night) -> None:
    """Let the night go by, with everything that is to happen in it, until all were read."""
    plan = made.plan
    serve = made.process("serve", "--port", "0")
    concurrency = str(plan.concurrency)
    workers = [made.process("worker", "--concurrency", concurrency) for _ in range(plan.workers)]
    down, chance = made.schools[:: plan.down], random.Random(1)  # noqa: S311 - which worker is killed
    events = _Events(made, down)
    next_kill = plan.kill_every
    hub = made.hub()
    try:
        _wait_for_evening(made, hub)
        began = time.time()
        made.clock.start()
        while (spent := made.clock.now() - EVENING) < plan.morning:
            if _all_read(made, hub, spent):
                break
            events.at(spent)
            if spent >= next_kill:
                next_kill += plan.kill_every
                place = chance.randrange(plan.workers)
                if workers[place].poll() is None:
                    os.killpg(workers[place].pid, signal.SIGKILL)
                    made.killed += 1
                workers[place].wait()
                workers[place] = made.process("worker", "--concurrency", concurrency)
            time.sleep(0.1)
        made.seconds = time.time() - began
    finally:
        for sandbox in down:
            sandbox.behave()
        hub.close()
        _stop([serve, *workers])


class _Events:
    """What happens once in a night."""

    def __init__(self, made: Night, down: Sequence[SomtodaySandbox]) -> None:
        self._made, self._down = made, down
        self._is_down = self._is_up = False

    def at(self, spent: timedelta) -> None:
        """Let happen what is due."""
        plan = self._made.plan
        if not self._is_down and spent >= plan.down_from:
            self._is_down = True
            for sandbox in self._down:
                sandbox.misbehave(Reset(count=None))
        if not self._is_up and spent >= plan.down_from + plan.down_for:
            self._is_up = True
            for sandbox in self._down:
                sandbox.behave()
        if not self._made.restarted and spent >= plan.restart_at:
            self._made.restarted = True
            self._made.server.restart()


def _wait_for_evening(made: Night, hub: Hub) -> None:
    """Until the clock knows every school, and every worker is there: then the night begins."""
    until = time.monotonic() + 120
    asked = (
        "SELECT (SELECT COUNT(*) FROM schedule_state WHERE koppeling_id > 0), "
        "(SELECT COUNT(*) FROM process_heartbeat WHERE kind = 'worker')"
    )
    while made.query(hub, asked) != [(made.plan.schools, made.plan.workers)]:
        assert time.monotonic() < until, "the processes did not come up; see processes.log"
        time.sleep(0.1)


def _all_read(made: Night, hub: Hub, spent: timedelta) -> bool:
    """Whether each school's run of this night is over; asked only when nothing is to come."""
    plan = made.plan
    over = max(plan.down_from + plan.down_for, plan.restart_at, timedelta(minutes=plan.jitter + 2))
    if spent < over:
        return False
    ((settled,),) = made.query(
        hub,
        "SELECT COUNT(*) FROM schedule_state WHERE koppeling_id > 0 AND settled_due = due_at "
        "AND ended_at IS NOT NULL",
    )
    return int(settled) == plan.schools


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
