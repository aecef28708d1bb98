"""One run of one koppeling, start to end: read, stage, plan, guard, apply, report.

Reading scopes runs under the lease of the koppeling; correlate to apply under the lock of the
tenant. An error of one scope does not stop the others; an error of the source stops this run only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum

import msgspec

from config.clock import local_date
from config.errors import KoppelhubError
from config.logs import bound
from connectors.base import Capability, Completeness, Connector, Reading, Resource, Scope
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    CursorExpiredError,
    RequestRefusedError,
)
from sync_engine import stage
from sync_engine.apply import apply
from sync_engine.audit import note
from sync_engine.context import Context, Ids, KoppelingRow, ScopeRow
from sync_engine.errors import OperationNotDeclaredError, StalePlanError, SyncError
from sync_engine.garbage import fewer_collections
from sync_engine.guard import Hold, judge
from sync_engine.hub import Hub
from sync_engine.inputs import note_changed_inputs
from sync_engine.outcome import Outcome, ReadingReport, RunReport
from sync_engine.plan import Limits, Planned, Planner
from sync_engine.scopes import end_scope, load_scopes, open_scope, remember_contract
from sync_engine.stage import Received, Stager
from sync_engine.store.locks import lease, tenant_lock
from sync_engine.store.values import instant
from sync_engine.store.work import Work

_log = logging.getLogger(__name__)

Progress = Callable[[str, str, int], None]
"""Called with (phase, what, records so far); for progress bars."""

_ATTEMPTS = 2  # a reading that shifted under us is read once more
_DEPENDENT = "wacht op een onderdeel dat is vastgehouden"


class Kind(StrEnum):
    """What kind of run."""

    FULL = "full"
    DELTA = "delta"
    ONLY = "only"
    APPLY = "apply"


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    Attributes:
        kind: everything, what changed, some records, or an approved plan.
        resources: names as the source names them; empty for all that are configured.
        only: source keys to look up (kind ONLY), of the resources named.
        brins: BRINs or vestigingsnummers to select scopes by; empty for all.
        dry: stop before anything is written but the plan.
        plan_only: stop before anything is applied; `plan apply` goes on.
        approved: plan to apply (kind APPLY).
        time_limit: after this the run ends by itself, cleanly.
        operator: who asked for it.
    """

    kind: Kind = Kind.FULL
    resources: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    brins: tuple[str, ...] = ()
    dry: bool = False
    plan_only: bool = False
    approved: int | None = None
    time_limit: timedelta | None = None
    operator: str = "system"


def run(
    hub: Hub, koppeling: str, options: Options, *, progress: Progress | None = None
) -> RunReport:
    """Run one koppeling once.

    Raises: RunActiveError if another run of it is under way; ConfigurationError and StoreError
        before anything is done. What goes wrong later is in the report.
    """
    row = hub.koppeling(koppeling)
    with (
        hub.store.work() as work,
        lease(hub.store, f"koppeling-{row.id}", on=work),
        fewer_collections(),
    ):
        return _Run(hub, row, options, work, progress or (lambda *_: None)).execute()


class _Run:
    """The state of one run."""

    def __init__(
        self, hub: Hub, row: KoppelingRow, options: Options, work: Work, progress: Progress
    ) -> None:
        self.hub, self.row, self.options, self.work = hub, row, options, work
        self.progress = progress
        self.started = hub.clock.now()
        limit = options.time_limit or hub.settings.policy.limits.run_time
        self.deadline = hub.clock.monotonic() + limit.total_seconds()
        self.run_id = self._open_run()
        self.report = RunReport(
            self.run_id, row.name, str(options.kind), Outcome.FAILED, self.started, self.started
        )
        self.context: Context | None = None

    # -- frame -----------------------------------------------------------------------------------

    def execute(self) -> RunReport:
        """Everything, with every outcome recorded."""
        with bound(run_id=str(self.run_id), koppeling=self.row.name):
            try:
                with self._connected() as context:
                    self._read_and_plan(context)
            except KoppelhubError as error:
                self._failed(error)
            except BaseException:
                self._close_run("failed", "interrupted", "")
                raise
            self._finish()
        return self.report

    def _open_run(self) -> int:
        options = asdict(self.options)
        options.pop("time_limit")
        with self.work.transaction():
            self.work.execute(
                "UPDATE run SET state = 'failed', finished_at = ?, error = 'stopped from outside', "
                "advice = 'De volgende run maakt het werk af.' "
                "WHERE koppeling_id = ? AND state = 'running'",
                (self.started, self.row.id),
            )
            rows = self.work.execute(
                "INSERT INTO run (koppeling_id, kind, state, operator, options, started_at, "
                "heartbeat_at, counts) VALUES (?, ?, 'running', ?, ?, ?, ?, '{}') RETURNING id",
                (
                    self.row.id,
                    str(self.options.kind),
                    self.options.operator,
                    msgspec.json.encode(options).decode(),
                    self.started,
                    self.started,
                ),
            )
        return int(rows[0][0])

    @contextmanager
    def _connected(self) -> Iterator[Context]:
        hub = self.hub
        source = hub.settings.find_source(self.row.name)
        connector = hub.connect(source, hub.clock)
        try:
            dry = self.options.dry
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
                policy=hub.settings.policy,
                dry=dry,
                ids=Ids(self.work, dry=dry),
                step_ids=Ids(self.work, dry=False),
            )
            stage.prepare(context)
            load_scopes(context)
            self.context = context
            yield context
        finally:
            connector.close()

    def _failed(self, error: KoppelhubError) -> None:
        self.report.error = str(error)
        self.report.advice = error.advice
        self.report.retryable = isinstance(error, ConnectorError) and error.retryable
        self.report.refused = isinstance(error, OperationNotDeclaredError | StalePlanError)
        self.report.outcome = Outcome.FAILED
        _log.error("run failed: %s", error)

    def _finish(self) -> None:
        report = self.report
        report.finished_at = self.hub.clock.now()
        report.longest_hold_seconds = round(self.work.longest_hold, 4)
        counts = {
            "steps": report.steps,
            "applied": report.applied,
            "situations": report.situations,
            "held": report.held,
            "unresolved": report.unresolved,
            "waiting": report.waiting,
            "quarantine": report.quarantine,
            "cases": report.cases,
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
        _log.info("run ended %s", report.outcome)

    def _close_run(
        self, state: str, error: str, advice: str, *, counts: dict[str, object] | None = None
    ) -> None:
        context, work = self.context, self.work
        now = self.hub.clock.now()
        with work.transaction():
            work.execute(
                "UPDATE run SET state = ?, finished_at = ?, counts = ?, error = ?, advice = ? "
                "WHERE id = ?",
                (
                    state,
                    now,
                    msgspec.json.encode(counts or {}).decode(),
                    error or None,
                    advice or None,
                    self.run_id,
                ),
            )
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
            self.report.events = [f"{kind}: {_json(detail)}" for _, kind, detail in context.events]

    # -- reading ---------------------------------------------------------------------------------

    def _read_and_plan(self, context: Context) -> None:
        if self.options.kind is not Kind.APPLY:
            self._read(context)
        with tenant_lock(self.hub.store, self.row.tenant_id, on=self.work):
            if not self.options.dry:
                note_changed_inputs(context)
            self._plan(context)
        self._judge_outcome(context)

    def _read(self, context: Context) -> None:
        resources = self._resources(context.connector)
        listed = list(context.connector.scopes(today=context.today))
        wanted = [scope for scope in listed if self._selected(scope, resources)]
        order = {name: place for place, name in enumerate(resources)}
        wanted.sort(key=lambda scope: (order[scope.resource], scope.rank, scope.key))
        if not wanted:
            raise SyncError(
                "the source has nothing to read for this selection",
                advice="Controleer de school en de rechten: `koppelhub connectors check`.",
            )
        if not self.options.dry and not self.options.resources:
            self._end_vanished(context, listed)
        for scope in wanted:
            with bound(entity=scope.resource):
                if not self._read_scope(context, scope, resources[scope.resource]):
                    break

    def _resources(self, connector: Connector) -> dict[str, Resource]:
        """The resources to read, in the connector's order; what was not declared is refused."""
        manifest = connector.manifest
        source = self.hub.settings.find_source(self.row.name)
        names = self.options.resources or source.resources
        chosen = [manifest.resource(name) for name in names] or [
            resource for resource in manifest.resources if not resource.optional
        ]
        need = {
            Kind.ONLY: Capability.LOOKUP,
            Kind.DELTA: Capability.SNAPSHOT,
        }.get(self.options.kind, Capability.SNAPSHOT)
        for resource in chosen:
            if need not in resource.capabilities:
                raise OperationNotDeclaredError(
                    f"{manifest.system} does not declare {need} for {resource.name}"
                )
        if self.options.kind is Kind.DELTA and not any(
            Capability.DELTA in resource.capabilities for resource in chosen
        ):
            raise OperationNotDeclaredError(f"{manifest.system} does not declare delta")
        ordered = [r for r in manifest.resources if r in chosen]
        return {resource.name: resource for resource in ordered}

    def _selected(self, scope: Scope, resources: dict[str, Resource]) -> bool:
        if scope.resource not in resources:
            return False
        source = self.hub.settings.find_source(self.row.name)
        if scope.brins and not source.includes(scope.brins):
            return False
        wanted = self.options.brins
        return (
            not wanted
            or not scope.brins
            or any(b.startswith(w) for b in scope.brins for w in wanted)
        )

    def _end_vanished(self, context: Context, listed: Sequence[Scope]) -> None:
        names = {(scope.resource, scope.key) for scope in listed}
        for scope_id, scope in list(context.scopes.items()):
            if context.scope_koppeling[scope_id] != self.row.id:
                continue
            ended = (scope.resource, scope.key) not in names
            if ended != (scope_id in context.ended_scopes):
                end_scope(context, scope_id, ended=ended)

    def _read_scope(self, context: Context, scope: Scope, resource: Resource) -> bool:
        """Read one scope; False when the run must stop reading."""
        row = open_scope(context, scope)
        report = ReadingReport(scope.resource, scope.label or scope.key, "failed")
        self.report.readings.append(report)
        going_on = True
        try:
            self._attempts(context, row, resource, report)
        except RequestRefusedError as error:
            report.state, report.reason, report.advice = "refused", str(error), error.advice
        except AuthenticationError as error:
            report.reason, report.advice = str(error), error.advice
            self._failed(error)
            going_on = False
        except ConnectorError as error:
            report.state = "failed"
            report.reason, report.advice = str(error), error.advice
            self.report.retryable = self.report.retryable or error.retryable
            _log.warning("reading failed: %s", error)
        if not self.options.dry:
            self._keep_reading(row, report)
        if self.hub.clock.monotonic() >= self.deadline:
            self._out_of_time(report)
            going_on = False
        return going_on

    def _attempts(
        self, context: Context, row: ScopeRow, resource: Resource, report: ReadingReport
    ) -> None:
        whole = not self._may_continue(context, row, resource)
        for attempt in range(_ATTEMPTS):
            reading, delta = self._open_reading(context, row, whole=whole)
            stager = Stager(context, row, changes=delta and self.options.kind is Kind.DELTA)
            try:
                in_time = self._take(stager, reading, report)
            except CursorExpiredError:
                if whole:
                    raise
                _log.info("the cursor is too old: everything is read")
                whole = True
                continue
            completeness = reading.completeness
            shaken = stager.received.duplicates > 0
            _sum(report, stager.received)
            if not in_time:
                return
            if delta:
                self._followed(context, row, completeness, report)
                break
            if completeness.complete and not shaken:
                report.state, report.reason, report.advice = "complete", "", ""
                stager.absent()
                self._completed(context, row, stager, report)
                break
            report.state = "incomplete"
            report.reason = completeness.reason or "een record kwam twee keer voor"
            report.advice = completeness.advice or "Er is niets afgesloten; de hub leest opnieuw."
            if attempt + 1 < _ATTEMPTS:
                _log.info("reading again: %s", report.reason)
        self._aftermath(context, row, stager, report)

    def _may_continue(self, context: Context, row: ScopeRow, resource: Resource) -> bool:
        """Whether a delta will do: it cannot confirm an absence that waits for its second reading.

        Such an absence is left by a whole reading, after a cursor that was too old for instance.
        """
        if self.options.kind is not Kind.DELTA or Capability.DELTA not in resource.capabilities:
            return False
        absence = context.policy.absence
        return absence.frozen(context.today) or not self.work.execute(
            "SELECT 1 FROM source_record WHERE scope_id = ? AND NOT gone AND missing_since <= ? "
            "LIMIT 1",
            (row.id, context.now - absence.confirm_after),
        )

    def _open_reading(
        self, context: Context, row: ScopeRow, *, whole: bool
    ) -> tuple[Reading, bool]:
        connector, scope = context.connector, row.scope
        if self.options.kind is Kind.ONLY:
            return connector.lookup(scope, keys=self.options.only), True
        if not whole:
            rows = self.work.execute(
                "SELECT value FROM source_cursor WHERE scope_id = ?", (row.id,)
            )
            if rows:
                return connector.delta(scope, cursor=rows[0][0]), True
        return connector.snapshot(scope), False

    def _take(self, stager: Stager, reading: Reading, report: ReadingReport) -> bool:
        """Stage every page; False when the time was up before the end."""
        begun = False
        for page in reading:
            if not begun:
                stager.begin(reading.contract)
                begun = True
            stager.take(page)
            self.progress("read", report.resource, len(page.keys))
            if self.hub.clock.monotonic() >= self.deadline:
                stager.flush()
                self._out_of_time(report)
                return False
        if not begun:
            stager.begin(reading.contract)
        stager.flush()
        if self.options.kind is not Kind.ONLY and stager.context is not None:
            remember_contract(stager.context, stager.scope, reading.contract, stager.contract_fp)
        return True

    def _out_of_time(self, report: ReadingReport) -> None:
        report.state = "incomplete" if report.state == "failed" else report.state
        report.reason = report.reason or "the time of this run was up"
        report.advice = report.advice or "De volgende run leest verder; er is niets afgesloten."

    def _followed(
        self, context: Context, row: ScopeRow, completeness: Completeness, report: ReadingReport
    ) -> None:
        """After a delta or a look-up. A delta to its end says of all the rest that it is there."""
        looked_up = self.options.kind is Kind.ONLY
        report.state = "delta" if completeness.complete or looked_up else "incomplete"
        if looked_up or self.options.dry:
            return
        if not completeness.complete:
            report.reason, report.advice = completeness.reason, completeness.advice
            return
        with self.work.transaction():
            self.work.execute(
                "UPDATE scope SET complete_at = ? WHERE id = ?", (context.now, row.id)
            )

    def _completed(
        self, context: Context, row: ScopeRow, stager: Stager, report: ReadingReport
    ) -> None:
        """Remember when this scope was last read completely; that is what absence leans on."""
        received = stager.received
        if received.shrunk or received.blocked:
            detail: dict[str, object] = {
                "scope": report.scope,
                "resource": report.resource,
                "missing": received.missing,
                "blocked": received.blocked,
            }
            context.events.append((row.id, "shrunk", detail))
        if received.blocked:
            report.state = "incomplete"
            report.reason = f"{received.missing} records are missing at once"
            report.advice = "Er is niets afgesloten. Vraag de school of dit klopt."
            return
        if self.options.dry:
            return
        stager.finish()
        with self.work.transaction():
            self.work.execute(
                "UPDATE scope SET complete_at = ?, complete_count = ? WHERE id = ?",
                (context.now, received.read, row.id),
            )

    def _aftermath(
        self, context: Context, row: ScopeRow, stager: Stager, report: ReadingReport
    ) -> None:
        if stager.unknown:
            names = sorted(stager.unknown)
            context.events.append(
                (row.id, "schema drift", {"resource": report.resource, "fields": names})
            )
        for (path, rule), count in sorted(stager.problems.items()):
            context.events.append(
                (row.id, "dropped field", {"path": path, "rule": rule, "n": count})
            )

    def _keep_reading(self, row: ScopeRow, report: ReadingReport) -> None:
        with self.work.transaction():
            self.work.execute(
                "INSERT INTO reading (run_id, scope_id, state, read, added, changed, missing, "
                "gone, quarantined, reason, advice, finished_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self.run_id,
                    row.id,
                    report.state,
                    report.read,
                    report.added,
                    report.changed,
                    report.missing,
                    report.gone,
                    report.quarantined,
                    report.reason,
                    report.advice,
                    self.hub.clock.now(),
                ),
            )
            self.work.execute(
                "UPDATE run SET heartbeat_at = ? WHERE id = ?", (self.hub.clock.now(), self.run_id)
            )

    # -- planning --------------------------------------------------------------------------------

    def _plan(self, context: Context) -> None:
        approved = self.options.approved
        if approved is not None:
            self._check_plan(approved)
        plan_id = self._open_plan(context)
        self.progress("plan", "", 0)
        planned = Planner(context, plan_id, Limits(approved=approved)).plan()
        holds: list[Hold] = []
        if approved is None:
            self._known(context, planned)
            holds = judge(planned.tally, context.policy)
            if holds and not self.options.dry and not self.options.plan_only:
                planned = self._replan(context, plan_id, holds)
        self._report_plan(plan_id, planned, holds)
        if self.options.dry or self.options.plan_only:
            self._close_plan(plan_id, "dry" if self.options.dry else "open", holds)
            return
        self.progress("apply", "", 0)
        apply(context, plan_id, state="held" if planned.held else "applied")
        self._close_plan(plan_id, None, holds)
        self.report.applied = self._applied(plan_id)
        if approved is not None:
            self.work.execute("UPDATE plan SET state = 'approved' WHERE id = ?", (approved,))

    def _check_plan(self, plan_id: int) -> None:
        rows = self.work.execute(
            "SELECT p.state, p.expires_at, r.koppeling_id FROM plan p "
            "JOIN run r ON r.id = p.run_id WHERE p.id = ?",
            (plan_id,),
        )
        if not rows or rows[0][2] != self.row.id:
            raise StalePlanError(f"there is no plan {plan_id} of {self.row.name}")
        state, expires, _ = rows[0]
        if state not in {"open", "held"}:
            raise StalePlanError(f"plan {plan_id} is {state}")
        if instant(expires) < self.hub.clock.now():
            raise StalePlanError(f"plan {plan_id} has expired")

    def _open_plan(self, context: Context) -> int:
        expires = self.started + context.policy.retention.plan_expiry
        with self.work.transaction():
            rows = self.work.execute(
                "INSERT INTO plan (run_id, tenant_id, state, created_at, expires_at, counts, held) "
                "VALUES (?, ?, 'planning', ?, ?, '{}', '[]') RETURNING id",
                (self.run_id, self.row.tenant_id, self.started, expires),
            )
        return int(rows[0][0])

    def _replan(self, context: Context, plan_id: int, holds: list[Hold]) -> Planned:
        """Plan again without what is held; what only leaned on it waits with it."""
        work = self.work
        with work.transaction():
            work.execute(
                "UPDATE step SET state = 'held', held_for = ? WHERE plan_id = ?",
                (_DEPENDENT, plan_id),
            )
            last = work.execute("SELECT MAX(id) FROM step WHERE plan_id = ?", (plan_id,))[0][0]
            for hold in holds:
                work.execute(
                    "UPDATE step SET held_for = ? WHERE plan_id = ? AND entity = ? AND op = ?",
                    (hold.reason, plan_id, hold.entity, hold.op),
                )
        planned = Planner(context, plan_id, Limits(holds=tuple(holds))).plan()
        with work.transaction():
            work.execute(
                "DELETE FROM step WHERE plan_id = ? AND id <= ? AND digest IN "
                "(SELECT digest FROM step WHERE plan_id = ? AND id > ?)",
                (plan_id, last, plan_id, last),
            )
            held = work.execute(
                "SELECT COUNT(*) FROM step WHERE plan_id = ? AND state = 'held'", (plan_id,)
            )
        planned.held = held[0][0]
        return planned

    def _known(self, context: Context, planned: Planned) -> None:
        for entity in {entity for entity, _ in planned.tally.steps}:
            rows = self.work.execute(
                "SELECT COUNT(*) FROM link WHERE koppeling_id = ? AND entity = ?",
                (context.koppeling.id, entity),
            )
            planned.tally.known[entity] = rows[0][0]

    def _report_plan(self, plan_id: int, planned: Planned, holds: list[Hold]) -> None:
        report = self.report
        report.plan_id = plan_id
        report.steps = {
            f"{entity}.{op}": count for (entity, op), count in sorted(planned.tally.steps.items())
        }
        report.situations = {name: count for name, count in planned.situations.items() if count}
        report.held = planned.held
        report.holds = holds
        report.unresolved = planned.unresolved
        report.waiting = planned.waiting

    def _applied(self, plan_id: int) -> dict[str, int]:
        rows = self.work.execute(
            "SELECT entity, op, COUNT(*) FROM step WHERE plan_id = ? AND state = 'applied' "
            "GROUP BY entity, op ORDER BY entity, op",
            (plan_id,),
        )
        return {f"{entity}.{op}": count for entity, op, count in rows}

    def _close_plan(self, plan_id: int, state: str | None, holds: list[Hold]) -> None:
        with self.work.transaction():
            self.work.execute(
                "UPDATE plan SET counts = ?, held = ? WHERE id = ?",
                (_json(self.report.steps), _json([asdict(hold) for hold in holds]), plan_id),
            )
            if state is not None:
                self.work.execute("UPDATE plan SET state = ? WHERE id = ?", (state, plan_id))

    # -- outcome ---------------------------------------------------------------------------------

    def _judge_outcome(self, context: Context) -> None:
        report = self.report
        own = "SELECT id FROM scope WHERE koppeling_id = ?"
        report.quarantine = self.work.execute(
            f"SELECT COUNT(*) FROM quarantine WHERE scope_id IN ({own})", (self.row.id,)
        )[0][0]
        report.cases = self.work.execute(
            "SELECT COUNT(*) FROM zaak WHERE koppeling_id = ? AND state = 'open'", (self.row.id,)
        )[0][0]
        if report.error:
            return
        good = [r for r in report.readings if r.state in {"complete", "delta"}]
        bad = [r for r in report.readings if r.state not in {"complete", "delta"}]
        if report.readings and not good and not any(r.read for r in bad):
            first = bad[0]
            report.error, report.advice = first.reason, first.advice
            report.outcome = Outcome.FAILED
        elif report.held or (self.options.plan_only and report.steps):
            report.outcome = Outcome.HELD
        elif bad or report.quarantine or self._suspiciously_empty(context):
            report.outcome = Outcome.PARTIAL
        else:
            report.outcome = Outcome.DONE
        if report.outcome is not Outcome.FAILED:
            report.retryable = False

    def _suspiciously_empty(self, context: Context) -> bool:
        """Nothing read where something was expected is never a success."""
        readings = self.report.readings
        if self.options.kind is Kind.DELTA or any(r.read for r in readings) or not readings:
            return False
        context.events.append((None, "empty", {"koppeling": self.row.name}))
        return True


def _sum(report: ReadingReport, received: Received) -> None:
    report.read = received.read
    report.added += received.added
    report.changed += received.changed
    report.missing = received.missing
    report.gone += received.gone
    report.quarantined += received.quarantined
    report.warnings += received.warnings


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
