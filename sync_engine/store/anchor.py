"""The anchor of the audit trail: how many lines there are and how the last one hashes, sealed.

The seal is an HMAC under a key that is derived from a master key. Who can write the database and
does not hold that key can neither cut the end of the trail nor compute it anew without being found.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from config.errors import ConfigurationError
from sync_engine.store.cipher import MasterKeys
from sync_engine.store.tables import AuditAnchor
from sync_engine.store.work import Work

START: Final = bytes(32)
"""What the first line of the trail follows."""

_ONLY: Final = 1
_PURPOSE: Final = "audit-anchor"


@dataclass(frozen=True, slots=True)
class Anchor:
    """The end of the trail.

    Attributes:
        lines: how many there are.
        last_id: number of the last one; 0 where there is none.
        digest: of the last one.
    """

    lines: int = 0
    last_id: int = 0
    digest: bytes = START


def read_anchor(work: Work, keys: MasterKeys) -> Anchor | None:
    """The anchor as it was sealed; None where it is not there, or its seal is broken."""
    rows = work.execute("SELECT id, lines, last_id, digest, master_id, mac FROM audit_anchor")
    if len(rows) != 1:
        return None
    number, lines, last_id, digest, master_id, mac = rows[0]
    anchor = Anchor(lines, last_id, bytes(digest))
    try:
        sealed = _seal(anchor, keys, master_id)
    except ConfigurationError:  # a key that this key file does not hold
        return None
    good = number == _ONLY and hmac.compare_digest(sealed, bytes(mac))
    return anchor if good else None


def write_anchor(work: Work, keys: MasterKeys, anchor: Anchor) -> None:
    """Put the anchor in the place of the former one, in the transaction that is open."""
    row = sealed_row(anchor, keys)
    work.execute(
        "INSERT INTO audit_anchor (id, lines, last_id, digest, master_id, mac) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET lines = excluded.lines, "
        "last_id = excluded.last_id, digest = excluded.digest, master_id = excluded.master_id, "
        "mac = excluded.mac",
        (row.id, row.lines, row.last_id, row.digest, row.master_id, row.mac),
    )


def sealed_row(anchor: Anchor, keys: MasterKeys) -> AuditAnchor:
    """The anchor as a row, sealed under the active master key."""
    return AuditAnchor(
        id=_ONLY,
        lines=anchor.lines,
        last_id=anchor.last_id,
        digest=anchor.digest,
        master_id=keys.active_id,
        mac=_seal(anchor, keys, keys.active_id),
    )


def _seal(anchor: Anchor, keys: MasterKeys, master_id: str) -> bytes:
    told = b"%d|%d|%s|%s" % (anchor.lines, anchor.last_id, anchor.digest, master_id.encode())
    return hmac.digest(keys.derive(_PURPOSE, key_id=master_id), told, "sha256")
