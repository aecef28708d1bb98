"""Killed at any instant, a run leaves the state before or after, and the next one ends it.

What is killed is a process group with its own connection, by SIGKILL: at every boundary that a run
has, and at random instants. After each: the database is sound, the core is as before or as after
the run, the locks are free; a fresh process brings it to where an undisturbed run would have, and
another one changes nothing.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.faults.arena import Arena, differences
from tests.faults.child import Result
from tests.faults.ledger import (
    Ledger,
    Table,
    check_invariants,
    check_nothing_is_held,
    core_ledger,
    traces,
)
from tests.faults.processes import KILLED
from tests.faults.school import School

pytestmark = pytest.mark.timeout(900)  # hundreds of processes; more than is usual for one test

PUPILS = 40
FIRST_LOAD = School(PUPILS, 0)
LATER_DAY = School(PUPILS, 2)
"""Arrivals, confirmed leavers, a merge behind it, a late reference, a part that a guard holds."""


@dataclass
class Undisturbed:
    """What a run that nobody kills comes to.

    Attributes:
        again: what a second run says.
    """

    before: Ledger
    after: Ledger
    full: Ledger
    result: Result
    again: Result
    seconds: float


@dataclass
class Judge:
    """Looks at what a kill left behind.

    Attributes:
        known: states that were looked at, and which side of the run they are.
        sides: the boundary of each kill, and which side of the run it left.
    """

    arena: Arena
    school: School
    wanted: Undisturbed
    kind: str = "full"
    known: list[tuple[dict[str, Table], str]] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    sides: dict[tuple[str, int], str] = field(default_factory=dict)

    def judge(self, place: tuple[str, int]) -> None:
        """Look at what a kill left, and end the day; to any later run equal states are one."""
        with self.arena.hub(self.school.day) as hub:
            check_nothing_is_held(hub, "las")
            left = traces(hub)
        for known, side in self.known:
            if known == left:
                self.sides[place] = side
                return
        self.sides[place] = self.look(str(place))
        self.known.append((left, self.sides[place]))
        self.finish(str(place))

    def check_one_instant(self) -> None:
        """There is one COMMIT at which the core changes: before it all is old, after it all new."""
        order = self.wanted.result.order
        reached: Counter[str] = Counter()
        told: list[tuple[str, str]] = []
        for name in order:
            reached[name] += 1
            side = self.sides.get((name, reached[name]))
            told += [] if side is None else [(name, side)]
        assert len(told) == len(self.sides)
        first = next(place for place, (_, side) in enumerate(told) if side == "after")
        assert {side for _, side in told[:first]} == {"before"}
        assert {side for _, side in told[first:]} == {"after"}
        assert told[first][0].startswith("after ")
        assert told[first][0].endswith(": COMMIT")

    def look(self, place: str) -> str:
        """The state after a kill: sound, and whole; `before` or `after` the run."""
        with self.arena.hub(self.school.day) as hub:
            check_nothing_is_held(hub, "las")
            check_invariants(hub)
            core = core_ledger(hub)
        before = differences(core, self.wanted.before)
        after = differences(core, self.wanted.after)
        assert not before or not after, f"{place}: half: {before}, {after}"
        side = "before" if not before else "after"
        self.found[side] += 1
        return side

    def finish(self, place: str) -> None:
        """A fresh process ends the day; another one, after every fifth, changes nothing."""
        self.found["finished"] += 1
        result = self.arena.run("las", self.school, kind=self.kind)
        assert (result.exit_code, result.error) == (self.wanted.result.exit_code, ""), place
        assert not differences(self.arena.full(), self.wanted.full), place
        if self.found["finished"] % 5 != 1:
            return
        again = self.arena.run("las", self.school, kind=self.kind)
        assert (again.exit_code, again.steps, again.parsed) == (
            self.wanted.again.exit_code,
            self.wanted.again.steps,
            0,
        ), place
        assert not differences(self.arena.full(), self.wanted.full), place


def undisturbed(arena: Arena, school: School, *, kind: str = "full") -> Undisturbed:
    """Run the day as it should go, and put the database back."""
    arena.live_until(school, kind=kind)
    before = arena.core()
    result = arena.server.run(arena.job("las", school, kind=kind, trace=True))
    assert result.outcome in {"done", "held"}
    after, full = arena.core(), arena.full()
    assert differences(before, after)
    again = arena.run("las", school, kind=kind)
    assert not differences(arena.full(), full)
    arena.database.restore()
    since = time.monotonic()
    arena.run("las", school, kind=kind)
    seconds = time.monotonic() - since
    arena.database.restore()
    return Undisturbed(before, after, full, result, again, seconds)


def _places(boundaries: dict[str, int], chosen: str, *, step: int) -> list[tuple[str, int]]:
    """Where to kill: each boundary once, and after every so many of the commits of each step.

    `writes` leaves out what only reads or writes temporary tables: it changes nothing. `reading`
    is of those what comes before a plan is made: the shadows and the cursor.
    """
    commits = [
        (name, occurrence)
        for name, times in boundaries.items()
        if name.startswith("after ") and name.endswith(": COMMIT")
        for occurrence in range(1, times + 1, step)
    ]
    writing = re.compile(
        r".*: (BEGIN|COMMIT|(INSERT|UPDATE|DELETE|LOAD) (?!temporary)[a-z_ >A-Z]+)$"
    )
    if chosen == "reading":
        boundaries = {
            name: 1 for name in boundaries if re.match(r"before (stage|received|scopes):", name)
        }
    return commits + [
        (name, 1)
        for name in boundaries
        if chosen == "all" or (name.startswith("before ") and writing.match(name))
    ]


@pytest.mark.parametrize(
    ("school", "kind", "chosen"),
    [
        pytest.param(LATER_DAY, "full", "writes", id="later day"),
        pytest.param(LATER_DAY, "delta", "reading", id="delta"),
        pytest.param(FIRST_LOAD, "full", "all", id="first load, all", marks=pytest.mark.long),
        pytest.param(LATER_DAY, "full", "all", id="later day, all", marks=pytest.mark.long),
        pytest.param(LATER_DAY, "delta", "all", id="delta, all", marks=pytest.mark.long),
    ],
)
def test_a_run_killed_at_any_boundary_leaves_before_or_after(
    arena: Arena, school: School, kind: str, chosen: str
) -> None:
    wanted = undisturbed(arena, school, kind=kind)
    judge = Judge(arena, school, wanted, kind)
    places = _places(wanted.result.boundaries, chosen, step=1 if chosen == "all" else 3)
    for place in places:
        arena.database.restore()
        arena.server.start(arena.job("las", school, kind=kind, kill=place))
        assert arena.server.wait() == KILLED, place
        judge.judge(place)
    figures = f"{len(places)} boundaries, {len(judge.known)} states, {dict(judge.found)}"
    print(f"\n{school}, {kind}: {figures}")  # noqa: T201
    assert judge.found["before"] >= 10
    judge.check_one_instant()


@pytest.mark.parametrize(
    "kills", [25, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
@pytest.mark.parametrize("school", [FIRST_LOAD, LATER_DAY], ids=["first load", "later day"])
def test_a_run_killed_at_random_instants_leaves_before_or_after(
    arena: Arena, school: School, kills: int
) -> None:
    wanted = undisturbed(arena, school)
    judge = Judge(arena, school, wanted)
    chance = random.Random(kills)  # noqa: S311 -- instants, no secrets
    done = 0
    while done < kills:
        place = f"kill {done}"
        arena.server.start(arena.job("las", school))
        killed = arena.server.wait_or_kill(chance.uniform(0, 1.15 * wanted.seconds)) == KILLED
        judge.look(place)
        done += killed
        if killed and chance.random() < 0.6:
            continue  # and killed again, before anything was mended
        judge.finish(place)
        arena.database.restore()
    print(f"\n{school}: {kills} kills in a run of {wanted.seconds:.3f} s: {dict(judge.found)}")  # noqa: T201
    assert judge.found["before"]
