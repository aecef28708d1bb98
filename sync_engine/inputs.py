"""Inputs of the fold that are no records: koppelingen, policy, mapping strengths, expired pins.

When one of them changes, the core records concerned are written to the refold table, in one
transaction with the new fingerprint; the plan that follows drains it. A dry run marks the same
records for its own plan, and remembers nothing.
"""

from __future__ import annotations

import msgspec

from sync_engine import herinrichtingen
from sync_engine.context import Context
from sync_engine.scopes import end_scope


def note_changed_inputs(context: Context) -> None:
    """Compare the inputs with those of the last run, and mark what must be folded again.

    Only under the lock of the tenant: a plan that is being made would drain the marks unseen.
    """
    _koppelingen(context)
    _policy(context)
    _expired_pins(context)
    herinrichtingen.note_changed(context)


def _koppelingen(context: Context) -> None:
    """A koppeling that the configuration no longer has proves nothing any more: its scopes end.

    What it said stays, believed last; it closes nobody and keeps nobody open. Of its cases nobody
    can decide any more. When the configuration has it again, its next run takes the scopes back.
    """
    ended: dict[int, int] = {}
    for scope_id, koppeling_id in context.scope_koppeling.items():
        left = context.koppelingen[koppeling_id] not in context.mappings
        if left and scope_id not in context.ended_scopes | context.adopted_scopes:
            end_scope(context, scope_id, ended=True)
            ended[koppeling_id] = ended.get(koppeling_id, 0) + 1
    for koppeling_id, scopes in ended.items():
        told: dict[str, object] = {"koppeling": context.koppelingen[koppeling_id], "scopes": scopes}
        context.events.append((None, "koppeling ended", told))
        if not context.dry:
            context.work.execute(
                "UPDATE zaak SET state = 'closed', closed_run = ?, closed_at = ? "
                "WHERE koppeling_id = ? AND state = 'open'",
                (context.run_id, context.now, koppeling_id),
            )


def _policy(context: Context) -> None:
    work, tenant = context.work, context.koppeling.tenant_id
    inputs = {
        "authority": context.policy.authority.model_dump(mode="json"),
        "reactions": context.policy.reactions.model_dump(mode="json"),
        "strengths": {
            name: {str(entity): fields for entity, fields in mapping.strengths.items()}
            for name, mapping in context.mappings.items()
        },
    }
    text = msgspec.json.encode(inputs, order="sorted")
    fingerprint = context.cipher.fingerprint(b"fold input")(text)
    rows = work.execute(
        "SELECT fingerprint FROM fold_input WHERE tenant_id = ? AND name = 'policy'", (tenant,)
    )
    if rows and bytes(rows[0][0]) == fingerprint:
        return
    with work.transaction():
        if rows:
            work.execute(
                f"INSERT INTO {context.marks} (core_id, tenant_id, entity, reason) "
                "SELECT DISTINCT l.core_id, k.tenant_id, l.entity, 'policy' FROM link l "
                "JOIN koppeling k ON k.id = l.koppeling_id WHERE k.tenant_id = ? "
                "ON CONFLICT (core_id) DO NOTHING",
                (tenant,),
            )
        if not context.dry:
            work.execute(
                "INSERT INTO fold_input (tenant_id, name, fingerprint) VALUES (?, 'policy', ?) "
                "ON CONFLICT (tenant_id, name) DO UPDATE SET fingerprint = excluded.fingerprint",
                (tenant, fingerprint),
            )


def _expired_pins(context: Context) -> None:
    """A pin holds through its last day; afterwards the record is folded without it."""
    work, tenant = context.work, context.koppeling.tenant_id
    rows = work.execute(
        "SELECT p.id, COALESCE(a.survivor_id, p.core_id), p.entity FROM pin p "
        "LEFT JOIN alias a ON a.core_id = p.core_id "
        "WHERE p.tenant_id = ? AND p.lifted_at IS NULL AND p.until < ?",
        (tenant, context.today),
    )
    if not rows:
        return
    with work.transaction():
        for pin_id, core_id, entity in rows:
            context.expired_pins.add(pin_id)
            if not context.dry:
                work.execute("UPDATE pin SET lifted_at = ? WHERE id = ?", (context.now, pin_id))
            work.execute(
                f"INSERT INTO {context.marks} (core_id, tenant_id, entity, reason) "
                "VALUES (?, ?, ?, 'pin') ON CONFLICT (core_id) DO NOTHING",
                (core_id, tenant, entity),
            )
