"""A rate budget and a circuit as values: whoever takes, and however late."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import CircuitState
from sync_engine.budget import LONGEST_PAUSE, Budgeted, Circuited, Rate

NOW = 1_795_000_000.0
RATES = st.sampled_from([0.2, 0.5, 1.0, 1.5, 5.0, 20.0])


@given(
    per_second=RATES,
    thoughts=st.lists(
        st.lists(st.floats(0.0, 3.0), min_size=1, max_size=40), min_size=1, max_size=5
    ),
)
def test_workers_together_never_ask_more_than_the_rate_and_one_burst(
    per_second: float, thoughts: list[list[float]]
) -> None:
    """Each worker takes its batches, thinks as long as it likes between requests, and uses them."""
    rate, budget = Rate(per_second), Budgeted()
    free: list[list[float]] = [[] for _ in thoughts]
    turns = [(NOW, worker, 0) for worker in range(len(thoughts))]
    asked: list[float] = []
    while turns:
        now, worker, done = heapq.heappop(turns)
        mine = free[worker]
        while mine and mine[0] < now - rate.late:
            mine.pop(0)
        if not mine:
            budget, batch = rate.take(budget, now)
            mine.extend(batch)
        at = max(now, mine.pop(0))
        asked.append(at)
        if done + 1 < len(thoughts[worker]):
            heapq.heappush(turns, (at + thoughts[worker][done], worker, done + 1))
    asked.sort()
    for first in range(len(asked)):
        for last in range(first, len(asked)):
            span = asked[last] - asked[first]
            most = per_second * span + max(1.0, per_second)
            assert last - first + 1 <= most + 1e-3


@given(per_second=RATES, answers_in=st.floats(0.0, 0.3))
def test_a_single_worker_is_not_slowed_below_the_rate(per_second: float, answers_in: float) -> None:
    rate, budget, now, count = Rate(per_second), Budgeted(), NOW, 60
    batches, free = 0, list[float]()
    for _ in range(count):
        while free and free[0] < now - rate.late:
            free.pop(0)
        if not free:
            budget, free = rate.take(budget, now)
            batches += 1
        now = max(now, free.pop(0)) + answers_in
    wanted = count * max(1.0 / per_second, answers_in)
    assert now - NOW <= wanted + 1.0 / per_second + 1.0
    assert batches <= max(count / rate.batch, now - NOW) + 2


def test_a_clock_that_was_ahead_holds_nobody_for_long() -> None:
    _, free = Rate(5.0).take(Budgeted(next=NOW + 86_400.0), NOW)
    assert free[0] <= NOW


def test_the_longest_patience_counts_and_none_is_endless() -> None:
    budget = Budgeted().pause(NOW, 600.0).pause(NOW + 1, 30.0)
    assert budget.rest(NOW + 1) == pytest.approx(599.0)
    assert Budgeted().pause(NOW, 1e9).rest(NOW) == LONGEST_PAUSE
    taken, _ = Rate(5.0).take(budget, NOW + 2)
    assert taken.rest(NOW + 2) == pytest.approx(598.0)
    assert budget.rest(NOW - 10 * LONGEST_PAUSE) == 0.0, "a clock was set back"


def test_a_circuit_opens_after_failures_in_a_row_and_one_probe_decides() -> None:
    circuit = Circuited("las", "school.example")
    for _ in range(2):
        circuit = circuit.failed(NOW, opens_after=3, decides=False)
    circuit = circuit.answered()
    for _ in range(3):
        circuit = circuit.failed(NOW, opens_after=3, decides=False)
    assert circuit.state(NOW + 59, pause=60) is CircuitState.OPEN
    assert circuit.failed(NOW + 5, opens_after=3, decides=False).opened == NOW
    assert circuit.state(NOW + 60, pause=60) is CircuitState.HALF_OPEN
    probed = circuit.probed(NOW + 180)
    assert probed.is_probed(NOW + 61, longest=120)
    assert not probed.is_probed(NOW + 181, longest=120), "its worker died"
    again = probed.failed(NOW + 70, opens_after=3, decides=True)
    assert again.state(NOW + 71, pause=60) is CircuitState.OPEN
    assert not again.is_probed(NOW + 71, longest=120)
    assert again.answered() == Circuited("las", "school.example")


def test_a_circuit_does_not_stay_open_because_a_clock_was_set_back() -> None:
    circuit = Circuited().failed(NOW, opens_after=1, decides=False)
    assert circuit.state(NOW - 3600, pause=60) is CircuitState.HALF_OPEN
