"""Received: the rows that hold what sources say, and how a batch of them is written.

A real run merges them into the store; a dry run leaves them in temporary tables of the same shape,
and the views `v_record` and `v_shadow` lay those over the real ones for every later step. In the
same way `v_refold` is what must be folded again, `w_mark` being what only a dry run adds to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter
from typing import TypeAlias

import msgspec

from sync_engine.context import Context, chunks
from sync_engine.fold import RETAINED

RECORD_COLUMNS = ("id", "scope_id", "source_key", "raw_fp", "salt", "missing_since", "gone")
SHADOW_COLUMNS = (
    "id",
    "koppeling_id",
    "scope_id",
    "record_id",
    "entity",
    "source_key",
    "received_fp",
    "received_gone",
    "accepted_fp",
    "accepted_gone",
    "refused_fp",
    "pending",
    "first_on",
    "observed_on",
    "held_until",
    "situation",
    "run_id",
    "accepted_run",
    "refused_run",
    "accepted_held",
)
FORM_COLUMNS = ("shadow_id", "received", "accepted")
WHOLE_COLUMNS = (*SHADOW_COLUMNS, "received", "accepted", "salt")
"""A shadow with its forms and the salt of its record, as the view `v_shadow` gives it."""
RAW_COLUMNS = ("record_id", "run_id", "contract_fp", "stored_on", "body")
QUARANTINE_COLUMNS = (
    "scope_id",
    "source_key",
    "path",
    "rule",
    "salt",
    "body",
    "raw_fp",
    "first_run",
    "run_id",
)

_TYPES = {
    "id": "BIGINT",
    "record_id": "BIGINT",
    "scope_id": "INTEGER",
    "koppeling_id": "INTEGER",
    "run_id": "INTEGER",
    "first_run": "INTEGER",
    "accepted_run": "INTEGER",
    "refused_run": "INTEGER",
    "received": "BLOB",
    "received_fp": "BLOB",
    "accepted": "BLOB",
    "accepted_fp": "BLOB",
    "refused_fp": "BLOB",
    "raw_fp": "BLOB",
    "contract_fp": "BLOB",
    "salt": "BLOB",
    "body": "BLOB",
    "gone": "BOOLEAN",
    "received_gone": "BOOLEAN",
    "accepted_gone": "BOOLEAN",
    "pending": "BOOLEAN",
    "missing_since": "TIMESTAMP",
    "first_on": "DATE",
    "observed_on": "DATE",
    "held_until": "DATE",
    "accepted_held": "DATE",
    "stored_on": "DATE",
}


def columns(names: Iterable[str]) -> str:
    """DDL of temporary columns with the types of the tables that they stand for."""
    return ", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in names)


def prepare(context: Context) -> None:
    """Make the run's temporary tables, and the views through which later steps read."""
    work = context.work
    work.temp_table("w_record", columns(RECORD_COLUMNS) + ", PRIMARY KEY (scope_id, source_key)")
    work.temp_table("w_shadow", columns(WHOLE_COLUMNS) + ", PRIMARY KEY (id)")
    work.temp_table("w_quarantine", columns(QUARANTINE_COLUMNS))
    record = ", ".join(RECORD_COLUMNS)
    records = f"SELECT {record} FROM source_record"
    if context.dry:
        records += (
            " WHERE NOT EXISTS (SELECT 1 FROM w_record w WHERE w.id = source_record.id)"
            f" UNION ALL SELECT {record} FROM w_record"
        )
        work.execute("CREATE INDEX IF NOT EXISTS w_shadow_record ON w_shadow (record_id)")
        work.execute("CREATE INDEX IF NOT EXISTS w_record_id ON w_record (id)")
    work.temp_view("v_record", records)
    work.temp_view("v_shadow", _shadows(context))
    work.temp_table(
        "w_mark", "core_id BIGINT PRIMARY KEY, tenant_id INTEGER, entity TEXT, reason TEXT"
    )
    marks = "SELECT core_id, tenant_id, entity FROM "
    work.temp_view("v_refold", f"{marks} refold UNION {marks} w_mark")


def all_pending(context: Context) -> None:
    """From now on all that this koppeling still says is pending, as if nothing were accepted.

    For who tries what correlation would answer; `prepare` makes it as it is again.
    """
    said = f"({{0}}.koppeling_id = {context.koppeling.id:d} AND NOT {{0}}.received_gone)"
    context.work.temp_view("v_shadow", _shadows(context, pending=said))


def _shadows(context: Context, *, pending: str = "{0}.pending") -> str:
    """The query of all shadows with their forms and salts, those of a dry run over the others."""
    told = {"pending": f"{pending} AS pending"}

    def listed(names: Iterable[str], table: str) -> str:
        return ", ".join(told.get(n, f"{{0}}.{n}").format(table) for n in names)

    query = (  # LEFT JOIN: who does not ask for the forms or the salt does not read them
        f"SELECT {listed(SHADOW_COLUMNS, 'shadow')}, shadow_form.received, shadow_form.accepted, "
        "source_record.salt FROM shadow "
        "LEFT JOIN shadow_form ON shadow_form.shadow_id = shadow.id "
        "LEFT JOIN source_record ON source_record.id = shadow.record_id"
    )
    if not context.dry:
        return query
    return (
        f"{query} WHERE NOT EXISTS (SELECT 1 FROM w_shadow w WHERE w.id = shadow.id)"
        f" UNION ALL SELECT {listed(WHOLE_COLUMNS, 'w_shadow')} FROM w_shadow"
    )


class ShadowRow(msgspec.Struct):
    """One shadow, whole; the order of the fields is that of WHOLE_COLUMNS."""

    id: int
    koppeling_id: int
    scope_id: int
    record_id: int
    entity: str
    source_key: str
    received_fp: bytes
    received_gone: bool
    accepted_fp: bytes | None
    accepted_gone: bool
    refused_fp: bytes | None
    pending: bool
    first_on: date | str
    observed_on: date | str
    held_until: date | str | None
    situation: str
    run_id: int
    accepted_run: int | None
    refused_run: int | None
    accepted_held: date | str | None
    received: bytes
    accepted: bytes | None
    salt: bytes | None

    @classmethod
    def first(
        cls,
        context: Context,
        number: int,
        *,
        scope_id: int,
        record: tuple[int, bytes],
        identity: tuple[str, str],
        form: tuple[bytes, bytes],
        situation: str,
    ) -> ShadowRow:
        """A shadow that is received for the first time today; nothing of it is accepted.

        Args:
            context: of the run.
            number: of the shadow.
            scope_id: where it was read.
            record: raw record and its salt.
            identity: (entity, source key).
            form: encrypted, and its fingerprint.
            situation: until it is correlated.
        """
        (record_id, salt), (entity, source_key), (blob, fingerprint) = record, identity, form
        today = context.today.isoformat()
        return cls(
            id=number,
            koppeling_id=context.koppeling.id,
            scope_id=scope_id,
            record_id=record_id,
            entity=entity,
            source_key=source_key,
            received_fp=fingerprint,
            received_gone=False,
            accepted_fp=None,
            accepted_gone=False,
            refused_fp=None,
            pending=True,
            first_on=today,
            observed_on=today,
            held_until=None,
            situation=situation,
            run_id=context.run_id,
            accepted_run=None,
            refused_run=None,
            accepted_held=None,
            received=blob,
            accepted=None,
            salt=salt,
        )

    def receive(self, blob: bytes, fingerprint: bytes, *, gone: bool) -> None:
        """Take another received form; the accepted one is kept beside it while they differ.

        What was refused was the form until now: another one is proposed again.
        """
        if (fingerprint, gone) == (self.received_fp, bool(self.received_gone)):
            self.received = blob
            return
        self.refused_fp = self.refused_run = None
        if self.accepted_gone and self.accepted_held is None:  # the days below tell of what comes
            self.accepted_held = self.held_until or self.observed_on
        if self.accepted is None and self.accepted_fp == self.received_fp:
            self.accepted = self.received
        self.received, self.received_fp, self.received_gone = blob, fingerprint, gone
        if self.accepted_fp == fingerprint:
            self.accepted = None
        same = self.accepted_fp == fingerprint and self.accepted_gone == gone
        self.pending = not same


_whole = attrgetter(*WHOLE_COLUMNS)
_narrow = attrgetter(*SHADOW_COLUMNS)
_form = attrgetter("id", "received", "accepted")

RecordValues: TypeAlias = tuple[int, int, str, bytes, bytes | None, str | None, bool]


@dataclass(slots=True)
class Batch:
    """Rows that one batch writes in one transaction.

    Attributes:
        new_records, records: rows of source records that are not there yet, and that are.
        new_shadows, shadows: the same of shadows.
        raw: raw payloads; `quarantine`: records that broke a rule; `resolved`: keys that no longer
            do.
        keys: of `new_records`.
        held: (entity, key) of the canonical records of this batch.
        cursor: where the next delta goes on once this batch is written.
    """

    new_records: list[RecordValues] = field(default_factory=list)
    records: list[RecordValues] = field(default_factory=list)
    new_shadows: list[ShadowRow] = field(default_factory=list)
    shadows: list[ShadowRow] = field(default_factory=list)
    raw: list[tuple[object, ...]] = field(default_factory=list)
    quarantine: list[tuple[object, ...]] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    held: set[tuple[str, str]] = field(default_factory=set)
    cursor: str | None = None

    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        records = self.new_records or self.records
        return not (records or self.quarantine or self.cursor is not None)


def write(context: Context, scope_id: int, batch: Batch) -> int:
    """Write one batch, in one short transaction; a dry run keeps it in temporary tables.

    Returns: how many shadows were left out because another record of the scope holds them already.
    """
    work = context.work
    if context.dry:
        _overlay(context, batch)
        return 0
    if batch.is_empty():
        return 0
    work.load("w_record", RECORD_COLUMNS, batch.records)
    work.load("w_shadow", WHOLE_COLUMNS, map(_whole, batch.shadows))
    work.load("w_quarantine", QUARANTINE_COLUMNS, batch.quarantine)
    with work.transaction():
        work.load("source_record", RECORD_COLUMNS, batch.new_records)
        doubles = _add_shadows(context, batch.new_shadows)
        work.load("raw_payload", RAW_COLUMNS, batch.raw)
        for statement in _changes_of(batch):
            work.execute(statement)
        if batch.resolved:
            _leave_quarantine(context, scope_id, batch.resolved)
        if batch.cursor is not None:
            work.execute(
                "INSERT INTO source_cursor (scope_id, value, run_id) VALUES (?, ?, ?) "
                "ON CONFLICT (scope_id) DO UPDATE SET value = excluded.value, "
                "run_id = excluded.run_id",
                (scope_id, batch.cursor, context.run_id),
            )
    return doubles


def _overlay(context: Context, batch: Batch) -> None:
    """A dry run keeps one row per record in its overlay: the newest."""
    work = context.work
    records = [*batch.new_records, *batch.records]
    shadows = [*batch.new_shadows, *batch.shadows]
    for table, ids in (
        ("w_record", [row[0] for row in records]),
        ("w_shadow", [shadow.id for shadow in shadows]),
    ):
        for part in chunks(ids):
            work.execute(f"DELETE FROM {table} WHERE {work.many('id')}", (work.values(part),))
    work.load("w_record", RECORD_COLUMNS, records)
    work.load("w_shadow", WHOLE_COLUMNS, map(_whole, shadows))


def _add_shadows(context: Context, shadows: Sequence[ShadowRow]) -> int:
    """Insert new shadows with their forms.

    Of two records of one scope that both claim to hold the same canonical record the first keeps
    it. Returns: how many were left out for that.
    """
    work = context.work
    added = work.insert_new("shadow", SHADOW_COLUMNS, map(_narrow, shadows))
    work.load("shadow_form", FORM_COLUMNS, map(_form, shadows))
    doubles = len(shadows) - added
    if doubles:
        for part in chunks([shadow.id for shadow in shadows]):
            work.execute(
                f"DELETE FROM shadow_form WHERE {work.many('shadow_id')} AND NOT EXISTS "
                "(SELECT 1 FROM shadow s WHERE s.id = shadow_form.shadow_id)",
                (work.values(part),),
            )
    return doubles


def _changes_of(batch: Batch) -> Iterator[str]:
    """Statements that bring what stands in the temporary tables into the store."""
    for rows, table, statements in (
        (batch.records, "w_record", (_MERGE_RECORD,)),
        (batch.shadows, "w_shadow", (_MERGE_SHADOW, _MERGE_FORM)),
        (batch.quarantine, "w_quarantine", (_MERGE_QUARANTINE,)),
    ):
        if rows:
            yield from statements
            yield f"DELETE FROM {table}"


def _leave_quarantine(context: Context, scope_id: int, keys: Sequence[str]) -> None:
    """These records break no rule any more."""
    work = context.work
    if not work.execute("SELECT 1 FROM quarantine WHERE scope_id = ? LIMIT 1", (scope_id,)):
        return
    for part in chunks(keys):
        work.execute(
            f"DELETE FROM quarantine WHERE scope_id = ? AND {work.many('source_key')}",
            (scope_id, work.values(part)),
        )


def _merge(target: str, names: Sequence[str], conflict: str, *, keep: frozenset[str]) -> str:
    listed = ", ".join(names)
    sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keep)
    return (
        f"INSERT INTO {target} ({listed}) SELECT {listed} FROM w_{target.removeprefix('source_')} "
        f"WHERE true ON CONFLICT ({conflict}) DO UPDATE SET {sets}"
    )


# What a row is of never changes; to set it all the same would have SQLite renew its index entries.
_OF_RECORD = frozenset({"id", "scope_id", "source_key"})
_OF_SHADOW = frozenset({"id", "koppeling_id", "scope_id", "record_id", "entity", "source_key"})
_MERGE_RECORD = _merge("source_record", RECORD_COLUMNS, "id", keep=_OF_RECORD)
_MERGE_SHADOW = _merge("shadow", SHADOW_COLUMNS, "id", keep=_OF_SHADOW)
_MERGE_FORM = (
    "INSERT INTO shadow_form (shadow_id, received, accepted) SELECT id, received, accepted "
    "FROM w_shadow WHERE true ON CONFLICT (shadow_id) DO UPDATE SET "
    "received = excluded.received, accepted = excluded.accepted"
)
_MERGE_QUARANTINE = _merge(
    "quarantine",
    QUARANTINE_COLUMNS,
    "scope_id, source_key",
    keep=frozenset({"scope_id", "source_key", "first_run"}),
)


def retain(form: bytes, old: bytes) -> bytes:
    """The new form, with what was delivered before and is not delivered now kept and marked.

    A source that no longer delivers a field never erases it (design.md, idea 3).
    """
    now = msgspec.json.decode(form)
    before = msgspec.json.decode(old)
    kept = sorted(name for name in before if name not in now and name != RETAINED)
    if not kept:
        return form
    merged = now | {name: before[name] for name in kept} | {RETAINED: kept}
    return msgspec.json.encode(merged, order="sorted")
