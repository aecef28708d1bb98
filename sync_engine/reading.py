"""Reading: the scopes of one run, one after another, staged and reported.

A scope that is refused or fails does not stop the others; refused credentials stop the source.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from config.errors import ConfigurationError, KoppelhubError
from config.logs import bound
from config.nearest import choice
from connectors.base import Capability, Completeness, Connector, Reading, Resource, Scope
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    CursorExpiredError,
    RequestRefusedError,
)
from sync_engine.context import Context, KoppelingRow, ScopeRow
from sync_engine.deadline import Deadline
from sync_engine.errors import (
    OperationNotDeclaredError,
    RunActiveError,
    StoreError,
    SyncError,
)
from sync_engine.groups import GroupLookup, Picked, Wanted
from sync_engine.hub import Hub
from sync_engine.met import DROPPED, Received
from sync_engine.options import Kind, Options, Progress
from sync_engine.outcome import Failure, Outcome, ReadingReport, RunReport
from sync_engine.pupils import PupilLookup
from sync_engine.scopes import keep_terms, open_scope, remember_contract
from sync_engine.stage import Stager
from sync_engine.tracing import step

_log = logging.getLogger(__name__)

_ATTEMPTS = 2  # a reading that shifted under us is read once more


def fail(report: RunReport, error: KoppelhubError) -> None:
    """Record what ended a run."""
    report.error = str(error)
    report.advice = error.advice
    report.retryable = isinstance(error, ConnectorError | SyncError) and error.retryable
    report.refused = isinstance(error, SyncError) and error.refused
    report.failure = failure_of(error)
    report.outcome = Outcome.FAILED
    _log.error("run failed: %s", error)


def failure_of(error: KoppelhubError) -> Failure:
    """What an error that ended a run means for the next."""
    if isinstance(error, StoreError | RunActiveError):
        return Failure.OWN
    if getattr(error, "retryable", False) is True:
        return Failure.PASSING
    if isinstance(
        error,
        AuthenticationError | ConfigurationError | RequestRefusedError | OperationNotDeclaredError,
    ):
        return Failure.REFUSED
    return Failure.LASTING


class Reader:
    """Reads what one run is asked to read.

    Attributes:
        listed: every scope that the source listed; None where the list says nothing about the
            scopes that it leaves out.
    """

    def __init__(
        self,
        hub: Hub,
        row: KoppelingRow,
        options: Options,
        *,
        context: Context,
        report: RunReport,
        progress: Progress,
    ) -> None:
        self.hub, self.row, self.options = hub, row, options
        self.context, self.report, self.progress = context, report, progress
        self.work, self.run_id = context.work, context.run_id
        self.deadline = Deadline(hub.clock, timedelta.max)
        self.listed: list[Scope] | None = None
        self._keys: tuple[str, ...] = ()
        self._drift: dict[str, set[str]] = {}

    def read(self, *, deadline: Deadline) -> None:
        """Read every scope that is selected, until the deadline.

        Raises: ConnectorError where nothing can be listed; OperationNotDeclaredError; SyncError.
        """
        context, self.deadline = self.context, deadline
        resources = self._resources(context.connector)
        listed = list(context.connector.scopes(today=context.today))
        self._check_schools(listed)
        wanted = [scope for scope in listed if self._selected(scope, resources)]
        order = {name: place for place, name in enumerate(resources)}
        wanted.sort(key=lambda scope: (order[scope.resource], scope.rank, scope.key))
        if not wanted:
            raise SyncError(
                "the source has nothing to read for this selection", advice=self._nothing()
            )
        if not self.options.resources and self.options.kind is not Kind.ONLY:
            self.listed = listed
        try:
            self._read_all(context, wanted, resources)
        finally:
            self._tell_drift(context)

    def _nothing(self) -> str:
        chosen = self.hub.settings.find_source(self.row.name).vestigingen
        names = ", ".join(number.reveal() for number in chosen or ())
        named = f", de `vestigingen` van de koppeling ({names})" if names else ""
        return f"Controleer de school{named} en de rechten: `koppelhub connectors check`."

    def _read_all(
        self, context: Context, scopes: Sequence[Scope], resources: Mapping[str, Resource]
    ) -> None:
        for some in self._rounds(context, scopes):
            for scope, keys in some:
                if self.report.readings and self.deadline.is_over():
                    self._out_of_time(self.report.readings[-1])  # and this one is left unread
                    return
                self._keys = keys
                with bound(entity=scope.resource):
                    if not self._read_scope(context, scope, resources[scope.resource]):
                        return
        self.deadline.is_over()  # whether its process is asked to stop

    def _rounds(self, context: Context, scopes: Sequence[Scope]) -> Iterator[Sequence[Wanted]]:
        """Scopes to read, each with the keys to look up in it; a round may rest on the last one."""
        if self.options.groups:
            yield from GroupLookup(context, self.options.groups, scopes).rounds()
        elif self.options.pupils:
            alone = {
                resource.name
                for resource in context.connector.manifest.resources
                if Capability.LOOKUP in resource.capabilities
            }
            yield from PupilLookup(context, self.options.pupils, scopes, alone=alone).rounds()
        elif self.options.only:
            yield self._holding(context, scopes)
        else:
            yield [(scope, ()) for scope in scopes]

    def _holding(self, context: Context, scopes: Sequence[Scope]) -> list[Wanted]:
        """Where to look for single records: wherever they can be asked for by themselves.

        Of other resources the scopes in which they stand, and all where they stand nowhere: those
        are read until they are met, and nothing else of them is taken.
        """
        only, asked = self.options.only, context.connector.manifest.resource
        own = {n: s for n, s in context.scopes.items() if context.scope_koppeling[n] == self.row.id}
        stands: dict[tuple[str, str], set[str]] = {}
        known: dict[str, set[str]] = {}
        for number, key in self.work.execute(
            f"SELECT scope_id, source_key FROM v_record WHERE {self.work.many('scope_id')} "
            f"AND {self.work.many('source_key')} AND NOT gone",
            (self.work.values(sorted(own)), self.work.values(list(only))),
        ):
            stands.setdefault((own[number].resource, own[number].key), set()).add(key)
            known.setdefault(own[number].resource, set()).add(key)
        found: list[Wanted] = []
        for scope in scopes:
            here = stands.get((scope.resource, scope.key), set())
            alone = Capability.LOOKUP in asked(scope.resource).capabilities
            stand = known.get(scope.resource, set())
            keys = tuple(key for key in only if alone or key in here or key not in stand)
            if keys:
                found.append((scope, keys))
        return found

    def _resources(self, connector: Connector) -> dict[str, Resource]:
        """The resources to read, in the connector's order; what was not declared is refused."""
        manifest = connector.manifest
        source = self.hub.settings.find_source(self.row.name)
        names = self.options.resources or source.resources
        chosen = [manifest.resource(name) for name in names] or [
            resource for resource in manifest.resources if not resource.optional
        ]
        # what cannot be looked up is picked out of a whole reading
        need = Capability.SNAPSHOT
        for resource in chosen:
            asked_alone = self.options.only and Capability.LOOKUP in resource.capabilities
            if need not in resource.capabilities and not asked_alone:
                raise OperationNotDeclaredError(
                    f"{manifest.system} does not declare {need} for {resource.name}"
                )
        if self.options.kind is Kind.DELTA and not any(
            Capability.DELTA in resource.capabilities for resource in chosen
        ):
            raise OperationNotDeclaredError(f"{manifest.system} does not declare delta")
        ordered = [r for r in manifest.resources if r in chosen]
        return {resource.name: resource for resource in ordered}

    def _check_schools(self, listed: Sequence[Scope]) -> None:
        """Refuse a number that no part of the source is of, where the parts say whose they are.

        Raises: ConfigurationError; it names the nearest.
        """
        every = self.context.renumbering.every_name
        known = list(dict.fromkeys(number for scope in listed for number in every(scope.brins)))
        for wanted in self.options.brins:
            if known and not any(number.startswith(wanted) for number in known):
                raise ConfigurationError(
                    f"{self.row.name} lists no part of school {wanted}",
                    advice=choice(wanted, known),
                )

    def _selected(self, scope: Scope, resources: dict[str, Resource]) -> bool:
        if scope.resource not in resources:
            return False
        source = self.hub.settings.find_source(self.row.name)
        numbers = self.context.renumbering.every_name(scope.brins)
        if scope.brins and not source.includes(numbers):
            return False
        wanted, apart = self.options.brins, self.options.apart
        if apart is not None and self.options.kind is not Kind.ONLY and not apart.has(scope.brins):
            return False
        return (
            not wanted or not scope.brins or any(b.startswith(w) for b in numbers for w in wanted)
        )

    def _read_scope(self, context: Context, scope: Scope, resource: Resource) -> bool:
        """Read one scope; False when the run must stop reading."""
        row = open_scope(context, scope)
        report = ReadingReport(
            scope.resource,
            scope.label or scope.key,
            "failed",
            schools=context.renumbering.schools(scope.brins),
        )
        self.report.readings.append(report)
        going_on = True
        try:
            with step(self.hub.tracing, "read", {"koppelhub.resource": scope.resource}) as span:
                self._attempts(context, row, resource, report)
                span.tell({"koppelhub.state": report.state, "koppelhub.read": report.read})
        except RequestRefusedError as error:
            report.state, report.reason, report.advice = "refused", str(error), error.advice
        except AuthenticationError as error:
            report.reason, report.advice = str(error), error.advice
            fail(self.report, error)
            going_on = False
        except ConnectorError as error:
            report.state = "failed"
            report.reason, report.advice = str(error), error.advice
            self.report.retryable = self.report.retryable or error.retryable
            _log.warning("reading failed: %s", error)
        if not self.options.dry:
            keep_reading(self.hub, context, row, report)
        return going_on

    def _attempts(
        self, context: Context, row: ScopeRow, resource: Resource, report: ReadingReport
    ) -> None:
        whole = not self._may_continue(context, row, resource)
        for attempt in range(_ATTEMPTS):
            reading, delta = self._open_reading(context, row, resource, whole=whole)
            changes = delta and self.options.kind is Kind.DELTA
            stager = Stager(context, row, changes=changes, whole=not delta)
            try:
                in_time = self._take(stager, reading, report)
            except CursorExpiredError:
                if whole:
                    raise
                _log.info("the cursor is too old: everything is read")
                whole = True
                continue
            finally:  # what drifted is told, also where that is what ended the reading
                self._drift.setdefault(report.resource, set()).update(stager.unknown)
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
                gone = stager.received.gone
                stager.absent()
                report.missing = stager.received.missing
                report.gone += stager.received.gone - gone
                self._completed(context, row, stager, report)
                break
            report.state = "incomplete"
            report.reason = completeness.reason or "een record kwam twee keer voor"
            report.advice = completeness.advice or "Er is niets afgesloten; de hub leest opnieuw."
            report.waits = completeness.waits and not shaken
            if report.waits:
                break
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
        self, context: Context, row: ScopeRow, resource: Resource, *, whole: bool
    ) -> tuple[Reading, bool]:
        connector, scope = context.connector, row.scope
        if self.options.kind is Kind.ONLY:
            if Capability.LOOKUP in resource.capabilities:
                return connector.lookup(scope, keys=self._keys), True
            return Picked(connector.snapshot(scope), self._keys), True
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
        try:
            for page in reading:
                if not begun:
                    stager.begin(reading.contract)
                    keep_terms(stager.context, stager.scope, reading.contract, stager.contract_fp)
                    begun = True
                stager.take(page)
                self.progress("read", report.resource, len(page.keys))
                if self.deadline.is_over():
                    stager.flush()
                    self._out_of_time(report)
                    return False
        except ConnectorError:
            stager.flush()  # what came before the fault stays true
            raise
        if not begun:
            stager.begin(reading.contract)
        stager.flush()
        if self.options.kind is not Kind.ONLY:
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
        report.waits = completeness.waits and not completeness.complete
        if report.waits or (looked_up and completeness.advice):  # it says what became of them
            report.reason, report.advice = completeness.reason, completeness.advice
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
        context.events += [(row.id, DROPPED, detail) for detail in stager.dropped()]

    def _tell_drift(self, context: Context) -> None:
        """One event per resource and run: what a source added, it added to all its scopes."""
        for resource, names in self._drift.items():
            if names:
                detail: dict[str, object] = {"resource": resource, "fields": sorted(names)}
                context.events.append((None, "schema drift", detail))


def keep_reading(hub: Hub, context: Context, row: ScopeRow, report: ReadingReport) -> None:
    """Write down what a run read of one scope; the run shows that it is alive."""
    work, run_id, now = context.work, context.run_id, hub.clock.now()
    with work.transaction():
        work.execute(
            "INSERT INTO reading (run_id, scope_id, state, read, added, changed, missing, "
            "gone, quarantined, reason, advice, finished_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run_id,
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
                now,
            ),
        )
        work.execute("UPDATE run SET heartbeat_at = ? WHERE id = ?", (now, run_id))


def _sum(report: ReadingReport, received: Received) -> None:
    report.read = received.read
    report.added += received.added
    report.changed += received.changed
    report.missing = received.missing
    report.gone += received.gone
    report.quarantined += received.quarantined
    report.warnings += received.warnings
    report.suppressed = received.suppressed
