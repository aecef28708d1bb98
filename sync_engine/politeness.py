"""How systems are spared by all workers on one database together: budgets, places, circuits.

A budget belongs to a koppeling, a circuit to a host of a system. What several workers share stands
in store/shared.py; what a second ago was known is believed, so that a request costs no statement.
No person and no path is known here: names of koppelingen and systems, and hosts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from config.clock import Clock, SystemClock
from config.politeness import Politeness
from config.sources import Source
from connectors.base import Breaker, Budget, CircuitState, Pacer
from connectors.errors import RateLimitedError
from connectors.protocols.pacing import patience
from sync_engine.budget import LONGEST_PAUSE, MOMENT, Budgeted, Circuited, Rate
from sync_engine.store.engine import Store
from sync_engine.store.shared import Shared, shared

_BUDGET: Final = "budget"
_CIRCUIT: Final = "circuit"
_BELIEVED: Final = 1.0
"""Seconds for which what was read of a circuit that is closed is believed."""
_POLL: Final = timedelta(milliseconds=20)
_PLACE_WAIT: Final = timedelta(minutes=10)

Judge = Callable[[Circuited], Circuited | None]
"""What stands there → what is to stand there; None leaves it."""


@dataclass(frozen=True, slots=True)
class CircuitView:
    """One host that did not answer lately.

    Attributes:
        failures: requests in a row.
        since: since when it is not asked; None while it is.
        until: until when it is not asked.
        probed: whether one request is deciding now.
    """

    system: str
    host: str
    state: CircuitState
    failures: int
    since: datetime | None
    until: datetime | None
    probed: bool = False


class StoreManners:
    """How one connector of one koppeling spares its system.

    Args:
        store: shared by all workers.
        koppeling: its name.
        system: its system.
        policy: when circuits open, and for how long.
        probe: how long a request may take that decides whether a host is back.
        clock: measures and waits.
    """

    def __init__(
        self,
        store: Store,
        *,
        koppeling: str,
        system: str,
        policy: Politeness,
        probe: timedelta,
        clock: Clock,
    ) -> None:
        self._shared = shared(store)
        self._koppeling, self._system = koppeling, system
        self._policy, self._probe, self._clock = policy, probe, clock

    def pacer(self, budget: Budget) -> Pacer:
        """The budget of this koppeling."""
        return _Pacer(self._shared, self._koppeling, budget, clock=self._clock)

    def breaker(self, host: str) -> Breaker:
        """The circuit of one host of this system."""
        known = Circuited(self._system, host)
        return _Breaker(
            self._shared, known, policy=self._policy, probe=self._probe, clock=self._clock
        )

    def close(self) -> None:
        """Let the session go."""
        self._shared.close()


class _Pacer:
    """A budget: requests are taken from the shared one by the second, and used one by one."""

    def __init__(self, state: Shared, koppeling: str, budget: Budget, *, clock: Clock) -> None:
        self._shared, self._clock = state, clock
        self._name = f"{_BUDGET} {koppeling}"
        self._koppeling = koppeling
        self._rate = Rate(budget.per_second) if budget.per_second > 0 else None
        self._places = [f"request {koppeling} {n}" for n in range(budget.simultaneous)]
        self._mine = threading.BoundedSemaphore(budget.simultaneous)
        self._lock = threading.Lock()
        self._free: deque[float] = deque()
        self._paused = 0.0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place that no other process has either."""
        clock = SystemClock()  # what others hold is not let go of by a clock that a test moves
        until = clock.monotonic() + _PLACE_WAIT.total_seconds()
        with self._mine:
            while True:
                with self._shared.first_free(self._places) as had:
                    if had is not None:
                        yield
                        return
                if clock.monotonic() > until:
                    raise RateLimitedError("no place for one more request at once")
                clock.sleep(_POLL)

    def take(self) -> None:
        """Take one request, and wait until it may go out."""
        with self._lock:
            now = self._clock.now().timestamp()
            free = self._next(now)
        self._clock.sleep(timedelta(seconds=free - now))

    def _next(self, now: float) -> float:
        """From when on the next request may go out."""
        rest = self._paused - now
        if rest > MOMENT:
            raise patience(timedelta(seconds=rest))
        if self._rate is None:
            return now
        while self._free and self._free[0] < now - self._rate.late - MOMENT:
            self._free.popleft()  # too late to be used
        if not self._free:
            self._free.extend(self._taken(self._rate, now))
        return self._free.popleft()

    def _taken(self, rate: Rate, now: float) -> list[float]:
        def step(value: str | None) -> tuple[str | None, tuple[float, list[float]]]:
            budget = _budget(value, self._koppeling)
            rest = budget.rest(now)
            if rest > MOMENT:
                return None, (rest, [])
            budget, free = rate.take(budget, now)
            return _json(budget), (0.0, free)

        rest, free = self._shared.change(self._name, step)
        if rest > MOMENT:
            raise patience(timedelta(seconds=rest))
        return free

    def pause(self, duration: timedelta) -> None:
        """Nobody takes a request for so long; other workers hear it with their next batch."""
        now, seconds = self._clock.now().timestamp(), duration.total_seconds()
        with self._lock:
            self._paused = max(self._paused, now + seconds)
            self._free.clear()
        self._shared.change(
            self._name,
            lambda value: (_json(_budget(value, self._koppeling).pause(now, seconds)), None),
        )


class _Breaker:
    """A circuit that everybody sees."""

    def __init__(
        self,
        state: Shared,
        known: Circuited,
        *,
        policy: Politeness,
        probe: timedelta,
        clock: Clock,
    ) -> None:
        self._shared, self._clock = state, clock
        self._new = self._known = known
        self._name = f"{_CIRCUIT} {known.system} {known.host}"
        self._opens_after, self._pause = policy.opens_after, policy.pause.total_seconds()
        self._probe = probe.total_seconds()
        self._read_at = float("-inf")
        self._lock = threading.Lock()
        self._probing = False

    @property
    def state(self) -> CircuitState:
        """As everybody sees it; what was read a moment ago is believed while it is closed."""
        now = self._now()
        with self._lock:
            if not self._is_believed(now):
                self._change(lambda found: None, now)
            return self._known.state(now, pause=self._pause)

    def admit(self) -> bool:
        """Whether a request may go out; after the pause one alone, of all workers."""
        now = self._now()
        with self._lock:
            if self._is_believed(now):
                return True
            admitted, decides = True, False

            def judge(found: Circuited) -> Circuited | None:
                nonlocal admitted, decides
                state = found.state(now, pause=self._pause)
                busy = found.is_probed(now, longest=self._probe)
                decides = state is CircuitState.HALF_OPEN and not busy
                admitted = decides or state is CircuitState.CLOSED
                return found.probed(now + self._probe) if decides else None

            self._change(judge, now)
            self._probing = self._probing or decides
            return admitted

    def succeeded(self) -> None:
        """The host answered; that is written only where it did not before."""
        now = self._now()
        with self._lock:
            self._probing = False
            if not self._is_believed(now) or self._known.failures:
                self._change(
                    lambda found: found.answered() if found.failures or found.opened else None, now
                )

    def failed(self) -> None:
        """The host did not answer."""
        now = self._now()
        with self._lock:
            decides, self._probing = self._probing, False
            self._change(
                lambda found: found.failed(now, opens_after=self._opens_after, decides=decides), now
            )

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _is_believed(self, now: float) -> bool:
        return not self._known.opened and 0.0 <= now - self._read_at < _BELIEVED

    def _change(self, judge: Judge, now: float) -> None:
        def step(value: str | None) -> tuple[str | None, Circuited]:
            found = _circuit(value, self._new)
            made = judge(found)
            return (None if made is None else _json(made)), made or found

        self._known = self._shared.change(self._name, step)
        self._read_at = now


# -- seen from outside -----------------------------------------------------------------------------


def circuits(state: Shared, *, policy: Politeness, now: datetime) -> list[CircuitView]:
    """Every host that did not answer its last request, by system and name.

    Raises: StoreError.
    """
    views = []
    pause = policy.pause.total_seconds()
    for value in state.all(_CIRCUIT):
        found = _circuit(value, Circuited())
        if not found.failures and not found.opened:
            continue
        since = _instant(found.opened)
        view = CircuitView(
            found.system,
            found.host,
            found.state(now.timestamp(), pause=pause),
            found.failures,
            since,
            None if since is None else since + policy.pause,
            found.is_probed(now.timestamp(), longest=LONGEST_PAUSE),
        )
        views.append(view)
    return sorted(views, key=lambda view: (view.system, view.host))


def patience_of(state: Shared, koppeling: str, *, now: datetime) -> datetime | None:
    """Until when the system of a koppeling asked for patience; None where it did not.

    Raises: StoreError.
    """
    rest = _budget(state.read(f"{_BUDGET} {koppeling}"), koppeling).rest(now.timestamp())
    return now + timedelta(seconds=rest) if rest > MOMENT else None


def hosts_of(source: Source) -> frozenset[str]:
    """The hosts that the settings of a koppeling name, as circuits name them."""
    found = set()
    for option in source.options.values():
        if isinstance(option, str) and "://" in option:
            found.add(_host(option))
    return frozenset(found - {""})


def _host(url: str) -> str:
    """`school.example:8800`, without the port that its scheme has anyhow."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.hostname or ""
    return host if port is None or port == usual else f"{host}:{port}"


def _budget(value: str | None, koppeling: str) -> Budgeted:
    if value is None:
        return Budgeted(koppeling)
    try:
        return msgspec.json.decode(value, type=Budgeted)
    except msgspec.MsgspecError:  # of another release
        return Budgeted(koppeling)


def _circuit(value: str | None, new: Circuited) -> Circuited:
    if value is None:
        return new
    try:
        return msgspec.json.decode(value, type=Circuited)
    except msgspec.MsgspecError:
        return new


def _json(value: Budgeted | Circuited) -> str:
    return msgspec.json.encode(value).decode()


def _instant(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
