"""Every encrypted column: how its rows are found, whose salt opens them, and in which context.

A test holds this list to the tables: a column of bytes is listed here, or is known to be a
fingerprint, a digest, a salt or a wrapped key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.rows import identifier_context

UNSEALED: Final = frozenset(
    {
        *("salt", "raw_fp", "contract_fp", "received_fp", "accepted_fp", "refused_fp"),
        *("fingerprint", "evidence", "digest", "previous", "blindindex", "check_value", "wrapped"),
        "mac",
    }
)
"""Names of columns of bytes that hold no encrypted value."""

_SCOPED: Final = "JOIN scope p ON p.id = {}.scope_id JOIN koppeling k ON k.id = p.koppeling_id"


@dataclass(frozen=True, slots=True)
class Sealed:
    """One encrypted column of table `t`.

    Attributes:
        key: primary key of the table.
        types: their types, as a temporary table names them.
        joins: what leads from `t` to its salt and its tenant.
        salt: where the salt stands; NULL where the person was erased.
        tenant: condition with the tenant's id as its only parameter.
        parts: columns that the context is made of.
        context: makes it of their values.
    """

    table: str
    column: str
    key: tuple[str, ...]
    types: tuple[str, ...]
    joins: str
    salt: str
    tenant: str
    parts: tuple[str, ...]
    context: Callable[..., bytes]

    @property
    def name(self) -> str:
        """`table.column`."""
        return f"{self.table}.{self.column}"

    def rows(self, columns: str, where: str) -> str:
        """Query of the values of one tenant that can be opened, its parameter the tenant's id.

        Args:
            columns: of `t`, or `{salt}`.
            where: what else must hold, to be put after AND; its parameters follow the tenant's.
        """
        return (
            f"SELECT {columns.format(salt=self.salt)} FROM {self.table} t {self.joins} "
            f"WHERE {self.tenant} AND {self.salt} IS NOT NULL AND length(t.{self.column}) > 3 "
            f"{where}"
        )


@cache
def sealed_columns() -> tuple[Sealed, ...]:
    """All of them."""
    own = {"key": ("id",), "types": ("BIGINT",)}
    return (
        *(_shadow(column) for column in ("received", "accepted")),
        replace(
            _shadow("form"),
            table="former_form",
            key=("shadow_id", "run_id"),
            types=("BIGINT", "INTEGER"),
        ),
        Sealed(
            "zaak_notitie",
            "body",
            **own,
            joins="JOIN zaak z ON z.id = t.case_id",
            salt="t.salt",
            tenant="z.tenant_id = ?",
            parts=("case_id",),
            context=lambda case_id: b"notitie|%d" % case_id,
        ),
        Sealed(
            "raw_payload",
            "body",
            **own,
            joins="JOIN source_record x ON x.id = t.record_id " + _SCOPED.format("x"),
            salt="x.salt",
            tenant="k.tenant_id = ?",
            parts=("record_id",),
            context=lambda record_id: b"raw|%d" % record_id,
        ),
        Sealed(
            "quarantine",
            "body",
            **own,
            joins=_SCOPED.format("t"),
            salt="t.salt",
            tenant="k.tenant_id = ?",
            parts=("scope_id", "source_key"),
            context=lambda scope_id, key: b"quarantine|%d|%s" % (scope_id, key.encode()),
        ),
        Sealed(
            "step",
            "change",
            **own,
            joins="JOIN plan p ON p.id = t.plan_id",
            salt="t.salt",
            tenant="p.tenant_id = ?",
            parts=("digest",),
            context=lambda digest: b"step|%s" % digest,
        ),
        Sealed(
            "pin",
            "value",
            **own,
            joins="JOIN core_salt x ON x.core_id = t.core_id",
            salt="x.salt",
            tenant="t.tenant_id = ?",
            parts=("core_id",),
            context=lambda core_id: b"pin|%d" % core_id,
        ),
        Sealed(
            "inbox",
            "body",
            **own,
            joins="JOIN koppeling k ON k.id = t.koppeling_id",
            salt="t.salt",
            tenant="k.tenant_id = ?",
            parts=("koppeling_id", "message_id"),
            context=inbox_context,
        ),
        Sealed(
            "outbox",
            "body",
            **own,
            joins="",
            salt="t.salt",
            tenant="t.tenant_id = ?",
            parts=("message_id",),
            context=outbox_context,
        ),
        Sealed(
            "vault",
            "value",
            key=("core_id", "system", "kind"),
            types=("BIGINT", "TEXT", "TEXT"),
            joins="JOIN core_salt x ON x.core_id = t.core_id",
            salt="x.salt",
            tenant="t.tenant_id = ?",
            parts=("core_id", "system", "kind"),
            context=vault_context,
        ),
        Sealed(
            "batch",
            "answer",
            **own,
            joins="JOIN koppeling k ON k.id = t.koppeling_id",
            salt="t.salt",
            tenant="k.tenant_id = ?",
            parts=("id",),
            context=batch_context,
        ),
        Sealed(
            "exchange",
            "body",
            **own,
            joins="JOIN koppeling k ON k.id = t.koppeling_id",
            salt="t.salt",
            tenant="k.tenant_id = ?",
            parts=("id",),
            context=exchange_context,
        ),
        Sealed(
            "suppression_key",
            "body",
            **own,
            joins="",
            salt="t.salt",
            tenant="t.tenant_id = ?",
            parts=("tenant_id", "origin"),
            context=suppression_context,
        ),
        _identificatie(),
    )


def vault_context(core_id: int, system: str, kind: str) -> bytes:
    """What a value in the vault is bound to."""
    return b"vault|%d|%s|%s" % (core_id, system.encode(), kind.encode())


def batch_context(number: int) -> bytes:
    """What the raw answer to a batch is bound to."""
    return b"batch|%d" % number


def exchange_context(number: int) -> bytes:
    """What the body of an exchange is bound to."""
    return b"exchange|%d" % number


def outbox_context(message_id: str) -> bytes:
    """What the body of a message to a target is bound to."""
    return b"outbox|%s" % message_id.encode()


def suppression_context(tenant_id: int, origin: int) -> bytes:
    """What the key of another tenant's erasures is bound to."""
    return b"suppression|%d|%d" % (tenant_id, origin)


def inbox_context(koppeling_id: int, message_id: str) -> bytes:
    """What a message in the inbox is bound to."""
    return b"inbox|%d|%s" % (koppeling_id, message_id.encode())


def _shadow(column: str) -> Sealed:
    return Sealed(
        "shadow_form",
        column,
        key=("shadow_id",),
        types=("BIGINT",),
        joins="JOIN shadow s ON s.id = t.shadow_id JOIN source_record x ON x.id = s.record_id "
        "JOIN koppeling k ON k.id = s.koppeling_id",
        salt="x.salt",
        tenant="k.tenant_id = ?",
        parts=("shadow_id",),
        context=lambda number: b"shadow|%d" % number,
    )


def _identificatie() -> Sealed:
    owners = " UNION ALL ".join(
        f"SELECT o.tenant_id FROM {entity} o WHERE o.id = t.eigenaar_id"
        for entity in Entity
        if any(field.kind is Kind.IDENTIFIER for field in fields_of(entity).values())
    )

    def context(owner: Any, kind: str) -> bytes:
        return identifier_context(owner, kind)

    return Sealed(
        "identificatie",
        "waarde",
        key=("eigenaar_id", "soort", "uitgever"),
        types=("BIGINT", "TEXT", "INTEGER"),
        joins="JOIN core_salt x ON x.core_id = t.eigenaar_id",
        salt="x.salt",
        tenant=f"? IN ({owners})",
        parts=("eigenaar_id", "soort"),
        context=context,
    )
