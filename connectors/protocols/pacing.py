"""How fast and how often a system is asked: rate limit, circuit, and the one retry policy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import tenacity

from config.clock import Clock
from connectors.base import Breaker, Budget, CircuitState, Pacer
from connectors.errors import ConnectorError, RateLimitedError, SourceUnavailableError
from connectors.protocols.watching import tell_repeats

T = TypeVar("T")

_LONGEST_WAIT: Final = timedelta(days=1)
_MOMENT: Final = 0.001
"""Seconds that do not count: who waited as long as was asked has waited long enough."""


class TokenBucket:
    """At most so many requests a second on average, with a burst of one second's worth.

    Args:
        per_second: requests a second; zero is no limit.
    """

    def __init__(self, per_second: float, *, clock: Clock) -> None:
        self._rate = per_second
        self._capacity = max(1.0, per_second)
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = self._capacity
        self._filled = clock.monotonic()

    def take(self) -> None:
        """Take one token, and wait for it where there is none yet."""
        if self._rate <= 0:
            return
        with self._lock:
            now = self._clock.monotonic()
            self._tokens = min(self._capacity, self._tokens + (now - self._filled) * self._rate)
            self._filled = now
            self._tokens -= 1.0
            short = -self._tokens
        if short > 0:
            self._clock.sleep(timedelta(seconds=short / self._rate))


class OwnPacer:
    """The budget of one transport by itself, shared with nobody.

    Args:
        budget: rate and number of requests at once.
        clock: measures and waits.
    """

    def __init__(self, budget: Budget, *, clock: Clock) -> None:
        self._clock = clock
        self._bucket = TokenBucket(budget.per_second, clock=clock)
        self._places = threading.BoundedSemaphore(budget.simultaneous)
        self._paused = 0.0

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places; waits."""
        with self._places:
            yield

    def take(self) -> None:
        """Take one request, and wait until it may go out."""
        rest = self._paused - self._clock.monotonic()
        if rest > _MOMENT:
            raise patience(timedelta(seconds=rest))
        self._bucket.take()

    def pause(self, duration: timedelta) -> None:
        """Nobody takes a request for so long."""
        self._paused = max(self._paused, self._clock.monotonic() + duration.total_seconds())


class Circuit:
    """Stops asking a system that is down; after a pause one probe decides.

    Args:
        opens_after: failures in a row.
        pause: how long it stays open before a probe is let through.
    """

    def __init__(
        self, opens_after: int = 5, pause: timedelta = timedelta(seconds=60), *, clock: Clock
    ) -> None:
        self._opens_after = opens_after
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened: float | None = None
        self._probing = False

    @property
    def state(self) -> CircuitState:
        """What it does with the next request."""
        if self._opened is None:
            return CircuitState.CLOSED
        if self._clock.monotonic() - self._opened >= self._pause.total_seconds():
            return CircuitState.HALF_OPEN
        return CircuitState.OPEN

    def admit(self) -> bool:
        """Whether a request may go out now; in half-open state only one may."""
        with self._lock:
            match self.state:
                case CircuitState.CLOSED:
                    return True
                case CircuitState.OPEN:
                    return False
                case CircuitState.HALF_OPEN:
                    if self._probing:
                        return False
                    self._probing = True
                    return True

    def succeeded(self) -> None:
        """The system answered."""
        with self._lock:
            self._failures = 0
            self._opened = None
            self._probing = False

    def failed(self) -> None:
        """The system did not answer."""
        with self._lock:
            self._failures += 1
            if self._probing or self._failures >= self._opens_after:
                self._opened = self._clock.monotonic()
            self._probing = False


class OwnManners:
    """How a transport spares a system that it shares with nobody."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    def pacer(self, budget: Budget) -> Pacer:
        """A budget of its own."""
        return OwnPacer(budget, clock=self._clock)

    def breaker(self, host: str) -> Breaker:
        """A circuit of its own."""
        return Circuit(clock=self._clock)

    def close(self) -> None:
        """Nothing is held open."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one call may go on in all.

    Attributes:
        attempts: how often it is tried.
        total: bound on all attempts and the waits between them; a wait that would pass it is not
            begun, so a long `Retry-After` gives up at once and says so.
        shortest: the first wait; it doubles, with jitter.
        longest: the longest wait of our own choosing.
    """

    attempts: int = 4
    total: timedelta = timedelta(minutes=5)
    shortest: timedelta = timedelta(seconds=2)
    longest: timedelta = timedelta(seconds=30)


def repeat(
    attempt: Callable[[], T],
    *,
    patience: Patience,
    clock: Clock,
    may_repeat: Callable[[ConnectorError], bool] = lambda error: error.retryable,
) -> T:
    """The one retry policy: run `attempt` until it succeeds or `patience` is at its end.

    Only for what may safely be repeated. Asks the error itself (`.retryable`), waits exponentially
    with jitter, and at least as long as `Retry-After` asks.
    Raises: whatever the last attempt raised.
    """
    started = clock.monotonic()
    shortest = patience.shortest.total_seconds()
    backoff = tenacity.wait_exponential(
        multiplier=shortest, max=patience.longest.total_seconds()
    ) + tenacity.wait_random(0, shortest)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.retry_after if isinstance(error, RateLimitedError) else None
        return max(backoff(state), asked.total_seconds() if asked is not None else 0.0)

    def stop(state: tenacity.RetryCallState) -> bool:
        spent = clock.monotonic() - started + (state.upcoming_sleep or 0.0)
        return state.attempt_number >= patience.attempts or spent > patience.total.total_seconds()

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(
            lambda error: isinstance(error, ConnectorError) and may_repeat(error)
        ),
        wait=wait,
        stop=stop,
        sleep=lambda seconds: clock.sleep(timedelta(seconds=seconds)),
        before_sleep=lambda _: tell_repeats(),
        reraise=True,
    )
    return retrying(attempt)


def retry_after(header: str | None, *, now: datetime) -> timedelta | None:
    """How long a `Retry-After` header asks to wait; None where it is absent or unreadable.

    Shape: a number of seconds, or an HTTP date. At most a day; a date that is past is no wait.
    Spec: RFC 9110, section 10.2.3 (CONFIRMED).
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), int(_LONGEST_WAIT.total_seconds())))
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta()), _LONGEST_WAIT)


def patience(rest: timedelta) -> RateLimitedError:
    """The error of a call that was not tried because its system asked for patience."""
    return RateLimitedError("not tried: the system asked for patience", retry_after=rest)


def open_circuit(system: str, operation: str) -> SourceUnavailableError:
    """The error of a call that was not tried because the circuit is open."""
    return SourceUnavailableError(
        f"{operation}: not tried, {system} failed too often in a row",
        system=system,
        operation=operation,
        advice="Het bronsysteem was een paar keer achter elkaar niet bereikbaar. De hub wacht even "
        "en probeert het dan vanzelf opnieuw.",
    )
