"""What is carried out: a run of a koppeling or a duty, once, by whatever executor.

`perform` does the run. `attempt` is what every executor calls: it keeps the state, and says when to
try again what failed for now or may not begin yet.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, TypeAlias

from config.errors import ConfigurationError, KoppelhubError
from config.logs import bound
from sync_engine.admission import Postponed, admitted, time_left
from sync_engine.deadline import Stop, never
from sync_engine.errors import AlreadyDoneError, RunActiveError
from sync_engine.hub import Hub
from sync_engine.options import Kind, Options
from sync_engine.outcome import ExitCode, Outcome, RunReport
from sync_engine.rights import as_asked
from sync_engine.runs import run
from sync_engine.schedule import state
from sync_engine.schedule.duties import Duty, duty_of
from sync_engine.schedule.state import OF_THE_HUB, Key, Place
from sync_engine.store.work import Work

_log = logging.getLogger(__name__)

BY_HAND: Final = "hand"
"""The kind of key of what a person asked for."""
DELAYS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60))
"""After each failure that may pass by itself; after the last one it waits for its next due time."""
_TRIES_BY_HAND: Final = 2
"""What a person asked for goes before the night's work, and may not hold it up for long."""
BUSY: Final = timedelta(minutes=1)
"""Until a koppeling is tried again of which another run is under way."""
NOBODY_ACTS: Final = timedelta(minutes=5)
"""Until is asked again what waits for a person."""


_QUEUED: Final = frozenset({Kind.FULL, Kind.DELTA, Kind.ONLY})


class Priority(IntEnum):
    """What goes first; a delta before a reading of everything, a person before all."""

    FULL = 0
    DELTA = 10
    DUTY = 20
    BY_HAND = 100


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a koppeling, as a queue keeps it: no personal data, ids of the hub only.

    Attributes:
        brins: BRINs or vestigingsnummers; empty for all scopes.
        pupils: core ids of leerlingen to look up.
        groups: core ids of groepen to look up.
        by_hand: a person asked for it; he is the operator.
        plan_only: nothing is applied: he wants to see first what it would do.
    """

    koppeling: str
    kind: Kind = Kind.FULL
    resources: tuple[str, ...] = ()
    brins: tuple[str, ...] = ()
    pupils: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    by_hand: bool = False
    operator: str = "system"
    plan_only: bool = False

    @property
    def key(self) -> Key:
        """What it is a run of."""
        return Key(self.koppeling, BY_HAND if self.by_hand else str(self.kind))

    @property
    def priority(self) -> Priority:
        """How soon its turn comes."""
        if self.by_hand:
            return Priority.BY_HAND
        return Priority.DELTA if self.kind is Kind.DELTA else Priority.FULL

    @classmethod
    def by_hand_of(cls, koppeling: str, options: Options) -> Job:
        """The job for what a person asks of a koppeling.

        Raises: ConfigurationError if a queue may not keep it: keys that he typed may be personal.
        """
        job = cls(
            koppeling,
            options.kind,
            options.resources,
            options.brins,
            options.pupils,
            options.groups,
            by_hand=True,
            operator=options.operator,
            plan_only=options.plan_only,
        )
        if options.kind not in _QUEUED or job.options(None) != replace(options, by_hand=True):
            raise ConfigurationError(
                "this run cannot be queued",
                advice="Laat --queue weg: de run draait dan hier. In de wachtrij kan alleen wat "
                "geen sleutel, proef, drempel of tijdslimiet noemt.",
            )
        return job

    def options(self, due: datetime | None) -> Options:
        """What the run is asked."""
        return Options(
            kind=self.kind,
            resources=self.resources,
            brins=self.brins,
            pupils=self.pupils,
            groups=self.groups,
            by_hand=self.by_hand,
            operator=self.operator,
            plan_only=self.plan_only,
            due=due,
        )


@dataclass(frozen=True, slots=True)
class DutyJob:
    """A duty of the hub itself."""

    name: str
    priority: Priority = field(default=Priority.DUTY, init=False)

    @property
    def key(self) -> Key:
        """Its name, of no koppeling."""
        return Key("", self.name)


Task: TypeAlias = Job | DutyJob


def perform(
    hub: Hub, job: Job, *, due: datetime | None = None, stop: Stop = never
) -> RunReport | Postponed:
    """Run a job now, or say until when it must wait.

    Args:
        hub: of the koppeling.
        job: what to run.
        due: the instant of its schedule, where it has one.
        stop: asked while it reads.

    Raises: RunActiveError if the koppeling is busy; AlreadyDoneError if what was due was done;
        ConfigurationError and StoreError.
    """
    if job.by_hand:
        hub = as_asked(hub, job.operator)
    source = hub.source(job.koppeling)
    with admitted(hub, source, by_hand=job.by_hand) as postponed:
        if postponed is not None:
            return postponed
        options = job.options(due)
        if not job.by_hand:
            limit = hub.settings.policy.limits.run_time
            left = time_left(hub, source)
            options = replace(options, time_limit=limit if left is None else min(limit, left))
        return run(hub, job.koppeling, options, stop=stop)


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of one try.

    Attributes:
        again: when to try once more; None where it is over, well or badly.
        tries: failures so far; what only waited is none.
        unseen: it is over, went wrong before it was a run, and has no state that says so.
    """

    again: datetime | None = None
    tries: int = 0
    unseen: bool = False


_OVER: Final = Attempted()


def attempt(hub: Hub, task: Task, *, tries: int = 0, stop: Stop = never) -> Attempted:
    """Carry out a task once; what came of it.

    Args:
        hub: the installation.
        task: what to carry out.
        tries: failures so far, of what a person asked for; the state knows those of the clock.
        stop: asked while a run reads.

    Raises: StoreError if the state cannot be read or written: nothing is lost, it is still open.
    """
    with bound(koppeling=task.key.koppeling or None):
        if isinstance(task, Job) and task.by_hand:
            return _Attempt(hub, task, None, tries=tries, stop=stop).make()
        with hub.store.work() as work:
            place = _place(work, task.key)
            known = None if place is None else state.read_state(work, place)
        if place is None or known is None or not known.is_open:
            return _OVER  # another answered it: a newer one may have been handed out with it
        attempt = _Attempt(hub, task, place, tries=known.tries, stop=stop)
        attempt.due = known.due_at
        return attempt.make()


def _place(work: Work, key: Key) -> Place | None:
    """Where its state stands; the configuration of this process may not know its koppeling."""
    if not key.koppeling:
        return Place(OF_THE_HUB, key.kind)
    rows = work.execute("SELECT id FROM koppeling WHERE name = ?", (key.koppeling,))
    return Place(rows[0][0], key.kind) if rows else None


class _Attempt:
    """One try of one task; without a place it has no state."""

    def __init__(
        self, hub: Hub, task: Task, place: Place | None, *, tries: int, stop: Stop
    ) -> None:
        self.hub, self.task, self.place, self.tries, self.stop = hub, task, place, tries, stop
        self.due: datetime | None = None

    def make(self) -> Attempted:
        """Try it, and keep what came of it."""
        try:
            return self._made()
        except AlreadyDoneError:
            self._settle("done")
            return _OVER
        except RunActiveError:
            return self._later(BUSY, "busy")
        except KoppelhubError as error:
            retryable = getattr(error, "retryable", False) is True
            return self._failed(str(error), error.advice, retryable=retryable)
        except Exception as error:  # noqa: BLE001 - the outermost edge of a job
            _log.exception("a job broke down")
            name = type(error).__name__
            return self._failed(name, KoppelhubError.default_advice, retryable=False)

    def _made(self) -> Attempted:
        if isinstance(self.task, DutyJob):
            duty_of(self.task.name).carry_out(self.hub)
            self._settle("done")
            return _OVER
        found = perform(self.hub, self.task, due=self.due, stop=self.stop)
        if isinstance(found, Postponed):
            if found.until is None:
                return self._later(NOBODY_ACTS, found.reason)
            return self._later(found.until - self.hub.clock.now(), found.reason)
        if found.outcome is Outcome.CANCELLED:
            return self._later(timedelta(), "stopped")
        if found.exit_code is ExitCode.LATER:
            return replace(self._failed(found.error, found.advice, retryable=True), unseen=False)
        self._settle(str(found.outcome), error=found.error, advice=found.advice)
        return _OVER

    def _later(self, wait: timedelta, reason: str) -> Attempted:
        """Nothing went wrong: it may not begin, or was broken off."""
        until = self.hub.clock.now() + wait
        _log.info("a job waits: %s", reason)
        if self.place is not None:
            with self.hub.store.work() as work:
                state.postpone(work, self.place, until=until, waits_for=reason, tries=self.tries)
        return Attempted(until, self.tries)

    def _failed(self, error: str, advice: str, *, retryable: bool) -> Attempted:
        if not retryable or self.tries >= (_TRIES_BY_HAND if self.place is None else len(DELAYS)):
            self._settle("failed", error=error, advice=advice)
            return Attempted(unseen=self.place is None)
        until = self.hub.clock.now() + DELAYS[self.tries]
        _log.warning("a job is tried again: %s", error)
        if self.place is not None:
            with self.hub.store.work() as work:
                state.postpone(
                    work, self.place, until=until, tries=self.tries + 1, error=error, advice=advice
                )
        return Attempted(until, self.tries + 1)

    def _settle(self, outcome: str, *, error: str = "", advice: str = "") -> None:
        if error:
            _log.warning("a job ended %s: %s", outcome, error)
        if self.place is None or self.due is None:
            return
        with self.hub.store.work() as work:
            state.settle(
                work,
                self.place,
                self.due,
                outcome=outcome,
                now=self.hub.clock.now(),
                error=error,
                advice=advice,
            )


__all__ = ["Attempted", "Duty", "DutyJob", "Job", "Priority", "Task", "attempt", "perform"]
