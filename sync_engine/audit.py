"""The audit trail: who looked at or changed what; a hash chain, append-only, hub ids only."""

from __future__ import annotations

from hashlib import sha256

from sync_engine.hub import Hub
from sync_engine.store.dialect import Dialect
from sync_engine.store.work import Work

_START = bytes(32)


def note(hub: Hub, work: Work, *, operator: str, action: str, subject: str, why: str = "") -> None:
    """Add one line. Subjects are hub keys and numbers, never names.

    Must not be called inside a transaction.
    """
    with work.transaction():
        note_within(hub, work, operator=operator, action=action, subject=subject, why=why)


def note_within(
    hub: Hub, work: Work, *, operator: str, action: str, subject: str, why: str = ""
) -> None:
    """Add one line in the transaction that is open: with what it tells of, or not at all."""
    at = hub.clock.now()
    if work.dialect is Dialect.POSTGRESQL:  # two at once would both follow the same line
        work.execute("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE")
    rows = work.execute("SELECT digest FROM audit ORDER BY id DESC LIMIT 1")
    previous = bytes(rows[0][0]) if rows else _START
    digest = _digest(previous, at.isoformat(), operator, action, subject, why)
    work.execute(
        "INSERT INTO audit (at, operator, action, subject, why, previous, digest) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (at, operator, action, subject, why, previous, digest),
    )


def _digest(previous: bytes, *parts: str) -> bytes:
    hashed = sha256(previous)
    for part in parts:
        encoded = part.encode()
        hashed.update(len(encoded).to_bytes(4, "big") + encoded)
    return hashed.digest()
