"""Messages to a target over a real socket: made, delivered, confirmed, refused, asked, undone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.clock import FixedClock
from fixtures.sandbox.reference_intake import Refusal
from sync_engine.store.engine import Store
from tests.support.outbox import OutboxBench, outbox_bench

START = datetime(2026, 10, 5, 6, 0, tzinfo=UTC)
NO = Refusal("verplicht", "vestiging", "ontbreekt")


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Iterator[OutboxBench]:
    """One pupil, not read yet."""
    with outbox_bench(store, tmp_path / "hub", clock=FixedClock(START)) as made:
        made.pupil("l1", roepnaam="Anna")
        yield made


def test_a_change_is_a_message_that_the_target_confirms(bench: OutboxBench) -> None:
    bench.sync()
    assert bench.states() == ["ready"]
    found = bench.deliver()
    assert (found.confirmed, found.left, found.error) == (1, 0, "")
    assert bench.intake.bodies == bench.wanted()
    assert bench.states() == ["confirmed"]
    bench.sync()
    assert bench.deliver().confirmed == 0
    assert len(bench.intake.messages) == 1
