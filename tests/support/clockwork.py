"""The clock of a bench: koppelingen with schedules, a dispatcher that tests work off by hand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from config.duration import parse_schedule
from sync_engine.deadline import Stop, never
from sync_engine.hub import Hub
from sync_engine.schedule.jobs import Task, attempt
from sync_engine.schedule.planner import Planner
from sync_engine.schedule.state import Key
from tests.support.hubs import Bench


@dataclass
class Hands:
    """A dispatcher that keeps what it is handed until `work` carries it out, here and now."""

    held: list[Task] = field(default_factory=list)

    def under_way(self) -> Collection[Key]:
        return [task.key for task in self.held]

    def hand_out(self, task: Task) -> None:
        if task.key not in self.under_way():
            self.held.append(task)

    def work(self, hub: Hub, *, stop: Stop = never) -> list[Key]:
        """Carry out everything; what that was."""
        done = []
        while self.held:
            task = self.held[0]
            try:
                attempt(hub, task, stop=stop)
            finally:
                self.held.remove(task)
            done.append(task.key)
        return done


@dataclass(repr=False)
class Clockwork:
    """A planner over a bench.

    Attributes:
        hands: of workers.
        light: of the process that plans.
    """

    bench: Bench
    hands: Hands = field(default_factory=Hands)
    light: Hands = field(default_factory=Hands)
    planner: Planner | None = None

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process: nothing is in its hands, and it remembers nothing."""
        self.hands, self.light = Hands(), Hands()
        self.planner = Planner(self.bench.hub, self.hands, light=self.light)

    def tick(self, **later: float) -> list[Key]:
        """Let time go by, and look what is due; duties are left out of the answer."""
        self.bench.clock.advance(timedelta(**later))
        assert self.planner is not None
        return [key for key in self.planner.tick() if key.koppeling]

    def work(self, *, stop: Stop = never) -> list[Key]:
        """Carry out what was handed out."""
        return [key for key in self.hands.work(self.bench.hub, stop=stop) if key.koppeling]

    def runs(self) -> list[tuple[str, str]]:
        """(kind, state) of every run, oldest first."""
        return [(r[0], r[1]) for r in self.bench.query("SELECT kind, state FROM run ORDER BY id")]

    def state(self, name: str = "s0", kind: str = "full") -> dict[str, Any]:
        """The row of one kind of run."""
        columns = "tries, retry_at, waits_for, outcome, error, due_at = settled_due"
        (row,) = self.bench.query(
            f"SELECT {columns} FROM schedule_state s JOIN koppeling k ON k.id = s.koppeling_id "
            "WHERE k.name = ? AND s.kind = ?",
            *(name, kind),
        )
        names = ("tries", "retry_at", "waits_for", "outcome", "error", "settled")
        return dict(zip(names, row, strict=True))


def scheduled(bench: Bench, *, scheduling: dict[str, Any] | None = None, **more: Any) -> Clockwork:
    """Give every koppeling of a bench the same schedules and start its clock.

    Args:
        bench: of the koppelingen.
        scheduling: laid over `[scheduling]`, which has no jitter here.
        more: of each source: `schedule`, `delta_schedule`, `blackout`.
    """
    texts = {k: parse_schedule(v) if isinstance(v, str) else v for k, v in more.items()}
    sources = tuple(s.model_copy(update=texts) for s in bench.hub.settings.source)
    clock = {"jitter": timedelta(), **(scheduling or {})}
    settings = bench.hub.settings.model_copy(
        update={
            "source": sources,
            "scheduling": bench.hub.settings.scheduling.model_copy(update=clock),
        }
    )
    bench.hub = replace(bench.hub, settings=settings)
    return Clockwork(bench)
