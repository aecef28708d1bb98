"""Rate limit, circuit and the retry policy, on a clock that tests set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from config.clock import FixedClock
from connectors.base import CircuitState
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    RateLimitedError,
    SourceUnavailableError,
)
from connectors.protocols.pacing import (
    Circuit,
    Patience,
    TokenBucket,
    repeat,
    retry_after,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


def state(circuit: Circuit) -> str:
    return circuit.state.value


class Failing:
    """Raises its errors one by one, then answers."""

    def __init__(self, *errors: ConnectorError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_a_bucket_lets_the_agreed_number_through_each_second(clock: FixedClock) -> None:
    bucket = TokenBucket(5, clock=clock)
    for _ in range(55):
        bucket.take()
    assert clock.slept.total_seconds() == pytest.approx(10.0)


def test_a_bucket_without_a_rate_never_waits(clock: FixedClock) -> None:
    bucket = TokenBucket(0, clock=clock)
    for _ in range(1000):
        bucket.take()
    assert clock.slept == timedelta()


def test_a_circuit_opens_after_failures_in_a_row_only(clock: FixedClock) -> None:
    circuit = Circuit(3, clock=clock)
    for _ in range(2):
        circuit.failed()
    circuit.succeeded()
    for _ in range(2):
        circuit.failed()
    assert state(circuit) == CircuitState.CLOSED
    circuit.failed()
    assert state(circuit) == CircuitState.OPEN
    assert not circuit.admit()


def test_an_open_circuit_lets_one_probe_through_after_its_pause(clock: FixedClock) -> None:
    circuit = Circuit(1, timedelta(seconds=60), clock=clock)
    circuit.failed()
    clock.advance(timedelta(seconds=60))
    assert state(circuit) == CircuitState.HALF_OPEN
    assert [circuit.admit(), circuit.admit()] == [True, False]
    circuit.failed()
    assert state(circuit) == CircuitState.OPEN
    clock.advance(timedelta(seconds=60))
    assert circuit.admit()
    circuit.succeeded()
    assert state(circuit) == CircuitState.CLOSED


def test_what_is_retryable_is_repeated_with_growing_waits(clock: FixedClock) -> None:
    call = Failing(SourceUnavailableError("a"), SourceUnavailableError("b"))
    assert repeat(call, patience=Patience(), clock=clock) == "answer"
    assert call.calls == 3
    assert timedelta(seconds=6) <= clock.slept <= timedelta(seconds=10)


def test_the_number_of_attempts_is_bounded(clock: FixedClock) -> None:
    call = Failing(*[SourceUnavailableError(str(n)) for n in range(9)])
    with pytest.raises(SourceUnavailableError, match="3"):
        repeat(call, patience=Patience(attempts=4), clock=clock)
    assert call.calls == 4


def test_what_is_not_retryable_is_tried_once(clock: FixedClock) -> None:
    call = Failing(AuthenticationError("no"))
    with pytest.raises(AuthenticationError):
        repeat(call, patience=Patience(), clock=clock)
    assert (call.calls, clock.slept) == (1, timedelta())


def test_retry_after_is_honoured(clock: FixedClock) -> None:
    call = Failing(RateLimitedError("later", retry_after=timedelta(seconds=90)))
    repeat(call, patience=Patience(), clock=clock)
    assert clock.slept == timedelta(seconds=90)


def test_a_retry_after_beyond_our_patience_gives_up_without_waiting(clock: FixedClock) -> None:
    call = Failing(RateLimitedError("later", retry_after=timedelta(hours=1)))
    with pytest.raises(RateLimitedError) as caught:
        repeat(call, patience=Patience(total=timedelta(minutes=5)), clock=clock)
    assert caught.value.retry_after == timedelta(hours=1)
    assert (call.calls, clock.slept) == (1, timedelta())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Mon, 23 Nov 2026 12:02:00 GMT", 120),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("99999999999999999999", 86400),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str | None, seconds: int | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert retry_after(header, now=NOON) == expected
