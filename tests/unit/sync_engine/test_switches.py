"""A koppeling that fails again and again is switched off, and somebody is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.clock import Clock
from config.errors import ConfigurationError, KoppelhubError
from config.sources import Source
from connectors.base import Connector
from connectors.errors import (
    AuthenticationError,
    ProtocolViolationError,
    RateLimitedError,
    SourceUnavailableError,
)
from mappings.canonical.fields import Entity
from sync_engine import switches
from sync_engine.admission import Postponed, admitted
from sync_engine.errors import StoreError
from sync_engine.hub import Hub
from sync_engine.outcome import Outcome
from sync_engine.selection import select
from sync_engine.store.engine import Store
from sync_engine.store.work import Work
from sync_engine.switches import Switch, read_switch, switch_off, switch_on
from sync_engine.todo import todo
from tests.support.hubs import START, Bench, Kind, bench
from tests.support.memory import MemorySource

Failing = Callable[[KoppelhubError | None], None]

REFUSED = AuthenticationError("login is refused", system="memory", operation="POST token")
UNAVAILABLE = SourceUnavailableError("no answer", system="memory", operation="GET leerling")
BROKEN = ProtocolViolationError("unreadable", where="body", system="memory", operation="GET x")


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    source = MemorySource((Entity.LEERLING,))
    source.put(Entity.LEERLING, "l1", achternaam="Voorbeeld")
    bench_ = bench(store, tmp_path, sources={"s0": source})
    yield bench_
    bench_.close()


@pytest.fixture
def failing(made: Bench) -> Failing:
    """Let the next runs fail so, or go well."""
    works = made.hub.connect

    def fail_with(error: KoppelhubError | None) -> None:
        def connect(source: Source, clock: Clock) -> Connector:
            if error is not None:
                raise error
            return works(source, clock)

        made.hub = replace(made.hub, connect=connect)

    return fail_with


def nights(made: Bench, count: int, *, hours: float = 24.0, **options: Any) -> None:
    for _ in range(count):
        made.later(hours)
        made.sync(**options)


def is_off(hub: Hub) -> bool:
    with hub.store.work() as work:
        return read_switch(work, hub.koppeling("s0").id).is_off


def events(made: Bench) -> list[str]:
    return [kind for (kind,) in made.query("SELECT kind FROM event ORDER BY id")]


@pytest.mark.parametrize("error", [REFUSED, ConfigurationError("a secret is not there")])
def test_what_a_person_must_mend_switches_off_soon(
    made: Bench, failing: Failing, error: KoppelhubError
) -> None:
    failing(error)
    nights(made, 1)
    assert not is_off(made.hub)
    nights(made, 1)
    assert is_off(made.hub)
    assert events(made) == ["switched off"]
    with admitted(made.hub, made.hub.source("s0"), by_hand=False) as answer:
        assert answer == Postponed(None, "switched_off")
    ((operator, action, subject, why),) = made.query(
        "SELECT operator, action, subject, why FROM audit ORDER BY id DESC LIMIT 1"
    )
    assert (operator, action, subject) == ("system", "source off", "koppeling s0 run 2")
    assert why.startswith("2 mislukte runs op rij")


def test_somebody_is_told_and_what_to_type(made: Bench, failing: Failing) -> None:
    failing(REFUSED)
    nights(made, 2)
    with made.hub.store.work() as work:
        chosen = select(made.hub, work, source=None, school=None)
    (item,) = (item for item in todo(made.hub, chosen).items if item.kind == "off")
    assert item.koppeling == "s0"
    assert "2 mislukte runs op rij" in item.what
    assert item.command == "koppelhub source on s0"


def test_what_does_not_pass_by_itself_switches_off_after_five(
    made: Bench, failing: Failing
) -> None:
    failing(BROKEN)
    nights(made, 4)
    assert not is_off(made.hub)
    nights(made, 1)
    assert is_off(made.hub)


@pytest.mark.parametrize("error", [UNAVAILABLE, RateLimitedError("later", system="memory")])
def test_a_source_that_is_down_for_a_day_is_tried_again_and_not_switched_off(
    made: Bench, failing: Failing, error: KoppelhubError
) -> None:
    failing(error)
    nights(made, 24, hours=1)
    assert not is_off(made.hub)
    failing(None)
    nights(made, 1)
    assert made.reports[-1].outcome is Outcome.DONE


def test_one_that_stays_away_for_days_is_switched_off(made: Bench, failing: Failing) -> None:
    failing(UNAVAILABLE)
    nights(made, 4)
    assert not is_off(made.hub)  # four nights, though longer than three days
    nights(made, 1)
    assert is_off(made.hub)


def test_one_good_night_begins_the_count_anew(made: Bench, failing: Failing) -> None:
    for _ in range(3):
        failing(BROKEN)
        nights(made, 4)
        failing(None)
        nights(made, 1)
    assert not is_off(made.hub)


def test_our_own_database_says_nothing_of_the_source(made: Bench, failing: Failing) -> None:
    failing(StoreError("the database is full"))
    nights(made, 6)
    assert not is_off(made.hub)


@pytest.mark.parametrize("options", [{"by_hand": True}, {"operator": "jan"}, {"dry": True}])
def test_what_a_person_tries_does_not_count(
    made: Bench, failing: Failing, options: dict[str, Any]
) -> None:
    failing(REFUSED)
    nights(made, 6, **options)
    assert not is_off(made.hub)
    nights(made, 1)
    assert not is_off(made.hub)
    nights(made, 1)
    assert is_off(made.hub)


def test_a_run_by_hand_that_goes_well_switches_on_again(made: Bench, failing: Failing) -> None:
    failing(REFUSED)
    nights(made, 2)
    made.sync(by_hand=True)
    assert is_off(made.hub), "it failed too"
    failing(None)
    made.sync(by_hand=True, operator="jan", kind=Kind.ONLY, only=("l1",))
    assert not is_off(made.hub)
    assert events(made) == ["switched off", "switched on"]


def test_a_record_that_cannot_be_read_does_not_keep_it_off(made: Bench, failing: Failing) -> None:
    failing(REFUSED)
    nights(made, 2)
    failing(None)
    made.sources["s0"].put(Entity.LEERLING, "l2", kapot=True)
    made.sync(by_hand=True)
    assert made.reports[-1].outcome is Outcome.PARTIAL
    assert not is_off(made.hub)


def test_what_a_person_switched_off_stays_off_until_he_says_so(made: Bench) -> None:
    switch_off(made.hub, ["s0"], operator="jan", why="de school gaat weg")
    made.sync(by_hand=True, operator="piet")
    assert made.reports[-1].outcome is Outcome.DONE
    assert is_off(made.hub)


def test_who_switches_off_while_a_run_ends_is_not_overruled(
    made: Bench, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(REFUSED)
    nights(made, 2)
    failing(None)
    known = switches.read_switch

    def overtaken(work: Work, number: int) -> Switch:
        found = known(work, number)
        monkeypatch.setattr(switches, "read_switch", known)
        switch_off(made.hub, ["s0"], operator="jan", why="de school gaat weg")
        return found

    monkeypatch.setattr(switches, "read_switch", overtaken)
    made.sync(by_hand=True, operator="piet")
    assert is_off(made.hub)
    assert events(made) == ["switched off"]


def test_failures_of_before_it_was_switched_on_do_not_count(made: Bench, failing: Failing) -> None:
    failing(REFUSED)
    nights(made, 2)
    switch_on(made.hub, ["s0"], operator="jan", why="wachtwoord vernieuwd")
    nights(made, 1)
    assert not is_off(made.hub)
    nights(made, 1)
    assert is_off(made.hub)


def test_a_run_that_was_killed_may_pass(made: Bench, failing: Failing) -> None:
    failing(REFUSED)
    nights(made, 1)
    made.hub.store.engine.dispose()
    with made.hub.store.work() as work:
        work.execute(
            "INSERT INTO run (koppeling_id, kind, state, operator, options, started_at, counts, "
            "error) VALUES (?, 'full', 'failed', 'system', '{}', ?, '{}', 'stopped from outside')",
            (made.hub.koppeling("s0").id, START + timedelta(hours=30)),
        )
    nights(made, 1)
    assert not is_off(made.hub), "the two that were refused do not follow each other"
