"""Received: the rows that hold what sources say, and how a batch of them is written.

A real run merges them into the store; a dry run leaves them in temporary tables of the same shape,
and the views `v_record` and `v_shadow` lay those over the real ones for every later step. In the
same way `v_refold` is what must be folded again, `w_mark` being what only a dry run adds to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
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
    "received",
    "received_fp",
    "received_gone",
    "accepted",
    "accepted_fp",
    "accepted_gone",
    "refused_fp",
    "pending",
    "first_on",
    "observed_on",
    "held_until",
    "situation",
    "run_id",
)
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
    "stored_on": "DATE",
}


def columns(names: Iterable[str]) -> str:
    """DDL of temporary columns with the types of the tables that they stand for."""
    return ", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in names)


def prepare(context: Context) -> None:
    """Make the run's temporary tables, and the views through which later steps read."""
    work = context.work
    work.temp_table("w_record", columns(RECORD_COLUMNS) + ", PRIMARY KEY (scope_id, source_key)")
    work.temp_table("w_shadow", columns(SHADOW_COLUMNS) + ", PRIMARY KEY (id)")
    work.temp_table("w_raw", columns(RAW_COLUMNS))
    work.temp_table("w_quarantine", columns(QUARANTINE_COLUMNS))
    for name, table, names, key in (
        ("v_record", "source_record", RECORD_COLUMNS, "id"),
        ("v_shadow", "shadow", SHADOW_COLUMNS, "id"),
    ):
        overlay = f"w_{table.removeprefix('source_')}"
        listed = ", ".join(names)
        body = f"SELECT {listed} FROM {table}"
        if context.dry:
            body += (
                f" WHERE NOT EXISTS (SELECT 1 FROM {overlay} w WHERE w.{key} = {table}.{key})"
                f" UNION ALL SELECT {listed} FROM {overlay}"
            )
        work.temp_view(name, body)
    if context.dry:
        work.execute("CREATE INDEX IF NOT EXISTS w_shadow_record ON w_shadow (record_id)")
        work.execute("CREATE INDEX IF NOT EXISTS w_record_id ON w_record (id)")
    work.temp_table(
        "w_mark", "core_id BIGINT PRIMARY KEY, tenant_id INTEGER, entity TEXT, reason TEXT"
    )
    marks = "SELECT core_id, tenant_id, entity FROM "
    work.temp_view("v_refold", f"{marks} refold UNION {marks} w_mark")


@dataclass(slots=True)
class ShadowRow:
    """One row of `shadow`, whole; the order of the fields is that of SHADOW_COLUMNS."""

    id: int
    koppeling_id: int
    scope_id: int
    record_id: int
    entity: str
    source_key: str
    received: bytes
    received_fp: bytes
    received_gone: bool
    accepted: bytes | None
    accepted_fp: bytes | None
    accepted_gone: bool
    refused_fp: bytes | None
    pending: bool
    first_on: date | str
    observed_on: date | str
    held_until: date | str | None
    situation: str
    run_id: int

    def values(self) -> tuple[object, ...]:
        """The row for loading."""
        return tuple(getattr(self, name) for name in SHADOW_COLUMNS)

    def receive(self, blob: bytes, fingerprint: bytes, *, gone: bool) -> None:
        """Take another received form; the accepted one is kept beside it while they differ."""
        if self.accepted is None and self.accepted_fp == self.received_fp:
            self.accepted = self.received
        self.received, self.received_fp, self.received_gone = blob, fingerprint, gone
        if self.accepted_fp == fingerprint:
            self.accepted = None
        same = self.accepted_fp == fingerprint and self.accepted_gone == gone
        self.pending = not same and self.refused_fp != fingerprint


RecordValues: TypeAlias = tuple[int, int, str, bytes, bytes | None, str | None, bool]


@dataclass(slots=True)
class Batch:
    """Rows that one batch writes in one transaction."""

    records: list[RecordValues] = field(default_factory=list)
    shadows: list[ShadowRow] = field(default_factory=list)
    raw: list[tuple[object, ...]] = field(default_factory=list)
    quarantine: list[tuple[object, ...]] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    held: set[tuple[str, str]] = field(default_factory=set)
    cursor: str | None = None


def write(context: Context, scope_id: int, batch: Batch) -> int:
    """Write one batch, in one short transaction; a dry run keeps it in temporary tables.

    Returns: how many shadows were left out because another record of the scope holds them already.
    """
    work, dry = context.work, context.dry
    if dry:
        _forget(context, batch)
    work.load("w_record", RECORD_COLUMNS, batch.records)
    work.load("w_shadow", SHADOW_COLUMNS, [shadow.values() for shadow in batch.shadows])
    if dry or not (batch.records or batch.quarantine or batch.cursor is not None):
        return 0
    work.load("w_raw", RAW_COLUMNS, batch.raw)
    work.load("w_quarantine", QUARANTINE_COLUMNS, batch.quarantine)
    with work.transaction():
        work.execute(_SECOND_OWNER)
        doubles = work.changes
        for table in ("record", "shadow", "raw", "quarantine"):
            work.execute(_MERGE[table])
        for part in chunks(batch.resolved):
            work.execute(
                f"DELETE FROM quarantine WHERE scope_id = ? AND {work.many('source_key')}",
                (scope_id, work.values(part)),
            )
        if batch.cursor is not None:
            work.execute(
                "INSERT INTO source_cursor (scope_id, value, run_id) VALUES (?, ?, ?) "
                "ON CONFLICT (scope_id) DO UPDATE SET value = excluded.value, "
                "run_id = excluded.run_id",
                (scope_id, batch.cursor, context.run_id),
            )
    for table in ("record", "shadow", "raw", "quarantine"):
        work.execute(f"DELETE FROM w_{table}")
    return doubles


def _forget(context: Context, batch: Batch) -> None:
    """A dry run keeps one row per record in its overlay: the newest."""
    work = context.work
    for table, ids in (
        ("w_record", [row[0] for row in batch.records]),
        ("w_shadow", [shadow.id for shadow in batch.shadows]),
    ):
        for part in chunks(ids):
            work.execute(f"DELETE FROM {table} WHERE {work.many('id')}", (work.values(part),))


def _merge(target: str, names: Sequence[str], conflict: str, keep: frozenset[str]) -> str:
    listed = ", ".join(names)
    sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keep)
    return (
        f"INSERT INTO {target} ({listed}) SELECT {listed} FROM w_{target.removeprefix('source_')} "
        f"WHERE true ON CONFLICT ({conflict}) DO UPDATE SET {sets}"
    )


# Two records of one scope that both claim to hold the same canonical record: the first keeps it.
_SECOND_OWNER = (
    "DELETE FROM w_shadow WHERE EXISTS (SELECT 1 FROM shadow s WHERE s.id <> w_shadow.id "
    "AND s.koppeling_id = w_shadow.koppeling_id AND s.entity = w_shadow.entity "
    "AND s.source_key = w_shadow.source_key AND s.scope_id = w_shadow.scope_id)"
)

_MERGE = {
    "record": _merge("source_record", RECORD_COLUMNS, "scope_id, source_key", frozenset({"id"})),
    "shadow": _merge("shadow", SHADOW_COLUMNS, "id", frozenset({"id"})),
    "raw": f"INSERT INTO raw_payload ({', '.join(RAW_COLUMNS)}) "
    f"SELECT {', '.join(RAW_COLUMNS)} FROM w_raw",
    "quarantine": _merge(
        "quarantine",
        QUARANTINE_COLUMNS,
        "scope_id, source_key",
        frozenset({"scope_id", "source_key", "first_run"}),
    ),
}


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
