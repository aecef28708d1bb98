"""Tables of what people decided, and of what they are asked."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Column, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from sync_engine.store.columns import blob, instant, json
from sync_engine.store.values import Number


class Pin(SQLModel, table=True):
    """A value that a person fixed by hand; `value` is encrypted."""

    __tablename__ = "pin"

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int
    core_id: int = Field(sa_type=BigInteger, index=True)
    entity: str
    field: str
    value: bytes = Field(sa_column=blob())
    reason: str
    operator: str
    until: date | None = None
    created_at: datetime = Field(sa_column=instant(nullable=False))
    lifted_at: datetime | None = Field(default=None, sa_column=instant())


class Decision(SQLModel, table=True):
    """What a person decided about one source record; survives every run, can be taken back.

    Rows of one act share `act`, the id of its first row. `run_id` is the run that carried it out.
    `evidence` is a keyed digest of the exact keys that the record had then: with others it is
    judged anew.
    """

    __tablename__ = "decision"

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    koppeling_id: int = Field(index=True)
    entity: str
    source_key: str
    core_id: int | None = Field(default=None, sa_type=BigInteger)
    operator: str
    why: str
    created_at: datetime = Field(sa_column=instant(nullable=False))
    lifted_at: datetime | None = Field(default=None, sa_column=instant())
    act: int | None = Field(default=None, index=True)
    case_id: int | None = None
    run_id: int | None = None
    lifted_by: str | None = None
    evidence: bytes | None = Field(default=None, sa_column=blob(nullable=True))


class HerinrichtingRow(SQLModel, table=True):
    """Numbers of schools that change on a day, by the word of a person; can be taken back.

    `changes` is JSON: what each number becomes. `run_id` is the run that put it in force; undoing
    that run fills `lifted_at`. `finished_run` is the run from which on who was left behind under
    the old number counts as gone; `last_days` is JSON: the last day of each former scope then.
    """

    __tablename__ = "herinrichting"

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int = Field(foreign_key="tenant.id", index=True)
    name: str
    on_day: date
    changes: str = Field(sa_column=Column(Text, nullable=False))
    operator: str
    why: str
    created_at: datetime = Field(sa_column=instant(nullable=False))
    run_id: int
    lifted_at: datetime | None = Field(default=None, sa_column=instant())
    lifted_by: str | None = None
    finished_run: int | None = None
    last_days: str | None = Field(default=None, sa_column=Column(Text))


class Transfer(SQLModel, table=True):
    """Koppelingen that went from one tenant to another, with all that they brought.

    `koppelingen` and `counts` are JSON: names, and how many of what went.
    """

    __tablename__ = "transfer"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    from_tenant: int = Field(foreign_key="tenant.id")
    to_tenant: int = Field(foreign_key="tenant.id")
    on_day: date
    koppelingen: str = Field(sa_column=Column(Text, nullable=False))
    counts: str = Field(sa_column=json())
    operator: str
    why: str
    created_at: datetime = Field(sa_column=instant(nullable=False))


class Counterpart(SQLModel, table=True):
    """A core record that belonged to two tenants when they parted: one record in each since.

    Only moving back makes one of them again.
    """

    __tablename__ = "counterpart"

    core_id: int = Field(
        sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    other_id: int = Field(sa_type=Number, primary_key=True, index=True)
    transfer_id: int = Field(foreign_key="transfer.id")


class Suppression(SQLModel, table=True):
    """An erased person: a match is counted, not stored, until a person lifts it.

    One row for each thing that he is recognised by, all of one act with the same `erasure`, a
    random name that the list beside the key file has too. `digest` is keyed, under the key of the
    tenant `origin`; `kind` says of what it is. `core_id` is who he was in the core, of `entity`.
    `along` are those who went because nobody else needed them: they come back with who does.
    """

    __tablename__ = "suppression"

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int
    digest: bytes = Field(sa_column=blob(index=True))
    reason: str
    created_at: datetime = Field(sa_column=instant(nullable=False))
    lifted_at: datetime | None = Field(default=None, sa_column=instant())
    erasure: str = Field(default="", index=True, sa_column_kwargs={"server_default": text("''")})
    kind: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    entity: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    core_id: int | None = Field(default=None, sa_type=BigInteger)
    along: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    origin: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    operator: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    lifted_by: str | None = None
    lifted_why: str | None = None


class SuppressionKey(SQLModel, table=True):
    """The key of the erasures that another tenant told this one; `body` is encrypted."""

    __tablename__ = "suppression_key"
    __table_args__ = (UniqueConstraint("tenant_id", "origin"),)

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int
    origin: int
    salt: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    body: bytes = Field(sa_column=blob())


class Case(SQLModel, table=True):
    """What no rule can decide. `detail` is JSON with core ids, rules and scores only."""

    __tablename__ = "zaak"
    __table_args__ = (
        Index(
            "ux_zaak_open",
            "koppeling_id",
            "entity",
            "source_key",
            "kind",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int
    koppeling_id: int
    kind: str
    entity: str
    source_key: str
    state: str
    rule: str
    detail: str = Field(sa_column=json())
    opened_run: int
    closed_run: int | None = None
    assignee: str | None = None
    closed_by: str | None = None
    closed_at: datetime | None = Field(default=None, sa_column=instant())


class CaseNote(SQLModel, table=True):
    """What a person wrote down with a case; `body` is encrypted."""

    __tablename__ = "zaak_notitie"

    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="zaak.id", index=True)
    at: datetime = Field(sa_column=instant(nullable=False))
    operator: str
    salt: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    body: bytes = Field(sa_column=blob())
