"""What a person asks for and a worker carries out: before all that the clock has queued."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from sync_engine.audit import note
from sync_engine.hub import Hub
from sync_engine.options import Options
from sync_engine.rights import checked_run
from sync_engine.schedule.heartbeat import ProcessKind, processes
from sync_engine.schedule.jobs import Job
from sync_engine.schedule.planner import Dispatcher


@contextmanager
def workers(hub: Hub) -> Iterator[Dispatcher | None]:
    """The queue of workers, where at least one lives; None where whoever asks must do it himself.

    Raises: StoreError.
    """
    if hub.store.path is not None or not _one_lives(hub):
        yield None
        return
    from sync_engine.schedule.workers import Queue  # here: SQLite has none, and need not load it

    with closing(Queue(hub.store)) as queue:
        yield queue


def _one_lives(hub: Hub) -> bool:
    silent = hub.clock.now() - hub.settings.scheduling.stalled_after
    with hub.store.work() as work:
        return any(p.kind is ProcessKind.WORKER and p.at >= silent for p in processes(work))


def ask(
    hub: Hub, queue: Dispatcher, wanted: Sequence[tuple[str, Options]], *, action: str, subject: str
) -> list[Job]:
    """Queue runs by hand, and put in the audit trail who asked; none where one may not be queued.

    Args:
        hub: of the koppelingen; its actor asks.
        queue: of the workers.
        wanted: name of a koppeling, and what it is asked.
        action: the command.
        subject: what it is about, by its hub key or number.

    Raises: NoRightError; ConfigurationError if one may not be queued; StoreError.
    """
    for name, options in wanted:
        checked_run(hub, name, options)
    jobs = [Job.by_hand_of(hub.source(name).name, options) for name, options in wanted]
    with hub.store.work() as work:
        note(hub, work, operator=hub.actor.name, action=action, subject=subject)
    for job in jobs:
        queue.hand_out(job)
    return jobs
