"""The raw archive, read back: what each record of a scope said last, and under which terms.

The newest body of a record is the one in quarantine where there is one, else the newest payload.
Bodies come in slices of a bounded number, each read to its end before the next is asked: whoever
takes them may write the same tables in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
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

_NEWEST: Final = "p.id = (SELECT MAX(x.id) FROM raw_payload x WHERE x.record_id = r.id)"


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
        recent = "AND p.stored_on >= ? " if self._since is not None else ""
        given = () if self._since is None else (self._since,)
        last = ""
        while True:
            rows = self._context.work.execute(
                "SELECT r.source_key, r.id, r.salt, p.stored_on, p.contract_fp, p.body "
                f"FROM source_record r JOIN raw_payload p ON {_NEWEST} "
                f"WHERE r.scope_id = ? AND r.source_key > ? {recent}"
                "AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.scope_id = r.scope_id "
                f"AND q.source_key = r.source_key) ORDER BY r.source_key LIMIT {SLICE}",
                (self._scope_id, last, *given),
            )
            if not rows:
                return
            last = rows[-1][0]
            yield [found for row in rows if (found := self._payload(row)) is not None]

    def _payload(self, row: Row) -> Payload | None:
        key, record_id, salt, stored_on, contract_fp, body = row
        if salt is None:
            self._skipped[ERASED] += 1
            return None
        plain = self._context.cipher.person(salt).decrypt(body, b"raw|%d" % record_id)
        return Payload(key, plain, date.fromisoformat(str(stored_on)), contract_fp)

    def quarantined(self) -> Iterator[list[Payload]]:
        """Every body in quarantine that this run did not put there.

        Raises: StoreError if one is damaged.
        """
        last = 0
        while True:
            rows = self._context.work.execute(
                "SELECT q.id, q.source_key, q.salt, q.body, q.raw_fp, u.started_at, r.id, r.salt, "
                "p.contract_fp, p.body FROM quarantine q JOIN run u ON u.id = q.run_id "
                "LEFT JOIN source_record r ON r.scope_id = q.scope_id "
                "AND r.source_key = q.source_key "
                f"LEFT JOIN raw_payload p ON {_NEWEST} "
                f"WHERE q.scope_id = ? AND q.id > ? AND q.run_id <> ? ORDER BY q.id LIMIT {SLICE}",
                (self._scope_id, last, self._context.run_id),
            )
            if not rows:
                return
            last = rows[-1][0]
            yield [found for row in rows if (found := self._quarantined(row)) is not None]

    def _quarantined(self, row: Row) -> Payload | None:
        _, key, salt, body, raw_fp, started_at, record_id, record_salt, terms, archived = row
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
        kept = archived is not None and plain == cipher.person(record_salt).decrypt(
            archived, b"raw|%d" % record_id
        )
        return Payload(key, plain, stored_on, terms if kept else None, raw_fp, archived=kept)

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
