"""The hub's own tables: tenants with their keys, koppelingen with their scopes, the audit trail.

What sources said stands in source_tables.py, what people decided in decision_tables.py, what runs
did in run_tables.py, who may come in in account_tables.py, what the clock, politeness and the watch
keep in watch_tables.py, what connectors keep and exchange in exchange_tables.py; the core tracking
database itself in core_tables.py. `salt` is random per row's person, and erasing it makes the blob
unreadable.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from sync_engine.store import (
    account_tables,
    core_tables,
    decision_tables,
    exchange_tables,
    run_tables,
    source_tables,
    watch_tables,
)
from sync_engine.store.columns import blob, instant

__all__ = [
    "account_tables",
    "core_tables",
    "decision_tables",
    "exchange_tables",
    "run_tables",
    "source_tables",
    "watch_tables",
]


class Tenant(SQLModel, table=True):
    """One bevoegd gezag: the border of correlation, keys and roles."""

    __tablename__ = "tenant"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    title: str = ""


class TenantKey(SQLModel, table=True):
    """A tenant's data key, wrapped under a master key; `check_value` proves the right key.

    `emptied_at` says since when an old version encrypts nothing any more.
    """

    __tablename__ = "tenant_key"
    __table_args__ = (UniqueConstraint("tenant_id", "version"),)

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int = Field(foreign_key="tenant.id")
    version: int
    master_id: str
    wrapped: bytes = Field(sa_column=blob())
    check_value: bytes = Field(sa_column=blob())
    active: bool = True
    created_at: datetime = Field(sa_column=instant(nullable=False))
    emptied_at: datetime | None = Field(default=None, sa_column=instant())


class KeyCheck(SQLModel, table=True):
    """Check value per master key; a process with another key refuses to start."""

    __tablename__ = "key_check"

    master_id: str = Field(primary_key=True)
    check_value: bytes = Field(sa_column=blob())
    created_at: datetime = Field(sa_column=instant(nullable=False))


class IdBlock(SQLModel, table=True):
    """Hands out blocks of numbers; a number is never handed out twice."""

    __tablename__ = "id_block"

    name: str = Field(primary_key=True)
    next: int = Field(sa_type=BigInteger)


class Koppeling(SQLModel, table=True):
    """One connection of one source; of one that `adds` no record is made, kept or closed.

    `outward` says by which mapping, and on which day, everything that it should have was made last.
    """

    __tablename__ = "koppeling"

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int = Field(foreign_key="tenant.id")
    name: str = Field(unique=True)
    system: str
    adds: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    outward: str = Field(default="", sa_column_kwargs={"server_default": text("''")})


class Scope(SQLModel, table=True):
    """The unit that is read and closed as complete; `contract` is what it was last read under.

    `numbers_of` names the koppeling that issued the numbers in it, where that is another one.
    `adopted` is what stood in the core before any source: it is never read, and believed last.
    """

    __tablename__ = "scope"
    __table_args__ = (UniqueConstraint("koppeling_id", "resource", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    koppeling_id: int = Field(foreign_key="koppeling.id")
    resource: str
    key: str
    rank: int = 0
    schooljaar: int | None = None
    label: str = ""
    brins: str = Field(default="[]", sa_column=Column(Text, nullable=False))
    contract_fp: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    complete_at: datetime | None = Field(default=None, sa_column=instant())
    complete_count: int = 0
    ended_run: int | None = None
    numbers_of: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    adopted: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class Audit(SQLModel, table=True):
    """Who looked at or changed what, from where; a hash chain, append-only, hub ids only."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_column=instant(nullable=False))
    operator: str
    action: str
    subject: str
    why: str = ""
    previous: bytes = Field(sa_column=blob())
    digest: bytes = Field(sa_column=blob())
    origin: str | None = None


class AuditAnchor(SQLModel, table=True):
    """Where the audit trail ends: one row, sealed under a key of master key `master_id`."""

    __tablename__ = "audit_anchor"

    id: int | None = Field(default=None, primary_key=True)
    lines: int
    last_id: int
    digest: bytes = Field(sa_column=blob())
    master_id: str
    mac: bytes = Field(sa_column=blob())
