"""Erased persons of a tenant are told to another one that gets koppelingen of it.

Nothing is known of them but digests under the old tenant's key: the new one gets those, and a copy
of that key under its own. A koppeling that was split off is recognised by the number of the one
that it was part of.
"""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_bytes

from sync_engine.sealed import suppression_context
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.work import Work
from sync_engine.suppression import Told, told_keys


def tell_erased(
    work: Work, ciphers: tuple[TenantCipher, TenantCipher], *, split: Mapping[int, int]
) -> int:
    """Within the transaction that is open; how many digests the new tenant was told.

    Args:
        work: of the hub.
        ciphers: of the old and of the new tenant.
        split: koppeling → the one that gets a part of it.
    """
    old, new = ciphers
    standing = "tenant_id = ? AND lifted_at IS NULL"
    if not work.execute(f"SELECT 1 FROM suppression WHERE {standing} LIMIT 1", (old.tenant_id,)):
        return 0
    was = {to: number for number, to in split.items()}
    told = {old.tenant_id: Told(old.suppression_key), **told_keys(work, old)}
    known = told_keys(work, new)
    for origin, one in told.items():
        if origin == new.tenant_id:
            continue  # its own, which come back
        before = known.get(origin, one).was
        chain = {number: one.was.get(former, former) for number, former in was.items()}
        merged = Told(one.key, {**before, **one.was, **chain})
        salt = token_bytes(16)
        body = new.person(salt).encrypt(
            merged.encoded(), suppression_context(new.tenant_id, origin)
        )
        work.execute(
            "INSERT INTO suppression_key (tenant_id, origin, salt, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (tenant_id, origin) DO UPDATE SET salt = excluded.salt, "
            "body = excluded.body",
            (new.tenant_id, origin, salt, body),
        )
    work.execute(
        "INSERT INTO suppression (tenant_id, digest, reason, created_at, erasure, kind, entity, "
        "core_id, along, origin, operator) SELECT CAST(? AS INTEGER), s.digest, s.reason, "
        "s.created_at, s.erasure, s.kind, s.entity, s.core_id, s.along, s.origin, s.operator "
        "FROM suppression s WHERE s.tenant_id = ? AND s.lifted_at IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM suppression o WHERE o.tenant_id = ? AND o.digest = s.digest "
        "AND o.lifted_at IS NULL)",
        (new.tenant_id, old.tenant_id, new.tenant_id),
    )
    return work.changes
