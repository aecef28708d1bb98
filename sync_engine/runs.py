"""One run of one koppeling, start to end: read, stage, plan, guard, apply, report.

Reading scopes runs under the lease of the koppeling; correlate to apply under the lock of the
tenant. An error of one scope does not stop the others; an error of the source stops this run only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict

import msgspec

from config.clock import local_date
from config.errors import KoppelhubError
from config.logs import bound
from connectors.base import Scope
from connectors.errors import ConnectorError
from connectors.protocols.watching import watched_by
from connectors.pseudonyms import Rehearsing
from sync_engine import received, totals
from sync_engine.audit import note, note_within
from sync_engine.cases import QUARANTINE, keep_quarantine_cases
from sync_engine.context import Context, Ids, KoppelingRow
from sync_engine.counted import counters, situations
from sync_engine.deadline import Deadline, Stop, never
from sync_engine.errors import AlreadyDoneError, StoreError
from sync_engine.garbage import fewer_collections
from sync_engine.hub import Hub
from sync_engine.inputs import note_changed_inputs
from sync_engine.lookout import Lookout
from sync_engine.options import Kind, Options, Progress
from sync_engine.outbox.targets import usable_targets
from sync_engine.outcome import READ_WELL, Failure, Outcome, RunReport
from sync_engine.planning import Inspect, Planning, as_shown
from sync_engine.pseudonyms import as_pseudonyms
from sync_engine.reading import Reader, fail
from sync_engine.replacing import carry_out_due
from sync_engine.replay import Replayer, retry_quarantine
from sync_engine.rights import as_seen, checked_run
from sync_engine.scopes import end_vanished, load_scopes
from sync_engine.store.locks import lease, tenant_lock
from sync_engine.store.work import Work
from sync_engine.switches import ASKING, after_run, read_switch, refuse_in_maintenance
from sync_engine.tracing import Span, Told, step

__all__ = ["Inspect", "Kind", "Options", "Progress", "run"]

_log = logging.getLogger(__name__)

Receive = Callable[[Context, RunReport], None]
"""Takes in what there is to plan, in the place of reading the source."""

_GOES_ON = "De volgende run maakt het werk af."


def run(
    hub: Hub,
    koppeling: str,
    options: Options,
    *,
    progress: Progress | None = None,
    inspect: Inspect | None = None,
    receive: Receive | None = None,
    stop: Stop = never,
) -> RunReport:
    """Run one koppeling once.

    Args:
        hub: of the koppeling.
        koppeling: its name.
        options: what to run.
        progress: told what goes on.
        inspect: looks at a dry run's plan while everything that it received can still be seen.
        receive: takes in what there is to plan (kind ADOPT); the source is not asked.
        stop: asked while reading; once it says so the run ends `cancelled`, and what it read waits
            for the next one: applied by itself, half of a first load would make the rest look like
            too much.

    Raises: RunActiveError if another run of it is under way; AlreadyDoneError if what was due then
        was carried out; ConfigurationError and StoreError before anything is done. What goes wrong
        later is in the report.
    """
    row = hub.koppeling(koppeling)
    options = checked_run(hub, koppeling, options)
    asked, hub = hub, hub.whole
    with (
        hub.store.work() as work,
        _allowed(hub, work, row, options),
        lease(hub.store, f"koppeling-{row.id}", on=work),
        fewer_collections(),
    ):
        _refuse_done(work, row, options)
        shown = progress or (lambda *_: None)
        made = _Run(hub, row, options, work=work, progress=shown, stop=stop)
        made.inspect, made.receive = inspect, receive
        return as_seen(asked, made.execute())


def _refuse_done(work: Work, row: KoppelingRow, options: Options) -> None:
    """Raises: AlreadyDoneError if what was due then was carried out; asked under the lease."""
    if options.due is not None and work.execute(
        "SELECT 1 FROM run WHERE koppeling_id = ? AND kind = ? AND due_at = ? "
        "AND state IN ('done', 'partial', 'held')",
        (row.id, str(options.kind), options.due),
    ):
        raise AlreadyDoneError(f"{row.name}: what was due then was carried out")


@contextmanager
def _allowed(hub: Hub, work: Work, row: KoppelingRow, options: Options) -> Iterator[None]:
    """Raises: MaintenanceError where nobody may ask the source."""
    if options.kind in ASKING:
        switch = read_switch(work, row.id)
        refuse_in_maintenance(switch, koppeling=row.name, now=hub.clock.now())
    yield


_READS_NOTHING = frozenset({Kind.APPLY, Kind.REFUSE, Kind.UNDO, Kind.DECIDE, Kind.REFOLD})


class _Run:
    """The state of one run."""

    def __init__(
        self,
        hub: Hub,
        row: KoppelingRow,
        options: Options,
        *,
        work: Work,
        progress: Progress,
        stop: Stop,
    ) -> None:
        self.hub, self.row, self.options, self.work = hub, row, options, work
        self.progress = progress
        self.inspect: Inspect | None = None
        self.receive: Receive | None = None
        self.started = hub.clock.now()
        given = options.time_limit  # none at all is a limit too
        limit = hub.settings.policy.limits.run_time if given is None else given
        self.deadline = Deadline(hub.clock, limit, stop=stop)
        self.run_id = self._open_run()
        self.report = RunReport(
            self.run_id, row.name, str(options.kind), Outcome.FAILED, self.started, self.started
        )
        self.context: Context | None = None
        self.planning: Planning | None = None
        self.lookout = Lookout(hub.clock, hub.tracing)

    # -- frame -----------------------------------------------------------------------------------

    def execute(self) -> RunReport:
        """Everything, with every outcome recorded."""
        with (
            bound(run_id=str(self.run_id), koppeling=self.row.name),
            watched_by(self.lookout),
            self._step(
                f"run {self.options.kind}",
                {
                    "koppelhub.source": self.row.name,
                    "koppelhub.system": self.row.system,
                    "koppelhub.run_id": self.run_id,
                },
            ) as span,
        ):
            try:
                with self._connected() as context:
                    self._read_and_plan(context)
            except KoppelhubError as error:
                fail(self.report, error)
            except BaseException:
                with suppress(StoreError):  # the next run of this koppeling closes it
                    self._close_run("failed", "interrupted", "")
                raise
            try:
                self._finish()
            except StoreError as error:
                if not self.report.error:
                    fail(self.report, error)
                _log.error("run cannot be closed: %s", error)
            self._tell(span)
        return self.report

    def _step(self, name: str, told: Told | None = None) -> AbstractContextManager[Span]:
        """What is traced of it."""
        return step(self.hub.tracing, name, told)

    def _tell(self, span: Span) -> None:
        """What came of it."""
        report = self.report
        span.went_wrong = report.outcome is Outcome.FAILED
        span.tell(
            {
                "koppelhub.outcome": str(report.outcome),
                "koppelhub.read": report.read,
                "koppelhub.applied": sum(report.applied.values()),
                "koppelhub.held": report.held,
                "koppelhub.quarantine": report.quarantine,
            }
        )

    def _open_run(self) -> int:
        options = asdict(self.options)
        options.pop("time_limit")
        options.pop("due")  # a column of its own
        options.pop("why")  # a person's words; they stand with the plan or the decision
        options["only"] = len(self.options.only)  # not what a person typed: it may be a name
        options["groups"] = len(self.options.groups)
        options["cores"] = len(self.options.cores)
        options["pupils"] = len(self.options.pupils)
        if options.pop("apart") is not None:
            options["apart"] = True
        with self.work.transaction():
            self.work.execute(
                "UPDATE run SET state = 'failed', finished_at = ?, error = 'stopped from outside', "
                "advice = ? WHERE koppeling_id = ? AND state = 'running'",
                (self.started, _GOES_ON, self.row.id),
            )
            totals.add(self.work, self.row.id, {f"{totals.RUNS}.failed": self.work.changes})
            rows = self.work.execute(
                "INSERT INTO run (koppeling_id, kind, state, operator, options, started_at, "
                "heartbeat_at, due_at, whole, counts) "
                "VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, '{}') RETURNING id",
                (
                    self.row.id,
                    str(self.options.kind),
                    self.options.operator,
                    msgspec.json.encode(options).decode(),
                    self.started,
                    self.started,
                    self.options.due,
                    self.options.is_whole,
                ),
            )
            run_id = int(rows[0][0])
            if self.options.allowed:
                note_within(
                    self.hub,
                    self.work,
                    operator=self.options.operator,
                    action="allow",
                    subject=f"run {run_id}",
                    why=", ".join(map(str, self.options.allowed)),
                )
        return run_id

    @contextmanager
    def _connected(self) -> Iterator[Context]:
        hub = self.hub
        source = hub.settings.find_source(self.row.name)
        connector = hub.connect(source, hub.clock)
        try:
            dry = self.options.dry
            if dry and isinstance(connector, Rehearsing):
                connector.rehearse()
            context = Context(
                work=self.work,
                cipher=hub.cipher(self.row.tenant_id),
                koppeling=self.row,
                koppelingen=hub.koppelingen(self.row.tenant_id),
                run_id=self.run_id,
                now=self.started,
                today=local_date(self.started, hub.settings.timezone),
                reader=connector,
                mapping=hub.mapping(self.row.system),
                mappings=hub.mappings(self.row.tenant_id),
                policy=hub.settings.policy_of(source),
                dry=dry,
                ids=Ids(self.work, dry=dry),
                step_ids=Ids(self.work, dry=False),
                apart=() if self.options.apart is None else self.options.apart.scopes,
                same_keys=hub.settings.same_keys(source),
                targets=() if dry else usable_targets(hub, self.row.tenant_id, self.work),
            )
            received.prepare(context)
            load_scopes(context)
            self.context = context
            yield context
        finally:
            connector.close()

    def _finish(self) -> None:
        report = self.report
        report.finished_at = self.hub.clock.now()
        report.longest_hold_seconds = round(self.work.longest_hold, 4)
        counts = {
            "read": report.read,
            "unread": report.unread,
            "waits": report.waits,
            "records": self._situations(),
            "steps": report.steps,
            "applied": report.applied,
            "situations": report.situations,
            "held": report.held,
            "refusals": report.refusals,
            "doubts": len(report.doubts),
            "unresolved": report.unresolved,
            "waiting": report.waiting,
            "quarantine": report.quarantine,
            "skipped": report.skipped,
            "cases": report.cases,
            "failure": report.failure,
            "longest_hold_seconds": report.longest_hold_seconds,
        }
        self._close_run(str(report.outcome), report.error, report.advice, counts=counts)
        if self.options.dry:
            note(
                self.hub,
                self.work,
                operator=self.options.operator,
                action="dry run",
                subject=f"plan {report.plan_id}",
            )
        self._switch()
        _log.info("run ended %s", report.outcome)

    def _switch(self) -> None:
        """Switch the koppeling off or on; the run is what it is, also where that cannot be done."""
        readings = self.report.readings
        try:
            after_run(
                self.hub,
                self.work,
                koppeling=(self.row.id, self.row.name),
                run_id=self.run_id,
                options=self.options,
                good=any(reading.state in READ_WELL for reading in readings),
                failed=self.report.outcome is Outcome.FAILED,
            )
        except StoreError as error:
            _log.error("koppeling cannot be switched: %s", error)

    def _situations(self) -> dict[str, int]:
        """After a run that tried everything."""
        if self.context is None or not self.options.is_whole:
            return {}
        found = {} if self.planning is None else self.planning.found
        return situations(self.work, self.row.id, found)

    def _close_run(
        self, state: str, error: str, advice: str, *, counts: dict[str, object] | None = None
    ) -> None:
        context, work = self.context, self.work
        now = self.hub.clock.now()
        with work.transaction():
            work.execute(
                "UPDATE run SET state = ?, finished_at = ?, counts = ?, error = ?, advice = ?, "
                "good = ? WHERE id = ?",
                (
                    state,
                    now,
                    msgspec.json.encode(counts or {}).decode(),
                    error or None,
                    advice or None,
                    self.options.is_whole and counts is not None and self.report.good,
                    self.run_id,
                ),
            )
            if not self.options.dry:
                spent = (now - self.started).total_seconds()
                asked = self.lookout.counts
                counted = counters(self.report, state, seconds=spent, asked=asked)
                totals.add(work, self.row.id, counted)
            if context is not None and not self.options.dry:
                work.load(
                    "event",
                    ("run_id", "koppeling_id", "scope_id", "kind", "detail", "at"),
                    [
                        (self.run_id, self.row.id, scope, kind, _json(detail), now)
                        for scope, kind, detail in context.events
                    ],
                )
        if context is not None:
            self.report.events = [  # `quarantine list` names the records
                f"{kind}: {_json({name: part for name, part in detail.items() if name != 'keys'})}"
                for _, kind, detail in context.events
            ]

    # -- reading ---------------------------------------------------------------------------------

    def _read_and_plan(self, context: Context) -> None:
        listed = self._receive(context)
        if self.deadline.stopped:
            self._cancel()
            return
        with tenant_lock(self.hub.store, self.row.tenant_id, on=self.work):
            # koppelingen may have come from another tenant, or gone to one, meanwhile
            context.mappings = self.hub.mappings(self.row.tenant_id)
            load_scopes(context)
            if listed is not None:
                end_vanished(context, listed)
            note_changed_inputs(context)
            self.options = as_shown(context, self.options, now=self.hub.clock.now())
            self.planning = Planning(
                self.hub,
                self.options,
                context=context,
                report=self.report,
                progress=self.progress,
                inspect=self.inspect,
            )
            self.planning.plan()
        self._judge_outcome(context)

    def _cancel(self) -> None:
        """Its process stops; what was read is kept, and another run plans it."""
        report = self.report
        report.error, report.advice = "its process was asked to stop", _GOES_ON
        report.outcome, report.retryable = Outcome.CANCELLED, True

    def _receive(self, context: Context) -> list[Scope] | None:
        """Take in what there is to plan; every scope that the source listed, where it was asked."""
        hub, options, report = self.hub, self.options, self.report
        if options.kind in _READS_NOTHING:
            return None
        if self.receive is not None:
            self.receive(context, report)
            return None
        if options.kind is Kind.REPLAY:
            replayer = Replayer(
                hub, options, context=context, report=report, progress=self.progress
            )
            replayer.replay(deadline=self.deadline)
            return None
        whole = options.kind is not Kind.ONLY and not (options.resources or options.brins)
        retried = retry_quarantine(hub, context) if whole else 0
        asked = as_pseudonyms(context.reader)
        if asked is not None and not options.dry:
            carry_out_due(hub, self.row, asked, self.work)
        reader = Reader(
            hub, self.row, options, context=context, report=report, progress=self.progress
        )
        try:
            reader.read(deadline=self.deadline)
        except ConnectorError as error:
            if not retried:
                raise
            fail(report, error)  # what left the quarantine is planned all the same
        return reader.listed

    # -- outcome ---------------------------------------------------------------------------------

    def _judge_outcome(self, context: Context) -> None:
        report = self.report
        if not self.options.dry:
            keep_quarantine_cases(context)
        own = "SELECT id FROM scope WHERE koppeling_id = ?"
        report.quarantine = self.work.execute(
            f"SELECT COUNT(*) FROM quarantine WHERE scope_id IN ({own})", (self.row.id,)
        )[0][0]
        report.cases = self.work.execute(
            "SELECT COUNT(*) FROM zaak WHERE koppeling_id = ? AND state = 'open' AND kind <> ?",
            (self.row.id, QUARANTINE),  # which is counted by itself
        )[0][0]
        if report.error:
            return
        good = [r for r in report.readings if r.state in READ_WELL]
        bad = [r for r in report.readings if r.state not in READ_WELL]
        failed = bool(report.readings) and not good
        if failed and not any(r.read or r.waits for r in bad):
            first = bad[0]
            report.error, report.advice = first.reason, first.advice
            report.outcome = Outcome.FAILED
            report.failure = Failure.PASSING if report.retryable else Failure.LASTING
            if all(reading.state == "refused" for reading in bad):
                report.failure = Failure.REFUSED
        elif report.held or (self.options.plan_only and report.steps):
            report.outcome = Outcome.HELD
        elif any(
            (
                *(self._suspiciously_empty(context), report.unread, report.waits),
                *(report.doubts, report.quarantine),
            )
        ):
            report.outcome = Outcome.PARTIAL
        else:
            report.outcome = Outcome.DONE
        if report.outcome is not Outcome.FAILED:
            report.retryable = False

    def _suspiciously_empty(self, context: Context) -> bool:
        """Nothing read where something was expected is never a success."""
        readings = self.report.readings
        few = self.options.kind is Kind.DELTA or self.options.since is not None
        if few or any(r.read or r.waits for r in readings) or not readings:
            return False
        context.events.append((None, "empty", {"koppeling": self.row.name}))
        return True


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
