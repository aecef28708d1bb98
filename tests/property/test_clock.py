"""Whatever a clock's processes go through, each due time is carried out once and none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.duration import parse_schedule
from mappings.canonical.fields import Entity
from sync_engine.schedule.due import missed
from sync_engine.store.engine import Store
from sync_engine.store.values import instant_text
from tests.support.clockwork import Clockwork, scheduled
from tests.support.hubs import bench
from tests.support.memory import MemorySource

PLACES = {
    "before handing out": ("tests.support.clockwork.Hands.hand_out", None),
    "in mid-run": ("sync_engine.runs._Run._judge_outcome", "sync_engine.runs._Run._close_run"),
    "after the run": ("sync_engine.schedule.state.settle", None),
    "while it waits": ("sync_engine.schedule.state.postpone", None),
}
"""Where a process may be killed: what it no longer does, and what nobody does for it any more."""

steps = st.one_of(
    st.tuples(st.just("later"), st.sampled_from([1, 20, 59, 61, 600, 1_500])),
    st.tuples(st.just("work"), st.sampled_from([False, False, True])),  # asked to stop
    st.tuples(st.just("kill"), st.sampled_from(sorted(PLACES))),
    st.just(("restart", None)),
)


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def take(clock: Clockwork, step: str, how: Any) -> None:
    """One thing that happens; whoever is killed has nothing in his hands afterwards."""
    if step == "later":
        clock.tick(minutes=how)
    elif step == "work":
        clock.tick()
        clock.work(stop=lambda: how)
    elif step == "kill":
        no_more, nobody = PLACES[how]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(no_more, killed)
            if nobody is not None:
                patch.setattr(nobody, lambda *_, **__: None)
            try:
                clock.tick()
                clock.work(stop=lambda: how == "while it waits")
            except KeyboardInterrupt:
                clock.restart()
    else:
        clock.restart()


@pytest.fixture
def clock(sqlite_store: Store, tmp_path: Path) -> Iterator[Clockwork]:
    """A koppeling of every hour; its examples go on where the one before ended."""
    source = MemorySource((Entity.INSTELLING,))
    source.put(Entity.INSTELLING, "i", brin="99XX", naam="School")
    made = bench(sqlite_store, tmp_path, sources={"s0": source})
    yield scheduled(made, schedule="every 1h")
    made.close()


@settings(max_examples=15)
@given(happening=st.lists(steps, min_size=4, max_size=10))
def test_each_due_time_is_carried_out_once_and_the_last_one_always(
    clock: Clockwork, happening: list[tuple[str, Any]]
) -> None:
    clock.restart()
    clock.tick()
    clock.work()
    began = clock.bench.clock.now()
    for step, how in happening:
        take(clock, step, how)
    clock.restart()
    clock.tick(minutes=1)
    clock.work()
    done = clock.bench.query("SELECT due_at FROM run WHERE state = 'done'")
    assert max(Counter(done).values(), default=0) <= 1
    now = clock.bench.clock.now()
    last = missed(parse_schedule("every 1h"), handled=began, now=now, zone="UTC")
    if last is not None:
        assert (instant_text(last),) in done
    assert clock.state()["settled"]
    assert clock.tick() == []
