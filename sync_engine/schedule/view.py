"""What the clock has done, does and will do, of what the actor may see; for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from config.clock import zone
from sync_engine.admission import standing
from sync_engine.hub import Hub
from sync_engine.schedule.heartbeat import processes
from sync_engine.schedule.planner import Entry, entries, upcoming
from sync_engine.schedule.state import State, read_states
from sync_engine.store.dialect import Dialect
from sync_engine.store.work import Work


class Stand(StrEnum):
    """Where what has a schedule stands."""

    PLANNED = "planned"  # it waits for its next due time
    WAITS = "waits"  # it is due, and may not begin or is tried again later
    QUEUED = "queued"  # it is due, and waits for a worker
    RUNNING = "running"
    FAILED = "failed"  # what was due last went wrong; it waits for its next due time


@dataclass(frozen=True, slots=True)
class JobView:
    """One kind of run of a koppeling, or a duty, whose koppeling is empty.

    Attributes:
        next_due: the next time of its schedule; `local` is the same by the clock on the wall.
        due_at: since when it is due, where it is not over.
        waits_for: why it does not begin; `until` is when that is asked again.
        outcome: how the last one ended.
    """

    koppeling: str
    kind: str
    schedule: str
    next_due: datetime
    local: str
    stand: Stand
    due_at: datetime | None = None
    waits_for: str = ""
    until: datetime | None = None
    tries: int = 0
    outcome: str = ""
    ended_at: datetime | None = None
    error: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class AskedView:
    """What a person asked for, in the queue of the workers."""

    koppeling: str
    kind: str
    operator: str
    stand: Stand


@dataclass(frozen=True, slots=True)
class ProcessView:
    """A process that serves or works.

    Attributes:
        alive: it said so lately.
    """

    kind: str
    label: str
    started_at: datetime
    at: datetime
    version: str
    alive: bool


@dataclass(slots=True)
class Clock:
    """Everything of the clock."""

    jobs: list[JobView] = field(default_factory=list)
    asked: list[AskedView] = field(default_factory=list)
    processes: list[ProcessView] = field(default_factory=list)


def clock(hub: Hub, *, only: str | None = None) -> Clock:
    """How the clock stands.

    Args:
        hub: of the koppelingen.
        only: one koppeling, without the duties; None for all.

    Raises: ConfigurationError if there is no such koppeling; StoreError.
    """
    names = {source.name for source in hub.sources()} if only is None else {hub.source(only).name}
    now, coming = hub.clock.now(), upcoming(hub)
    stands = {name: gate.reason for name, gate in standing(hub, hub.sources()).items()}
    here = zone(hub.settings.timezone)
    with hub.store.work() as work:
        states, running = read_states(work), _running(work)
        lives = now - hub.settings.scheduling.stalled_after
        found = Clock(
            asked=[one for one in _asked(work) if one.koppeling in names],
            processes=[
                ProcessView(
                    str(p.kind), p.label, p.started_at, p.at, p.version, alive=p.at >= lives
                )
                for p in processes(work)
            ],
        )
    for entry in entries(hub):
        if entry.key.koppeling in names or (only is None and not entry.key.koppeling):
            state = states.get(entry.place, State(now, now))
            due = coming[entry.key]
            waits = state.waits_for or stands.get(entry.key.koppeling, "")
            stand = _stand(state, now, runs=entry.place in running, waits=bool(waits))
            found.jobs.append(
                _job(entry, state, due, stand, waits=waits, local=due.astimezone(here))
            )
    return found


def _stand(state: State, now: datetime, *, runs: bool, waits: bool) -> Stand:
    if runs:
        return Stand.RUNNING
    if not state.is_open:
        return Stand.FAILED if state.outcome == "failed" else Stand.PLANNED
    return Stand.WAITS if waits or (state.retry_at or now) > now else Stand.QUEUED


def _job(
    entry: Entry, state: State, due: datetime, stand: Stand, *, waits: str, local: datetime
) -> JobView:
    is_open = state.is_open
    return JobView(
        koppeling=entry.key.koppeling,
        kind=entry.key.kind,
        schedule=str(entry.schedule),
        next_due=due,
        local=f"{local:%Y-%m-%d %H:%M}",
        stand=stand,
        due_at=state.due_at if is_open else None,
        waits_for=waits if is_open else "",
        until=state.retry_at if is_open else None,
        tries=state.tries,
        outcome=state.outcome,
        ended_at=state.ended_at,
        error=state.error,
        advice=state.advice,
    )


def _running(work: Work) -> set[tuple[int, str]]:
    """(koppeling id, kind) of the runs under way."""
    rows = work.execute("SELECT koppeling_id, kind FROM run WHERE state = 'running'")
    return {(number, kind) for number, kind in rows}


def _asked(work: Work) -> Iterator[AskedView]:
    """What persons asked for and is not over, or never was a run; SQLite has no queue."""
    if work.dialect is Dialect.SQLITE or work.execute(
        "SELECT to_regclass('procrastinate.procrastinate_jobs') IS NULL"
    ) == [(True,)]:
        return
    for status, argument in work.execute(
        "SELECT CAST(status AS text), CAST(args -> 'job' AS text) "
        "FROM procrastinate.procrastinate_jobs "
        "WHERE status IN ('todo', 'doing', 'failed') AND queueing_lock IS NULL ORDER BY id"
    ):
        job = msgspec.json.decode(argument, type=_Job)
        yield AskedView(job.koppeling, job.kind, job.operator, _ASKED[status])


_ASKED: Final = {"todo": Stand.QUEUED, "doing": Stand.RUNNING, "failed": Stand.FAILED}


class _Job(msgspec.Struct):
    """What is shown of a job in the queue."""

    koppeling: str
    kind: str
    operator: str
