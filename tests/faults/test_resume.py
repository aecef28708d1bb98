"""A run that was cut off goes on where it was: nothing is mapped twice, nothing is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from config.clock import Clock, FixedClock
from config.sources import Source
from connectors.base import Connector, Page, Reading, Scope
from sync_engine import runs
from sync_engine.outcome import Outcome
from sync_engine.runs import Options
from tests.faults.arena import Arena, differences
from tests.faults.ledger import Ledger, check_nothing_is_held, core_ledger, net_journal
from tests.faults.processes import KILLED
from tests.faults.school import School, open_hub
from tests.support.memory import MemoryConnector, MemoryReading, MemorySource

BATCHED = School(100, 0)
SMALL = School(40, 1)


def test_a_killed_run_resumes_at_its_last_checkpoint(arena: Arena) -> None:
    """What was received is not mapped again, what was not is, and all of it is planned."""
    arena.live_until(BATCHED)
    wanted = arena.server.run(arena.job("las", BATCHED, trace=True, batch=25))
    full = arena.full()
    assert wanted.parsed == wanted.read > 400
    stage = "before received: INSERT_NEW shadow"
    places = [(stage, n) for n in range(1, wanted.boundaries[stage] + 1)]
    half = next(place for place in places if 0 < _killed(arena, place)["leerling"] < BATCHED.pupils)
    for place in (half, places[-1], ("before apply: COMMIT", 1)):
        received = sum(_killed(arena, place).values())
        assert 25 < received <= wanted.parsed
        again = arena.run("las", BATCHED)
        assert again.parsed == wanted.parsed - received, place
        assert again.steps == wanted.steps, place
        assert not differences(arena.full(), full), place


def _killed(arena: Arena, place: tuple[str, int]) -> Counter[str]:
    """Start anew and die there: what was received by then, and nothing of it in the core."""
    arena.database.restore()
    arena.server.start(arena.job("las", BATCHED, kill=place, batch=25))
    assert arena.server.wait() == KILLED, place
    with arena.hub() as hub:
        check_nothing_is_held(hub, "las")
        assert hub.count("leerling") == 0
        with hub.store.work() as work:
            return Counter(row[0] for row in work.execute("SELECT entity FROM shadow"))


class _SlowReading(MemoryReading):
    """A minute a page."""

    clock: FixedClock

    def __iter__(self) -> Iterator[Page]:
        for page in super().__iter__():
            self.clock.advance(timedelta(minutes=1))
            yield page


class _SlowConnector(MemoryConnector):
    """Every page of its source takes a minute."""

    def __init__(self, source: MemorySource, clock: Clock) -> None:
        super().__init__(source)
        assert isinstance(clock, FixedClock)
        self.clock = clock

    def snapshot(self, scope: Scope) -> Reading:
        here = self.source.records.get((scope.resource, scope.key), {})
        reading = _SlowReading(self.source, scope, sorted(here.items()))
        reading.clock = self.clock
        return reading


@pytest.mark.parametrize("minutes", [1, 4])
def test_a_run_ends_cleanly_at_its_time_limit(arena: Arena, minutes: int) -> None:
    """What was read in time is applied, nobody is closed, and the next run does the rest."""
    school = School(SMALL.pupils, 2)
    arena.live_until(school)
    arena.run("las", school)
    wanted = _told_together(arena, school.day)
    arena.database.restore()

    def connect(source: Source, clock: Clock) -> Connector:
        return _SlowConnector(school.source(source.name), clock)

    hub = open_hub(arena.folder, arena.database.url, day=school.day, connect=connect)
    try:
        report = runs.run(hub, "las", Options(time_limit=timedelta(minutes=minutes)))
        check_nothing_is_held(hub, "las")
    finally:
        hub.close()
    assert report.outcome in {Outcome.PARTIAL, Outcome.HELD}
    assert len(report.readings) == minutes
    assert "time" in report.readings[-1].reason
    assert "niets afgesloten" in report.readings[-1].advice
    assert differences(_told_together(arena, school.day), wanted)
    arena.run("las", school)
    assert not differences(_told_together(arena, school.day), wanted)


def _told_together(arena: Arena, day: int) -> Ledger:
    """The core; of the journal what all runs together did: two runs take more steps than one."""
    with arena.hub(day) as hub:
        return core_ledger(hub) | {"journal": net_journal(hub)}
