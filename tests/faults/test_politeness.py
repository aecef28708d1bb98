"""A system is spared by all workers together: threads and processes, over real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest

from config.clock import Clock, FixedClock, SystemClock
from config.politeness import Politeness
from connectors.base import Budget, CircuitState
from connectors.errors import ConnectorError, RateLimitedError, SourceUnavailableError
from connectors.protocols.pacing import Patience
from connectors.protocols.rest import Limits, RestTransport
from fixtures.sandbox.faults import RateLimited, ServerError
from fixtures.sandbox.messages import Answer, Request
from fixtures.sandbox.reference import ReferenceApplication
from fixtures.sandbox.server import SandboxServer
from sync_engine.politeness import CircuitView, StoreManners, circuits
from sync_engine.store.engine import Store
from sync_engine.store.shared import shared

Connect: TypeAlias = Callable[..., RestTransport]

START = datetime(2026, 10, 5, 1, 0, tzinfo=UTC)
PER_SECOND, AT_ONCE = 20.0, 3
POLICY = Politeness(
    simultaneous_runs=4,
    opens_after=3,
    pause=timedelta(minutes=1),
    off_after=5,
    refused_after=2,
    off_over=timedelta(hours=72),
)
WORKER = """
import sys, threading
from datetime import timedelta
from tests.faults.test_politeness import AT_ONCE, PER_SECOND, ask, transport
from config.clock import SystemClock
from connectors.base import Budget
from sync_engine.store.engine import Store

url, base, threads, each = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with Store.open(url) as store:
    def work():
        rest = transport(store, SystemClock(), Budget(PER_SECOND, AT_ONCE))
        for _ in range(each):
            ask(rest, base)
        rest.close()
    print("ready", flush=True)
    sys.stdin.readline()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
"""
HOLDER = """
import sys
from sync_engine.store.engine import Store
from sync_engine.store.shared import shared
with Store.open(sys.argv[1]) as store:
    with shared(store).first_free(["slot-las-0"]) as slot:
        print(slot, flush=True)
        sys.stdin.read()
"""


class Watched(ReferenceApplication):
    """Takes a little while over each answer, and remembers how many it had in hand at once."""

    def __init__(self) -> None:
        super().__init__("referentie")
        self._guard = threading.Lock()
        self.asked: list[float] = []
        self.at_once = self.most = 0

    def answer(self, request: Request) -> Answer:
        """Answer, and count."""
        with self._guard:
            self.asked.append(time.monotonic())
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        threading.Event().wait(0.02)
        try:
            return super().answer(request)
        finally:
            with self._guard:
                self.at_once -= 1


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def sandbox(watched: Watched) -> Iterator[SandboxServer]:
    with SandboxServer(watched) as server:
        yield server


def transport(
    store: Store, clock: Clock, budget: Budget, *, koppeling: str = "bron"
) -> RestTransport:
    """As the connectors make it: one try, so that a test sees each answer."""
    manners = StoreManners(
        store,
        koppeling=koppeling,
        system="referentie",
        policy=POLICY,
        probe=timedelta(minutes=2),
        clock=clock,
    )
    limits = Limits(patience=Patience(attempts=1))
    return RestTransport("referentie", clock=clock, budget=budget, limits=limits, manners=manners)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """`transport`, closed when the test ends."""
    with ExitStack() as stack:

        def connected(*arguments: Any, **options: Any) -> RestTransport:
            made = transport(*arguments, **options)
            stack.callback(made.close)
            return made

        yield connected


def ask(rest: RestTransport, base: str) -> None:
    """One small question."""
    rest.get(
        f"{base}/v1/cursor",
        operation="GET cursor",
        headers={"Authorization": "Bearer referentie"},
    )


def refused(rest: RestTransport, base: str) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        ask(rest, base)
    return caught.value


def url_of(store: Store) -> str:
    return store.engine.url.render_as_string(hide_password=False)


def process(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 -- our own interpreter and code
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])},  # noqa: PTH109
    )


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


# -- rate and number at once -----------------------------------------------------------------------


def test_processes_and_threads_together_keep_to_the_rate_and_the_number_at_once(
    store: Store, sandbox: SandboxServer, watched: Watched
) -> None:
    """Two processes of four threads each; the sandbox itself says what came when."""
    threads, each = 4, 7
    with ExitStack() as stack:
        arguments = (url_of(store), sandbox.url, str(threads), str(each))
        workers = [stack.enter_context(process(WORKER, *arguments)) for _ in range(2)]
        assert [line(worker) for worker in workers] == ["ready", "ready"]
        for worker in workers:
            worker.communicate("go\n", timeout=60)
        assert [worker.returncode for worker in workers] == [0, 0]
    asked = sorted(watched.asked)
    assert len(asked) == len(sandbox.requests) == 2 * threads * each
    assert watched.most <= AT_ONCE
    slack = 0.25  # a request that was late on its way comes close to the next one
    for first, begin in enumerate(asked):
        for last in range(first, len(asked)):
            most = PER_SECOND * (asked[last] - begin + slack) + PER_SECOND
            assert last - first + 1 <= most
    fastest = (len(asked) - PER_SECOND) / PER_SECOND
    assert asked[-1] - asked[0] >= fastest - slack


def test_the_budget_does_not_wait_for_a_long_write_of_another(
    sqlite_store: Store, sandbox: SandboxServer, connect: Connect
) -> None:
    rest = connect(sqlite_store, FixedClock(START), Budget(PER_SECOND, AT_ONCE))
    began = time.monotonic()
    with sqlite_store.work() as work, work.transaction():
        work.execute("UPDATE koppeling SET name = name")
        for _ in range(5):
            ask(rest, sandbox.url)
    assert time.monotonic() - began < 10, "a writer waits 30 s for the database"


def test_a_koppeling_has_a_budget_of_its_own(
    store: Store, sandbox: SandboxServer, connect: Connect
) -> None:
    clock = FixedClock(START)
    one = connect(store, clock, Budget(1.0, 1))
    other = connect(store, clock, Budget(1.0, 1), koppeling="tweede")
    ask(one, sandbox.url)
    ask(other, sandbox.url)
    assert clock.slept == timedelta()
    ask(one, sandbox.url)
    assert clock.slept == timedelta(seconds=1)


def test_patience_that_one_worker_is_asked_for_is_kept_by_all(
    store: Store, sandbox: SandboxServer, connect: Connect
) -> None:
    clock = FixedClock(START)
    one, other = (connect(store, clock, Budget(1.0, 1)) for _ in range(2))
    sandbox.misbehave(RateLimited(retry_after=90))
    assert isinstance(refused(one, sandbox.url), RateLimitedError)
    asked = len(sandbox.requests)
    for worker in (one, other):
        error = refused(worker, sandbox.url)
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == pytest.approx(timedelta(seconds=90), abs=timedelta(seconds=1))
    assert len(sandbox.requests) == asked
    clock.advance(timedelta(seconds=90))
    ask(other, sandbox.url)


# -- circuits --------------------------------------------------------------------------------------


def test_a_host_that_one_worker_finds_dead_is_asked_by_nobody_and_one_alone_tries_again(
    store: Store, sandbox: SandboxServer, connect: Connect
) -> None:
    clock = FixedClock(START)
    one = connect(store, clock, Budget(0, 4))
    other = connect(store, clock, Budget(0, 4), koppeling="tweede")
    ask(other, sandbox.url)
    clock.advance(timedelta(seconds=2))
    sandbox.misbehave(ServerError(count=POLICY.opens_after))
    for _ in range(POLICY.opens_after):
        assert isinstance(refused(one, sandbox.url), SourceUnavailableError)
    asked = len(sandbox.requests)
    for worker in (one, other):
        assert worker.circuit(sandbox.url) is CircuitState.OPEN
        assert "not tried" in str(refused(worker, sandbox.url))
    assert len(sandbox.requests) == asked
    (view,) = seen(store, clock)
    assert (view.system, view.host) == ("referentie", sandbox.url.removeprefix("http://"))
    assert (view.since, view.until) == (START + timedelta(seconds=2), clock.now() + POLICY.pause)

    clock.advance(POLICY.pause)
    assert one.circuit(sandbox.url) is CircuitState.HALF_OPEN
    ask(other, sandbox.url)
    assert one.circuit(sandbox.url) is CircuitState.CLOSED
    assert seen(store, clock) == []


def test_a_worker_that_dies_while_its_request_decides_keeps_nobody_waiting(
    store: Store, sandbox: SandboxServer
) -> None:
    clock = FixedClock(START)
    host = sandbox.url.removeprefix("http://")
    manners = [
        StoreManners(
            store,
            koppeling=name,
            system="referentie",
            policy=POLICY,
            probe=timedelta(minutes=2),
            clock=clock,
        )
        for name in ("dood", "levend")
    ]
    dead, alive = (each.breaker(host) for each in manners)
    for _ in range(POLICY.opens_after):
        dead.failed()
    clock.advance(POLICY.pause)
    assert dead.admit()
    assert not alive.admit(), "two decide at once"
    (view,) = seen(store, clock)
    assert view.probed
    clock.advance(timedelta(minutes=2))  # nothing was heard of it
    assert alive.admit()
    alive.failed()
    assert not alive.admit()
    clock.advance(POLICY.pause)
    assert alive.admit()
    alive.succeeded()
    assert alive.state is CircuitState.CLOSED
    for each in manners:
        each.close()


def seen(store: Store, clock: Clock) -> list[CircuitView]:
    state = shared(store)
    try:
        return circuits(state, policy=POLICY, now=clock.now())
    finally:
        state.close()


# -- slots -----------------------------------------------------------------------------------------


def test_the_slot_of_a_worker_that_is_killed_is_free(store: Store) -> None:
    mine = shared(store)
    with process(HOLDER, url_of(store)) as child:
        assert line(child) == "slot-las-0"
        with mine.first_free(["slot-las-0"]) as slot:
            assert slot is None
        with mine.first_free(["slot-las-0", "slot-las-1"]) as slot:
            assert slot == "slot-las-1"
        child.send_signal(signal.SIGKILL)
        child.wait()
    deadline = SystemClock().monotonic() + 20
    slot = None
    while slot is None and SystemClock().monotonic() < deadline:
        with mine.first_free(["slot-las-0"]) as slot:
            pass
    assert slot == "slot-las-0"
    mine.close()
