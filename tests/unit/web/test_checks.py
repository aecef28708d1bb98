"""Checks that people ask for: none keeps a page waiting, each once at a time, all are answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from config.clock import Clock
from config.errors import ConfigurationError
from config.sources import Source
from connectors.base import Connector
from sync_engine.actor import Actor
from sync_engine.hub import Hub
from tests.support.hubs import Bench
from tests.support.memory import MemoryConnector
from tests.support.processes import until
from web.pages import checks
from web.pages.checks import BusyError, Checks

NONE, LONG = timedelta(), timedelta(seconds=20)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a source waits for before it answers."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def hub(two: Bench, gate: threading.Event) -> Hub:
    def connect(source: Source, clock: Clock) -> Connector:
        assert gate.wait(LONG.total_seconds())
        return MemoryConnector(two.sources[source.name])

    return replace(two.hub, connect=connect, actor=Actor("petra"))


def test_who_waits_for_a_check_sees_that_it_is_under_way_and_then_its_answer(
    hub: Hub, gate: threading.Event, two: Bench
) -> None:
    made = Checks()
    assert made.last("s0") is None
    assert not made.ask(hub, "s0", within=NONE).is_over
    assert not made.ask(hub, "s0", within=NONE).is_over  # and it is not begun twice
    gate.set()
    found = made.ask(hub, "s0", within=LONG)
    assert (found.is_over, found.by, found.problem) == (True, "petra", "")
    assert two.query("SELECT COUNT(*) FROM audit WHERE action = 'connectors check'") == [(1,)]


def test_a_crowd_is_asked_to_come_back(
    hub: Hub, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_MOST_WAITING", 1)
    made = Checks()
    made.ask(hub, "s0", within=NONE)
    with pytest.raises(BusyError):
        made.ask(hub, "s1", within=NONE)
    gate.set()
    until(lambda: bool((found := made.last("s0")) and found.is_over))
    assert made.ask(hub, "s1", within=LONG).is_over


def test_a_check_that_breaks_down_is_told_and_may_be_asked_again(two: Bench) -> None:
    def breaks(source: Source, clock: Clock) -> Connector:
        raise RuntimeError

    made = Checks()
    found = made.ask(replace(two.hub, connect=breaks), "s0", within=LONG)
    assert found.is_over
    assert found.problem
    assert made.ask(two.hub, "s0", within=LONG).problem == ""
    with pytest.raises(ConfigurationError):
        made.ask(two.hub, "anders", within=LONG)
