"""The raw archive, read back: what each record of a scope said last, and under which terms.

The newest body of a record is the one in quarantine where there is one, else the newest payload.
Bodies come in slices of a bounded number, each read to its end before the next is asked: whoever
takes them may write the same tables in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from config.clock import local_date
from connectors.base import DeliveryContract
from sync_engine.context import Context
from sync_engine.store.values import instant
from sync_engine.store.work import Row

SLICE: Final = 500
"""Bodies that are in memory at once."""

ERASED: Final = "erased"
"""The salt of the person was erased: what was kept cannot be read any more."""
KEYLESS: Final = "keyless"
"""A record without a usable key: its connector must tell it apart first."""
NO_TERMS: Final = "no_terms"
"""Nobody knows any more which fields were delivered: empty and not delivered look the same."""
NO_PAYLOAD: Final = "no_payload"
"""Nothing is kept of it."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One raw body as the source sent it.

    Attributes:
        stored_on: day on which it was received.
        contract_fp: fingerprint of its terms; None where it is not known (quarantine).
        raw_fp: fingerprint of a quarantined body under its terms and the mapping of then.
        archived: it stands in the archive; False for what stands in quarantine only.
    """

    key: str
    body: bytes
    stored_on: date
    contract_fp: bytes | None
    raw_fp: bytes | None = None
    archived: bool = True

    def __repr__(self) -> str:
        """Neither the body nor the key: both may be personal data."""
        return "<Payload>"


class Archive:
    """What one scope said last.

    Args:
        context: of the run.
        scope_id: the scope.
        since: leave out what was stored before this day.
        skipped: takes how many records are left out, by reason.
    """

    def __init__(
        self, context: Context, scope_id: int, *, since: date | None, skipped: Counter[str]
    ) -> None:
        self._context = context
        self._scope_id = scope_id
        self._since = since
        self._skipped = skipped

    def payloads(self) -> Iterator[list[Payload]]:
        """The newest payload of every record that is not in quarantine, by source key.

        Raises: StoreError if one is damaged.
        """
        last = ""
        while True:
            records = self._context.work.execute(
                "SELECT r.source_key, r.id, r.salt FROM source_record r "
                "WHERE r.scope_id = ? AND r.source_key > ? "
                "AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.scope_id = r.scope_id "
                f"AND q.source_key = r.source_key) ORDER BY r.source_key LIMIT {SLICE}",
                (self._scope_id, last),
            )
            if not records:
                return
            last = records[-1][0]
            newest = self._newest([row[1] for row in records])
            yield [
                found
                for row in records
                if row[1] in newest and (found := self._payload(row, newest[row[1]])) is not None
            ]

    def _newest(self, records: Sequence[int]) -> dict[int, Row]:
        """Record → day, terms and body of its newest payload."""
        work = self._context.work
        rows = work.execute(
            "SELECT record_id, stored_on, contract_fp, body FROM raw_payload WHERE id IN "
            f"(SELECT MAX(id) FROM raw_payload WHERE {work.many('record_id')} GROUP BY record_id)",
            (work.values(records),),
        )
        return {row[0]: row[1:] for row in rows}

    def _payload(self, record: Row, newest: Row) -> Payload | None:
        (key, record_id, salt), (day, contract_fp, body) = record, newest
        stored_on = date.fromisoformat(str(day))
        if self._since is not None and stored_on < self._since:
            return None
        if salt is None:
            self._skipped[ERASED] += 1
            return None
        plain = self._context.cipher.person(salt).decrypt(body, b"raw|%d" % record_id)
        return Payload(key, plain, stored_on, contract_fp)

    def quarantined(self) -> Iterator[list[Payload]]:
        """Every body in quarantine that this run did not put there.

        Raises: StoreError if one is damaged.
        """
        last = 0
        while True:
            rows = self._context.work.execute(
                "SELECT q.id, q.source_key, q.salt, q.body, q.raw_fp, u.started_at, r.id, r.salt "
                "FROM quarantine q JOIN run u ON u.id = q.run_id "
                "LEFT JOIN source_record r ON r.scope_id = q.scope_id "
                "AND r.source_key = q.source_key "
                f"WHERE q.scope_id = ? AND q.id > ? AND q.run_id <> ? ORDER BY q.id LIMIT {SLICE}",
                (self._scope_id, last, self._context.run_id),
            )
            if not rows:
                return
            last = rows[-1][0]
            newest = self._newest([row[6] for row in rows if row[6] is not None])
            yield [
                found
                for row in rows
                if (found := self._quarantined(row, newest.get(row[6]))) is not None
            ]

    def _quarantined(self, row: Row, newest: Row | None) -> Payload | None:
        _, key, salt, body, raw_fp, started_at, record_id, record_salt = row
        stored_on = local_date(instant(started_at))
        if self._since is not None and stored_on < self._since:
            return None
        if record_id is None:
            self._skipped[KEYLESS] += 1
            return None
        if salt is None or record_salt is None:
            self._skipped[ERASED] += 1
            return None
        context = b"quarantine|%d|%s" % (self._scope_id, key.encode())
        cipher = self._context.cipher
        plain = cipher.person(salt).decrypt(body, context)
        if newest is None:
            return Payload(key, plain, stored_on, None, raw_fp, archived=False)
        archived = cipher.person(record_salt).decrypt(newest[2], b"raw|%d" % record_id)
        kept = plain == archived
        return Payload(key, plain, stored_on, newest[1] if kept else None, raw_fp, archived=kept)

    def count_bare(self) -> None:
        """Count records of which nothing is kept; not with `since`, which leaves them out too."""
        if self._since is None:
            self._skipped[NO_PAYLOAD] += self._context.work.execute(
                "SELECT COUNT(*) FROM source_record r WHERE r.scope_id = ? AND r.salt IS NOT NULL "
                "AND NOT EXISTS (SELECT 1 FROM raw_payload p WHERE p.record_id = r.id) "
                "AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.scope_id = r.scope_id "
                "AND q.source_key = r.source_key)",
                (self._scope_id,),
            )[0][0]


def narrowed(contract: DeliveryContract, dropped: frozenset[str]) -> DeliveryContract:
    """The terms without the fields that the configuration keeps out now.

    What was read while there was a purpose for it is not read again once there is none.
    """
    shut = {
        name: False
        for name in contract.fields
        if any(name == field or name.startswith(f"{field}.") for field in dropped)
    }
    return replace(contract, fields={**contract.fields, **shut}) if shut else contract


def common(contracts: Mapping[bytes, DeliveryContract]) -> DeliveryContract | None:
    """What all of these terms deliver: under it nothing can look empty that was not delivered.

    None where there are no terms at all.
    """
    if not contracts:
        return None
    every = list(contracts.values())
    names = sorted({name for contract in every for name in contract.fields})
    fields = {name: all(contract.delivers(name) for contract in every) for name in names}
    return DeliveryContract(fields, every[-1].version)
