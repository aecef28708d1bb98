"""What the hub does by itself, at its own times: a small table.

Whoever adds one writes a row: its name, when, and a function of the hub that may be called twice,
for a duty of which the process is killed is carried out again. What must not wait for a worker, or
tells that none is there, is `light`: the process that plans does it itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from config.duration import Schedule, parse_schedule
from config.errors import ConfigurationError
from sync_engine.hub import Hub

_log = logging.getLogger(__name__)
_KEPT_JOBS: Final = timedelta(days=30)
"""How long jobs are kept that no worker could carry out."""


@dataclass(frozen=True, slots=True)
class Duty:
    """One duty.

    Attributes:
        name: as `koppelhub jobs` calls it.
        schedule: when, in the time zone of the settings; blackouts are not for it.
        carry_out: does it.
        light: takes no time, and is done by the process that plans.
        needed: whether an installation has it at all; asks no system.
    """

    name: str
    schedule: Schedule
    carry_out: Callable[[Hub], None]
    light: bool = False
    needed: Callable[[Hub], bool] = lambda hub: True


def _purge(hub: Hub) -> None:
    from sync_engine.purge import purge  # here: what only plans need not load it

    for report in purge(hub, operator=hub.actor.name):
        if not report.is_empty:
            _log.info("purged %s records", sum(report.records.values()))


def _forget_answers(hub: Hub) -> None:
    from sync_engine.batches import forget_answers

    if count := forget_answers(hub.store, now=hub.clock.now()):
        _log.warning("%s batches were closed that nobody read in time", count)


def _forget_processes(hub: Hub) -> None:
    from sync_engine.schedule.heartbeat import forget_dead

    forget_dead(hub.store, now=hub.clock.now())


def _alerts(hub: Hub) -> None:
    from sync_engine.alerts.watch import watch_and_tell

    watch_and_tell(hub)


def _reports(hub: Hub) -> None:
    from sync_engine.alerts.post import post_reports

    if count := post_reports(hub):
        _log.info("weekly reports of %s schools were written", count)


def _delivers(hub: Hub) -> bool:
    from sync_engine.outbox.targets import may_deliver

    return any(may_deliver(hub, source) for source in hub.settings.source)


def _deliver(hub: Hub) -> None:
    from sync_engine.outbox.delivering import deliver_all

    for found in deliver_all(hub):
        if found.confirmed or found.refused:
            _log.info(
                "%s: %s messages confirmed, %s refused",
                found.koppeling,
                found.confirmed,
                found.refused,
            )


def _forget_jobs(hub: Hub) -> None:
    if hub.store.path is None:
        from sync_engine.schedule.workers import Queue

        with closing(Queue(hub.store)) as queue:
            queue.forget(older_than=_KEPT_JOBS)


DUTIES: Final[tuple[Duty, ...]] = (
    Duty("purge", parse_schedule("15 5 * * *"), _purge),
    Duty("queue", parse_schedule("45 5 * * *"), _forget_jobs),
    Duty("outbox", parse_schedule("every 2m"), _deliver, needed=_delivers),
    Duty("processes", parse_schedule("every 1h"), _forget_processes, light=True),
    Duty("answers", parse_schedule("every 15m"), _forget_answers, light=True),
    Duty("alerts", parse_schedule("every 2m"), _alerts, light=True),
    Duty("reports", parse_schedule("every 15m"), _reports, light=True),
)


def duty_of(name: str) -> Duty:
    """The duty of that name.

    Raises: ConfigurationError if this release has none.
    """
    for duty in DUTIES:
        if duty.name == name:
            return duty
    message = f"this release has no duty {name!r}"
    raise ConfigurationError(message, advice="Draai overal dezelfde versie van Koppelhub.")
