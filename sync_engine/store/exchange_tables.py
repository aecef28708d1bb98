"""Tables of what connectors keep and exchange: vault, batches and exchanges.

A connector owns none of them: it is handed a store of its koppeling (connectors/stores.py).
Encrypted columns are named in their table's docstring.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from sync_engine.store.columns import IN_ORDER_OF_KEY, blob, instant, json


class Vault(SQLModel, table=True):
    """A value that a system keeps of one person; `value` is encrypted under his `core_salt`.

    `core_id` is the record that it was written for, whatever that was merged into since.
    """

    __tablename__ = "vault"
    __table_args__ = IN_ORDER_OF_KEY

    core_id: int = Field(
        sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    system: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    tenant_id: int = Field(foreign_key="tenant.id")
    value: bytes = Field(sa_column=blob())
    changed_at: datetime = Field(sa_column=instant(nullable=False))


class Batch(SQLModel, table=True):
    """Persons who were asked about in one message of a koppeling; `answer` is encrypted.

    `state` is made, sent, answered or closed. `reference` is what the system calls it: opaque, of
    no person, and of no use without the certificate of the koppeling. `size` is how many persons it
    had; `counts` (JSON) what came of them. Closing forgets who they were, and the answer.
    """

    __tablename__ = "batch"
    __table_args__ = (
        Index(
            "ix_batch_open",
            "koppeling_id",
            "id",
            sqlite_where=text("state <> 'closed'"),
            postgresql_where=text("state <> 'closed'"),
        ),
        Index("ix_batch_sent", "koppeling_id", "kind", "sent_at"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    koppeling_id: int = Field(foreign_key="koppeling.id")
    kind: str
    state: str
    reference: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    size: int
    polls: int = 0
    made_at: datetime = Field(sa_column=instant(nullable=False))
    sent_at: datetime | None = Field(default=None, sa_column=instant())
    next_at: datetime | None = Field(default=None, sa_column=instant())
    answered_at: datetime | None = Field(default=None, sa_column=instant())
    closed_at: datetime | None = Field(default=None, sa_column=instant())
    outcome: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    counts: str = Field(sa_column=json())
    salt: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    answer: bytes | None = Field(default=None, sa_column=blob(nullable=True))


class BatchPerson(SQLModel, table=True):
    """Who stands at which place of a batch that is not closed; a hub id and nothing else."""

    __tablename__ = "batch_person"
    __table_args__ = IN_ORDER_OF_KEY

    batch_id: int = Field(primary_key=True, foreign_key="batch.id")
    place: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    core_id: int = Field(sa_type=BigInteger, index=True)


class Exchange(SQLModel, table=True):
    """Where the exchange of one object with one target stands; `body` is encrypted.

    One row of each kind for each object and koppeling. `detail` is JSON without personal data.
    `revision` counts its changes: who changes it names the one that he saw. `operator` made the
    last one.
    """

    __tablename__ = "exchange"
    __table_args__ = (
        UniqueConstraint("koppeling_id", "entity", "core_id", "kind"),
        Index("ix_exchange_state", "koppeling_id", "kind", "state"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    koppeling_id: int = Field(foreign_key="koppeling.id")
    entity: str
    core_id: int = Field(sa_type=BigInteger, index=True)
    kind: str
    state: str
    revision: int = 1
    detail: str = Field(sa_column=json())
    message_id: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    salt: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    body: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    changed_at: datetime = Field(sa_column=instant(nullable=False))
    operator: str
