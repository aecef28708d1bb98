"""Whatever happens on the way, a target ends with exactly what the mapping says of the core.

Changes, runs, undoing, faults of the target, answers that never come and a process that dies at any
statement; then everything is well again, what waits for a person is approved, and the target holds
what the pure mapping of the core says: no more, no less, and nothing was done twice.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.clock import FixedClock
from config.errors import KoppelhubError
from fixtures.sandbox.faults import LostAnswer, RateLimited, Reset, ServerError
from fixtures.sandbox.reference_intake import Refusal
from sync_engine.outbox import messages
from sync_engine.outbox.delivering import deliver
from tests.property.stores import DoomedStore, Killed, on_sqlite
from tests.support.outbox import OutboxBench, outbox_bench

START = datetime(2026, 10, 5, 6, 0, tzinfo=UTC)
KEYS = ("l1", "l2", "l3")
FAULTS = (LostAnswer(), Reset(), ServerError(), RateLimited(retry_after=60))

Step: TypeAlias = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("put", "put", "remove", "sync", "sync", "deliver", "deliver", "fault"),
                *("killed", "silent", "later", "refuse", "undo", "process", "decide"),
            )
        ),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    min_size=4,
    max_size=14,
)


class Story:
    """One school that is read and delivered, and what befalls it."""

    def __init__(self, bench: OutboxBench) -> None:
        self.bench = bench
        self.runs: list[int] = []

    def step(self, name: str, key: int, number: int) -> None:
        """One thing happens."""
        bench, source_key = self.bench, KEYS[key]
        match name:
            case "put":
                bench.pupil(source_key, roepnaam=f"Naam{number}")
            case "remove":
                with suppress(KeyError):
                    bench.bron.reference.remove("leerling", source_key)
            case "sync":
                self.runs.append(bench.sync().run_id)
            case "deliver":
                bench.deliver(by_hand=number == 0)
            case "fault":
                bench.afnemer.misbehave(FAULTS[number])
            case "killed":
                self.killed(statements=7 + 9 * key + 4 * number)
            case "silent":
                bench.intake.silent = 0 if number else 1
            case "later":
                bench.later(hours=7 * number, minutes=3)
            case "refuse":
                self.refuse(source_key, refused=number < 2)
            case "undo":
                self.undo()
            case "process":
                bench.intake.answers_later = number < 2
                bench.intake.process()
            case _:
                self.decide(approves=number < 2)

    def killed(self, *, statements: int) -> None:
        """The process that delivers dies at a statement."""
        target = self.bench.target
        doomed = DoomedStore(self.bench.hub.store, statements)
        with suppress(Killed):
            deliver(replace(self.bench.hub, store=doomed), target)  # type: ignore[arg-type] # a store

    def refuse(self, source_key: str, *, refused: bool) -> None:
        """The target refuses what comes of one pupil, or takes it again."""
        with suppress(ValueError):  # nobody knows him yet
            refusal = Refusal("verplicht", "vestiging", "ontbreekt") if refused else None
            self.bench.intake.refuse(self.bench.key(source_key), refusal)

    def undo(self) -> None:
        """A person turns the last run round."""
        if self.runs:
            with suppress(AssertionError):  # it changed nothing
                self.bench.undo(self.runs.pop())

    def decide(self, *, approves: bool) -> None:
        """A person decides on all that asks."""
        hub = self.bench.hub
        for (number,) in self.bench.query("SELECT id FROM outbox WHERE state = 'asks'"):
            with suppress(KoppelhubError):
                if approves:
                    messages.approve(
                        hub, messages.view(hub, number, operator="anna"), operator="anna"
                    )
                else:
                    messages.refuse(hub, number, why="blijft zo", operator="anna")

    def heal(self) -> None:
        """Everything is well, and everybody says yes."""
        bench = self.bench
        bench.intake.silent, bench.intake.answers_later = 0, False
        bench.afnemer.behave()
        for key in KEYS:
            self.refuse(key, refused=False)
        bench.sync()
        for _ in range(8):
            bench.later(hours=2)
            bench.intake.process()
            self.decide(approves=True)
            for number in self.refused():
                with suppress(KoppelhubError):
                    messages.again(bench.hub, number, operator="anna")
            if bench.deliver().left == 0 and not self.refused():
                return

    def refused(self) -> list[int]:
        """What the target or a person refused."""
        rows = self.bench.query(
            "SELECT id FROM outbox WHERE state IN ('undeliverable', 'declined')"
        )
        return [number for (number,) in rows]


@settings(max_examples=6, suppress_health_check=list(HealthCheck), deadline=None)
@given(steps=STEPS)
def test_a_target_ends_with_what_the_mapping_says(
    steps: list[Step], request: pytest.FixtureRequest
) -> None:
    template = request.getfixturevalue("_sqlite_template")
    with (
        TemporaryDirectory() as folder,
        on_sqlite(template) as store,
        outbox_bench(store, Path(folder) / "hub", clock=FixedClock(START)) as bench,
    ):
        story = Story(bench)
        bench.pupil("l1", roepnaam="Anna")
        for name, key, number in steps:
            story.step(name, key, number)
        story.heal()
        assert bench.intake.bodies == bench.wanted()
        effects = bench.intake.effects
        assert len(effects) == len(set(effects))
        assert bench.deliver().left == 0
        assert bench.cases() == []
        ((open_messages,),) = bench.query(
            "SELECT COUNT(*) FROM outbox WHERE state NOT IN ('confirmed', 'withdrawn')"
        )
        assert open_messages == 0
