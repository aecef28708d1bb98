"""Obtaining ECK iDs converges: whatever happens on the way, everybody ends with his own."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.eckid.obtaining import is_too_old
from connectors.errors import ConnectorError
from connectors.stores import Pupil
from tests.support.eckid import (
    SCOPE,
    VESTIGING,
    Fuse,
    Killed,
    Koppeling,
    bsn,
    lost,
    pupil,
    records_of,
    without_pgn,
)

MOST = 14


@dataclass(frozen=True)
class Step:
    """Something that happens: `what`, to whom or how much, and how it goes wrong."""

    what: str
    who: int = 0
    amount: int = 0
    fault: str = ""
    after: bool = False


happenings = st.one_of(
    st.builds(
        Step,
        st.sampled_from(["run", "other run", "look up"]),
        who=st.integers(1, MOST),
        amount=st.integers(0, 60),
        fault=st.sampled_from(["", "", "killed", "lost", "stopped"]),
        after=st.booleans(),
    ),
    st.builds(
        Step,
        st.sampled_from(["change", "back", "replace", "leave", "lose number", "refuse", "admit"]),
        who=st.integers(1, MOST),
    ),
    st.builds(
        Step,
        st.sampled_from(["arrive", "ready after", "daily", "minutes", "hours"]),
        amount=st.integers(0, 30),
    ),
)


class World:
    """A school, its koppeling and another one, and what excuses a second hash."""

    def __init__(self, first: int) -> None:
        self.one = Koppeling()
        self.two = self.one.beside("eckid-zuid")
        self.serials = count(1000)
        self.former: dict[int, Pupil] = {}
        self.excuses = 0
        self.replaced: Counter[str] = Counter()
        self.arrive(first)

    @property
    def pupils(self) -> dict[int, Pupil]:
        return self.one.people.pupils_of.setdefault(VESTIGING, {})

    def arrive(self, amount: int) -> None:
        for number in range(1, MOST + 1):
            if amount and number not in self.pupils:
                self.one.people.put(pupil(number))
                amount -= 1

    def take(self, step: Step) -> None:
        facility = self.one.facility
        known = self.pupils.get(step.who)
        match step.what:
            case "run" | "other run" | "look up":
                self.run(step)
            case "arrive":
                self.arrive(step.amount)
            case "ready after":
                facility.ready_after = step.amount
            case "daily":
                facility.daily = step.amount % 4
            case "minutes":
                self.one.clock.advance(timedelta(minutes=step.amount))
            case "hours":
                self.one.clock.advance(timedelta(hours=step.amount))
            case "refuse" if known and known.pgn:
                facility.refusing.add(self.one.hasher.of(known.pgn))
            case "admit":
                facility.refusing.clear()
            case "change" if known:
                self.former.setdefault(step.who, known)
                self.one.people.put(pupil(step.who, bsn(next(self.serials))))
            case "back" if step.who in self.former:
                self.one.people.put(self.former.pop(step.who))
            case "replace" if known and step.who in self.former:
                self.replace(known)
            case "leave" if known:
                self.one.people.put(pupil(step.who, known.pgn, until=date(2026, 11, 1)))
            case "lose number" if known:
                self.one.people.put(without_pgn(step.who))

    def replace(self, known: Pupil) -> None:
        former = self.former[known.number].pgn
        if former is None:
            return
        hashed = self.one.hasher.hashed.copy()
        with suppress(ConnectorError):
            self.one.connect().renumber(known, former=former)
            del self.former[known.number]
        self.replaced += self.one.hasher.hashed - hashed

    def run(self, step: Step) -> None:
        koppeling = self.two if step.what == "other run" else self.one
        beside = self.one if koppeling is self.two else self.two
        self.excuses += any(is_too_old(b, beside.clock.now()) for b in beside.batches.waiting())
        error = Killed() if step.fault == "killed" else lost()
        broken = step.fault in {"killed", "lost"}
        fuse = Fuse(step.amount, after=step.after, error=error) if broken else None
        connector = koppeling.connect(fuse)
        reading = connector.snapshot(SCOPE)
        if step.what == "look up":
            reading = connector.lookup(SCOPE, keys=[f"K-{step.who}"])
        seen = 0
        with suppress(Killed, ConnectorError):
            for _ in reading:
                seen += 1
                if step.fault == "stopped" and seen > step.amount:
                    self.excuses += 1  # what the pool had in hand
                    break
        if fuse is not None and fuse.what:
            self.excuses += 1

    def again(self) -> int:
        """How often a number may have been hashed once more."""
        every = [*self.one.batches.closed, *self.two.batches.closed]
        return self.excuses + sum(outcome != "done" for _, outcome, _ in every)


@given(
    st.integers(0, MOST),
    st.lists(happenings, max_size=12),
)
@settings(max_examples=60)
def test_everybody_ends_with_the_pseudonym_of_the_facility(first: int, steps: list[Step]) -> None:
    world = World(first)
    for step in steps:
        world.take(step)
    facility, koppeling = world.one.facility, world.one
    facility.refusing.clear()
    facility.ready_after, facility.daily = 0, 1000
    for _ in range(6):
        koppeling.clock.advance(timedelta(hours=8))
        world.take(Step("other run"))
        found = records_of(reading := koppeling.connect().snapshot(SCOPE))
    assert reading.completeness.complete, reading.completeness
    obtained = koppeling.obtained()
    for number, now in world.pupils.items():
        record = found.get(now.key, {})
        if now.pgn is not None and "vraag" not in record and now.until is None:
            assert record["eck_id"] == obtained[number] == koppeling.eck_of(now.pgn)
        if record.get("vraag") == "pgn":
            assert now.pgn is not None
            assert koppeling.eck_of(now.pgn) != obtained.get(number)
    asked = koppeling.hasher.hashed - world.replaced
    mostly = 1 + world.again() + (2 if any(step.what == "refuse" for step in steps) else 0)
    assert max(asked.values(), default=0) <= mostly
