"""Trends: what runs did, run by run and local day by day, of what the actor may see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.operators import Role
from mappings.canonical.fields import Entity
from sync_engine.actor import Actor
from sync_engine.store.engine import Store
from sync_engine.trends import DAYS, trend_of, trend_of_days
from tests.support.hubs import Bench, bench


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two sources on each database."""
    one = bench(store, tmp_path, sources=2)
    yield one
    one.close()


def put(bench: Bench, *names: str) -> None:
    for name in names:
        bench.sources["s0"].put(Entity.LEERLING, name, achternaam=name)


def test_each_run_that_read_is_a_point_oldest_first(made: Bench) -> None:
    put(made, "a", "b")
    made.sync()
    made.later()
    put(made, "c")
    last = made.sync()
    made.sync(kind="refold", cores=(1,))  # reads nothing
    points = trend_of(made.hub, "s0").points
    assert [(point.read, point.changed, point.state) for point in points] == [
        (2, 2, "done"),
        (3, 1, "done"),
    ]
    assert points[-1].run_id == last.run_id
    assert [point.read for point in trend_of(made.hub, "s0", runs=1).points] == [3]
    assert trend_of(made.hub, "s1").points == []


def test_a_day_is_a_local_one_and_days_without_runs_are_there_too(made: Bench) -> None:
    put(made, "a")
    made.clock.set(datetime(2026, 10, 24, 22, 30, tzinfo=UTC))  # 25 October in Amsterdam
    made.sync("s0")
    made.sync("s1")
    made.clock.set(datetime(2026, 10, 26, 6, 0, tzinfo=UTC))
    days = trend_of_days(made.hub, ["s0", "s1"])
    assert len(days) == DAYS
    assert [(day.day.isoformat(), day.runs) for day in days[-3:]] == [
        ("2026-10-24", 0),
        ("2026-10-25", 2),
        ("2026-10-26", 0),
    ]
    assert sum(day.read for day in days) == 1
    assert [day.runs for day in trend_of_days(made.hub, ["s1"])][-2] == 1


def test_of_another_board_there_is_no_trend(made: Bench) -> None:
    put(made, "a")
    made.sync()
    other = replace(made.hub, actor=Actor("noor", Role.READ, frozenset({"elders"})))
    assert sum(day.runs for day in trend_of_days(other, ["s0"])) == 0
    with pytest.raises(ConfigurationError):
        trend_of(other, "s0")
