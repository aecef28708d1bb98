"""Pins: a value that a person fixed by hand, with a reason and an end."""

from __future__ import annotations

from datetime import date

import msgspec

from config.errors import ConfigurationError
from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.errors import SyncError
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.rows import new_salt
from sync_engine.store.locks import tenant_lock
from sync_engine.store.work import Work

_PINNABLE = frozenset(Kind) - {Kind.MEMBERS, Kind.REFERENCE, Kind.PERIOD_START, Kind.PERIOD_END}


def pin(
    hub: Hub,
    core_id: int,
    *,
    entity: Entity,
    field: str,
    value: Json,
    reason: str,
    operator: str,
    until: date | None = None,
) -> int:
    """Fix one field of one core record; the next run (or `refold`) shows it. Returns the pin's id.

    Raises: ConfigurationError if the entity has no such field, or it cannot be pinned;
        SyncError if there is no such record.
    """
    description = fields_of(entity).get(field)
    if description is None or description.kind not in _PINNABLE:
        raise ConfigurationError(
            f"{entity} has no field {field!r} that can be pinned",
            advice="Kies een veld dat `koppelhub explain` bij dit record laat zien.",
        )
    with hub.store.work() as work:
        tenant_id = _tenant_of(work, entity, core_id)
        cipher = hub.cipher(tenant_id)
        with tenant_lock(hub.store, tenant_id, on=work), work.transaction():
            rows = work.execute("SELECT salt FROM core_salt WHERE core_id = ?", (core_id,))
            salt = rows[0][0] if rows else new_salt()
            if not rows:
                work.execute("INSERT INTO core_salt (core_id, salt) VALUES (?, ?)", (core_id, salt))
            sealed = cipher.person(salt).encrypt(msgspec.json.encode(value), b"pin|%d" % core_id)
            work.execute(
                "UPDATE pin SET lifted_at = ? "
                "WHERE field = ? AND lifted_at IS NULL AND (core_id = ? OR core_id IN "
                "(SELECT core_id FROM alias WHERE survivor_id = ?))",
                (hub.clock.now(), field, core_id, core_id),
            )
            made = work.execute(
                "INSERT INTO pin (tenant_id, core_id, entity, field, value, reason, operator, "
                "until, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    tenant_id,
                    core_id,
                    str(entity),
                    field,
                    sealed,
                    reason,
                    operator,
                    until,
                    hub.clock.now(),
                ),
            )
            _refold(work, tenant_id, entity, core_id)
    return int(made[0][0])


def lift(hub: Hub, pin_id: int) -> None:
    """Take a pin away. Raises: SyncError if there is no such pin in force."""
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT p.tenant_id, p.entity, COALESCE(a.survivor_id, p.core_id) FROM pin p "
            "LEFT JOIN alias a ON a.core_id = p.core_id WHERE p.id = ? AND p.lifted_at IS NULL",
            (pin_id,),
        )
        if not rows:
            raise SyncError(
                f"pin {pin_id} is not in force", advice="Dit vastgezette veld is al los."
            )
        tenant_id, entity, core_id = rows[0]
        with tenant_lock(hub.store, tenant_id, on=work), work.transaction():
            work.execute("UPDATE pin SET lifted_at = ? WHERE id = ?", (hub.clock.now(), pin_id))
            _refold(work, tenant_id, Entity(entity), core_id)


def _tenant_of(work: Work, entity: Entity, core_id: int) -> int:
    rows = work.execute(f"SELECT tenant_id FROM {entity} WHERE id = ?", (core_id,))
    if not rows:
        raise SyncError(
            f"there is no {entity} with that key",
            advice="Zoek het record eerst op met `koppelhub explain`.",
        )
    return int(rows[0][0])


def _refold(work: Work, tenant_id: int, entity: Entity, core_id: int) -> None:
    work.execute(
        "INSERT INTO refold (core_id, tenant_id, entity, reason) VALUES (?, ?, ?, 'pin') "
        "ON CONFLICT (core_id) DO NOTHING",
        (core_id, tenant_id, str(entity)),
    )
