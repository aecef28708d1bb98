"""Replay: what sources said last is mapped again, from the archive; no source is asked.

A mapping fix reaches every record in this way: each body goes through the stager with the mapping
of now and the terms under which it was delivered, so that its fingerprint is the one that the next
reading of the unchanged source makes. Nothing is seen by it: what is missing stays missing, what is
gone stays gone, no scope becomes complete and no cursor moves.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from itertools import chain

from config.logs import bound
from connectors.base import DeliveryContract, Page, Scope
from connectors.errors import ConnectorError
from sync_engine.archive import NO_TERMS, Archive, Payload, common, narrowed
from sync_engine.context import SCHEMA_VERSION, Context, ScopeRow, chunks
from sync_engine.deadline import Deadline
from sync_engine.errors import SyncError
from sync_engine.hub import Hub
from sync_engine.linking import dropped_fields
from sync_engine.met import DROPPED
from sync_engine.options import Options, Progress
from sync_engine.outcome import ReadingReport, RunReport
from sync_engine.reading import keep_reading
from sync_engine.received import WHOLE_COLUMNS, Batch, ShadowRow
from sync_engine.scopes import keep_terms, kept_terms, open_scope
from sync_engine.stage import Stager

_log = logging.getLogger(__name__)

_NOTHING = "Haal de gegevens eerst op met `koppelhub sync`; daarna kan dit opnieuw."
_UNKNOWN = "Lees deze bron opnieuw met `koppelhub sync`: van deze records ontbreken de voorwaarden."


class ReplayStager(Stager):
    """Stages bodies of the archive: it changes what records say, never whether they are there.

    Args:
        context: of the run.
        scope: of the bodies.
        contract: that they came under.
        again: map what is unchanged too, for a mapping whose version did not change.

    Attributes:
        rewritten: records that say something else, or broke a rule, by this replay.
    """

    def __init__(
        self, context: Context, scope: ScopeRow, contract: DeliveryContract, *, again: bool = False
    ) -> None:
        super().__init__(context, scope)
        self._again = again
        self.rewritten = 0
        self._payloads: dict[str, Payload] = {}
        self._terms = contract
        self.begin(contract)

    def replay(self, payloads: Sequence[Payload]) -> None:
        """Take some bodies, and write what they change."""
        keep_terms(self.context, self.scope, self._terms, self.contract_fp)
        self._payloads = {payload.key: payload for payload in payloads}
        self.take(Page(list(self._payloads), [payload.body for payload in payloads]))
        self.flush()

    def recognises(self, payload: Payload) -> bool:
        """Whether a quarantined body was delivered under these terms, with the mapping of now."""
        return self._raw_fp is not None and self._raw_fp(payload.body) == payload.raw_fp

    def _take_back(self, back: Sequence[object]) -> None:
        """A record that is missed is not back: the source was not asked."""

    def _write(self, batch: Batch) -> None:
        if batch.records or batch.new_records:
            _Unseen(self.context, batch, self._payloads).restore()
            self.rewritten += len(batch.records) + len(batch.new_records)
        super()._write(batch)


class _Unseen:
    """Takes out of a batch what only a reading may say: that a record is there.

    Args:
        context: of the run.
        batch: of records that the store knows; not yet written.
        payloads: source key → what it was made of.
    """

    def __init__(self, context: Context, batch: Batch, payloads: dict[str, Payload]) -> None:
        self._batch = batch
        self._payloads = payloads
        records = [*batch.new_records, *batch.records]
        self._key = {row[0]: row[2] for row in records}
        self._missing: dict[int, str | None] = {}
        self._gone: set[int] = set()
        self._same: set[int] = set()
        self._before: dict[int, ShadowRow] = {}
        self._held: dict[int, date | str | None] = {}
        digest = {row[0]: row[3] for row in records}
        work = context.work
        for part in chunks(list(self._key)):
            ids = work.values(part)
            for number, raw_fp, missing, gone in work.execute(
                f"SELECT id, raw_fp, missing_since, gone FROM v_record WHERE {work.many('id')}",
                (ids,),
            ):
                self._missing[number] = missing
                if gone:
                    self._gone.add(number)
                if raw_fp == digest[number]:
                    self._same.add(number)
            for row in work.execute(
                f"SELECT {', '.join(WHOLE_COLUMNS)} FROM v_shadow WHERE {work.many('record_id')}",
                (ids,),
            ):
                shadow = ShadowRow(*row)
                self._before[shadow.id] = shadow
                if not shadow.received_gone:
                    self._held[shadow.record_id] = shadow.held_until

    def restore(self) -> None:
        """Leave the batch with what a replay may write."""
        batch, failed = self._batch, {row[1] for row in self._batch.quarantine}
        idle = {  # who is gone says nothing new by saying the same, and breaks no rule
            number for number in self._gone if number in self._same or self._key[number] in failed
        }
        idle_keys = {self._key[number] for number in idle}
        batch.records = [
            (*row[:5], self._missing[row[0]], row[0] in self._gone)
            for row in batch.records
            if row[0] not in idle
        ]
        batch.quarantine = [row for row in batch.quarantine if row[1] not in idle_keys]
        batch.resolved = [key for key in batch.resolved if key not in idle_keys]
        batch.raw = [kept for row in batch.raw if (kept := self._archived(row)) is not None]
        batch.new_shadows = self._kept(batch.new_shadows, idle)
        batch.shadows = self._kept(batch.shadows, idle)

    def _kept(self, shadows: Sequence[ShadowRow], idle: Collection[int]) -> list[ShadowRow]:
        return [
            shadow for shadow in shadows if shadow.record_id not in idle and self._restored(shadow)
        ]

    def _archived(self, row: tuple[object, ...]) -> tuple[object, ...] | None:
        """A body that came out of the quarantine goes into the archive, of the day it came in."""
        record_id, run_id, contract_fp, _, sealed = row
        payload = self._payloads[self._key[record_id] if isinstance(record_id, int) else ""]
        if payload.archived:
            return None
        return record_id, run_id, contract_fp, payload.stored_on, sealed

    def _restored(self, shadow: ShadowRow) -> bool:
        """Give a shadow back what only the source can say; False where nothing of it is written.

        What a record that is gone would say for the first time is not made any more.
        """
        record = shadow.record_id
        gone, missing = record in self._gone, self._missing.get(record) is not None
        before, stored_on = self._before.get(shadow.id), self._payloads[self._key[record]].stored_on
        if before is None:
            shadow.first_on = shadow.observed_on = stored_on
            shadow.held_until = self._held.get(record) if missing else None
            return not gone
        shadow.observed_on = max(str(before.observed_on), stored_on.isoformat())
        if gone:
            shadow.receive(shadow.received, shadow.received_fp, gone=True)
            shadow.held_until = before.held_until
        elif missing and not shadow.received_gone:
            known = not before.received_gone
            shadow.held_until = before.held_until if known else self._held.get(record)
        return (shadow.received_fp, bool(shadow.received_gone)) != (
            before.received_fp,
            bool(before.received_gone),
        )


class ScopeReplay:
    """Replays one scope: a stager for each delivery contract that its bodies came under.

    Args:
        context: of the run.
        row: the scope.
        dropped: fields of its resource that the configuration keeps out now.
        skipped: takes how many records are left out, by reason.
        again: map what is unchanged too.
    """

    def __init__(
        self,
        context: Context,
        row: ScopeRow,
        *,
        dropped: frozenset[str],
        skipped: Counter[str],
        again: bool = False,
    ) -> None:
        self._context, self._row, self._skipped, self._again = context, row, skipped, again
        self._terms = {
            fingerprint: narrowed(contract, dropped)
            for fingerprint, contract in kept_terms(context.work, row.id).items()
        }
        self._stagers: dict[bytes | None, ReplayStager] = {}

    @property
    def stagers(self) -> Sequence[ReplayStager]:
        """Those that took something."""
        return list(self._stagers.values())

    def take(self, payloads: Sequence[Payload]) -> None:
        """Map these bodies again, and write what they change."""
        by_terms: dict[int, tuple[ReplayStager, list[Payload]]] = {}
        for payload in payloads:
            stager = self._stager_of(payload)
            if stager is None:
                self._skipped[NO_TERMS] += 1
                continue
            by_terms.setdefault(id(stager), (stager, []))[1].append(payload)
        for stager, some in by_terms.values():
            stager.replay(some)

    def _stager_of(self, payload: Payload) -> ReplayStager | None:
        if payload.contract_fp is not None:
            return self._stager(bytes(payload.contract_fp))
        if len(self._terms) == 1:
            return self._stager(next(iter(self._terms)))
        for fingerprint in self._terms:
            stager = self._stager(fingerprint)
            if stager is not None and stager.recognises(payload):
                return stager
        return self._stager(None)

    def _stager(self, fingerprint: bytes | None) -> ReplayStager | None:
        """Of one contract; of None: of what all contracts of the scope have in common."""
        if fingerprint not in self._stagers:
            contract = common(self._terms) if fingerprint is None else self._terms.get(fingerprint)
            if contract is None:
                return None
            self._stagers[fingerprint] = ReplayStager(
                self._context, self._row, contract, again=self._again
            )
        return self._stagers[fingerprint]


class Replayer:
    """Replays what one run is asked to replay."""

    def __init__(
        self,
        hub: Hub,
        options: Options,
        *,
        context: Context,
        report: RunReport,
        progress: Progress,
    ) -> None:
        self._hub, self._options = hub, options
        self._context, self._report, self._progress = context, report, progress
        self._skipped: Counter[str] = Counter()
        self._dropped = _dropped(hub, context)

    def replay(self, *, deadline: Deadline) -> None:
        """Replay every scope that is selected, until the deadline.

        Raises: SyncError where nothing was ever received; ConfigurationError for an unknown
            resource; StoreError if a body is damaged.
        """
        scopes = _own_scopes(self._context, self._options.resources)
        if not scopes:
            raise SyncError("there is nothing in the archive for this selection", advice=_NOTHING)
        try:
            for scope in scopes:
                with bound(entity=scope.resource):
                    if not self._scope(scope, deadline.is_over):
                        break
        finally:
            self._report.skipped = dict(sorted((+self._skipped).items()))

    def _scope(self, scope: Scope, is_late: Callable[[], bool]) -> bool:
        """Replay one scope; False when the time is up."""
        context = self._context
        row = open_scope(context, scope)
        report = ReadingReport(scope.resource, scope.label or scope.key, "replayed")
        self._report.readings.append(report)
        unknown = self._skipped[NO_TERMS]
        archive = Archive(context, row.id, since=self._options.since, skipped=self._skipped)
        dropped = self._dropped(scope.resource)
        again = ScopeReplay(
            context,
            row,
            dropped=dropped,
            skipped=self._skipped,
            again=self._options.quarantine,
        )
        if not self._options.quarantine:
            archive.count_bare()
        try:
            in_time = self._take(archive, again, scope.resource, is_late)
        except ConnectorError as error:
            report.state, report.reason, report.advice = "failed", str(error), error.advice
            _log.warning("replay failed: %s", error)
            in_time = True
        self._sum(row, again, report)
        if self._skipped[NO_TERMS] > unknown and report.state == "replayed":
            report.state, report.advice = "incomplete", _UNKNOWN
            report.reason = f"{self._skipped[NO_TERMS] - unknown} records have unknown terms"
        if not in_time:
            report.state, report.reason = "incomplete", "the time of this run was up"
            report.advice = "Draai `koppelhub replay` nog eens; wat gedaan is blijft gedaan."
        if not context.dry:
            keep_reading(self._hub, context, row, report)
        return in_time

    def _take(
        self, archive: Archive, again: ScopeReplay, resource: str, is_late: Callable[[], bool]
    ) -> bool:
        options = self._options
        kept = () if options.quarantine else archive.payloads()
        for found in chain(kept, archive.quarantined()):
            if is_late():
                return False
            payloads = [p for p in found if not options.only or p.key in options.only]
            again.take(payloads)
            self._progress("read", resource, len(payloads))
        return True

    def _sum(self, row: ScopeRow, again: ScopeReplay, report: ReadingReport) -> None:
        for stager in again.stagers:
            received = stager.received
            report.read += received.read
            report.changed += stager.rewritten
            report.gone += received.gone
            report.quarantined += received.quarantined
            report.warnings += received.warnings
            report.suppressed += received.suppressed
            self._context.events += [(row.id, DROPPED, detail) for detail in stager.dropped()]


def retry_quarantine(hub: Hub, context: Context) -> int:
    """Try what is in quarantine again when the mapping has changed since it was last tried.

    Nobody asks for it and no source is needed; what a reading of this run brings counts after it.

    Returns: how many records were tried.
    Raises: StoreError if a body is damaged.
    """
    work, tenant = context.work, context.koppeling.tenant_id
    name = f"mapping of koppeling {context.koppeling.id}"
    version = f"{SCHEMA_VERSION}|{context.mapping.version}".encode()
    fingerprint = context.cipher.fingerprint(b"mapping")(version)
    known = work.execute(
        "SELECT fingerprint FROM fold_input WHERE tenant_id = ? AND name = ?", (tenant, name)
    )
    if known and bytes(known[0][0]) == fingerprint:
        return 0
    tried = 0
    try:
        for tried_now in _retried(hub, context):
            tried += tried_now
    except ConnectorError as error:  # the drift policy refuses: a person changes one of both
        _log.warning("quarantine is not tried again: %s", error)
        return tried
    if tried:
        context.events.append((None, "quarantine retried", {"records": tried}))
    if not context.dry:
        work.execute(
            "INSERT INTO fold_input (tenant_id, name, fingerprint) VALUES (?, ?, ?) "
            "ON CONFLICT (tenant_id, name) DO UPDATE SET fingerprint = excluded.fingerprint",
            (tenant, name, fingerprint),
        )
    return tried


def _retried(hub: Hub, context: Context) -> Iterator[int]:
    """How many records of each slice were tried again."""
    dropped, skipped = _dropped(hub, context), Counter[str]()
    held = {row[0] for row in context.work.execute("SELECT DISTINCT scope_id FROM quarantine")}
    for scope in _own_scopes(context, ()):
        row = open_scope(context, scope)
        if row.id not in held:
            continue
        again = ScopeReplay(context, row, dropped=dropped(scope.resource), skipped=skipped)
        for payloads in Archive(context, row.id, since=None, skipped=skipped).quarantined():
            again.take(payloads)
            yield len(payloads)


def _own_scopes(context: Context, resources: Sequence[str]) -> list[Scope]:
    """The scopes of this koppeling that were ever read, in the order in which they are read.

    Raises: ConfigurationError if the system has no resource of that name.
    """
    manifest = context.connector.manifest
    chosen = {manifest.resource(name).name for name in resources}
    order = {resource.name: place for place, resource in enumerate(manifest.resources)}
    return sorted(
        (
            scope
            for number, scope in context.scopes.items()
            if number not in context.apart
            and context.scope_koppeling[number] == context.koppeling.id
            and scope.resource in (chosen or order)
        ),
        key=lambda scope: (order[scope.resource], scope.rank, scope.key),
    )


def _dropped(hub: Hub, context: Context) -> Callable[[str], frozenset[str]]:
    """Resource → its fields that the configuration keeps out now."""
    source = hub.settings.find_source(context.koppeling.name)
    names = dropped_fields(hub.settings, source, context.connector.manifest)

    def of(resource: str) -> frozenset[str]:
        prefix = f"{resource}."
        return frozenset(n.removeprefix(prefix) for n in names if n.startswith(prefix))

    return of
