"""Tables of what sources said, and of who their records are.

Encrypted columns are named in their table's docstring.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, Column, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from sync_engine.store.columns import IN_ORDER_OF_KEY, blob, instant, json
from sync_engine.store.values import Number


class Contract(SQLModel, table=True):
    """Every delivery contract that a scope was ever read under."""

    __tablename__ = "contract"
    __table_args__ = (UniqueConstraint("scope_id", "fingerprint"),)

    id: int | None = Field(default=None, primary_key=True)
    scope_id: int = Field(foreign_key="scope.id")
    fingerprint: bytes = Field(sa_column=blob())
    terms: str = Field(sa_column=json())
    first_run: int


class SourceCursor(SQLModel, table=True):
    """Where the next delta of a scope resumes; moves with what was received."""

    __tablename__ = "source_cursor"

    scope_id: int = Field(primary_key=True, foreign_key="scope.id")
    value: str
    run_id: int


class SourceRecord(SQLModel, table=True):
    """One raw record of one scope: its fingerprint, and since when it is missed."""

    __tablename__ = "source_record"
    __table_args__ = (
        UniqueConstraint("scope_id", "source_key"),
        Index("ix_source_record_scope", "scope_id", "id"),
    )

    id: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    scope_id: int
    source_key: str
    raw_fp: bytes = Field(sa_column=blob())
    salt: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    missing_since: datetime | None = Field(default=None, sa_column=instant())
    gone: bool = False


class RawPayload(SQLModel, table=True):
    """A raw record as the source sent it; `body` is compressed and encrypted."""

    __tablename__ = "raw_payload"

    id: int | None = Field(default=None, primary_key=True)
    record_id: int = Field(sa_type=BigInteger, index=True)
    run_id: int
    contract_fp: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    stored_on: date
    body: bytes = Field(sa_column=blob())


class Shadow(SQLModel, table=True):
    """What is known of one record in one scope; its forms stand in `shadow_form`.

    `pending` says that received and accepted differ and that the difference was not refused.
    `refused_fp` is the received form that `refused_run` refused or undid; another form clears both.
    `accepted_run` is the run that accepted the form that the core uses; where that says that the
    record is gone and another form came since, `accepted_held` is the last day that it was held.
    """

    __tablename__ = "shadow"
    __table_args__ = (
        UniqueConstraint("koppeling_id", "entity", "source_key", "scope_id"),
        Index("ix_shadow_record", "record_id"),
        Index(
            "ix_shadow_pending",
            "koppeling_id",
            "entity",
            sqlite_where=text("pending"),
            postgresql_where=text("pending"),
        ),
        Index(
            "ix_shadow_refused",
            "koppeling_id",
            "refused_run",
            sqlite_where=text("refused_run IS NOT NULL"),
            postgresql_where=text("refused_run IS NOT NULL"),
        ),
    )

    id: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    koppeling_id: int
    scope_id: int
    record_id: int = Field(sa_type=BigInteger)
    entity: str
    source_key: str
    received_fp: bytes = Field(sa_column=blob())
    received_gone: bool = False
    accepted_fp: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    accepted_gone: bool = False
    refused_fp: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    pending: bool = True
    first_on: date
    observed_on: date
    held_until: date | None = None
    situation: str
    run_id: int
    accepted_run: int | None = None
    refused_run: int | None = None
    accepted_held: date | None = None


class ShadowForm(SQLModel, table=True):
    """The last canonical forms of a shadow, encrypted; `accepted` is NULL while both are equal."""

    __tablename__ = "shadow_form"

    shadow_id: int = Field(
        sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    received: bytes = Field(sa_column=blob())
    accepted: bytes | None = Field(default=None, sa_column=blob(nullable=True))


class Quarantine(SQLModel, table=True):
    """A record that breaks a rule, with field and rule; `body` is encrypted."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("scope_id", "source_key"),)

    id: int | None = Field(default=None, primary_key=True)
    scope_id: int
    source_key: str
    path: str
    rule: str
    salt: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    body: bytes = Field(sa_column=blob())
    raw_fp: bytes = Field(sa_column=blob())
    first_run: int
    run_id: int


class Inbox(SQLModel, table=True):
    """A message that another program sent to a koppeling; `body` is encrypted.

    Of each record the newest is `current`; of the others only the id and the `digest` of what they
    said stay, so that one that comes again has no effect. Ids of one koppeling ascend in the order
    in which messages were committed, and are never used again.
    """

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("koppeling_id", "message_id"),
        Index(
            "ux_inbox_current",
            "koppeling_id",
            "resource",
            "source_key",
            unique=True,
            sqlite_where=text("current"),
            postgresql_where=text("current"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    koppeling_id: int = Field(foreign_key="koppeling.id")
    message_id: str
    resource: str
    source_key: str
    gone: bool = False
    current: bool = True
    digest: bytes = Field(sa_column=blob())
    salt: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    body: bytes = Field(sa_column=blob())
    received_at: datetime = Field(sa_column=instant(nullable=False))


class Link(SQLModel, table=True):
    """Which core record a source record is."""

    __tablename__ = "link"
    __table_args__ = IN_ORDER_OF_KEY

    koppeling_id: int = Field(primary_key=True)
    entity: str = Field(primary_key=True)
    source_key: str = Field(primary_key=True)
    core_id: int = Field(sa_type=BigInteger, index=True)
    rule: str
    run_id: int


class MatchKey(SQLModel, table=True):
    """The exact keys that a linked source record brings: what correlation and look-ups search.

    `digest` is a keyed blind index within the tenant, of `kind` and its parts.
    """

    __tablename__ = "match_key"
    __table_args__ = IN_ORDER_OF_KEY

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    koppeling_id: int = Field(primary_key=True)
    source_key: str = Field(primary_key=True)
    entity: str
    kind: str
    core_id: int = Field(sa_type=BigInteger, index=True)


class Alias(SQLModel, table=True):
    """A core id that was merged into another."""

    __tablename__ = "alias"

    core_id: int = Field(
        sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    survivor_id: int = Field(sa_type=BigInteger, index=True)
    entity: str
    run_id: int


class CoreSalt(SQLModel, table=True):
    """The salt of a person in the core; erasing it erases what is encrypted of that person."""

    __tablename__ = "core_salt"

    core_id: int = Field(
        sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    salt: bytes = Field(sa_column=blob())


class OpenReference(SQLModel, table=True):
    """A reference that nothing answers yet: the holder is folded again when its target appears."""

    __tablename__ = "open_reference"
    __table_args__ = (
        Index("ix_open_reference_target", "koppeling_id", "target_entity", "target_key"),
    )

    koppeling_id: int = Field(primary_key=True)
    entity: str = Field(primary_key=True)
    source_key: str = Field(primary_key=True)
    target_entity: str = Field(primary_key=True)
    target_key: str = Field(primary_key=True)


class Refold(SQLModel, table=True):
    """Core records whose fold has a changed input; every run drains it."""

    __tablename__ = "refold"

    core_id: int = Field(
        sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    tenant_id: int = Field(index=True)
    entity: str
    reason: str


class FoldInput(SQLModel, table=True):
    """Fingerprint of what folds depend on besides records: a change folds everything again."""

    __tablename__ = "fold_input"

    tenant_id: int = Field(primary_key=True)
    name: str = Field(primary_key=True)
    fingerprint: bytes = Field(sa_column=blob())
