"""Tables of what runs did, planned and replaced."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from sync_engine.store.columns import IN_ORDER_OF_KEY, blob, instant, json
from sync_engine.store.values import Number


class Run(SQLModel, table=True):
    """One run of one koppeling, start to end; `counts` and `options` are JSON.

    `due_at` is the instant of its schedule, of a run by the clock.
    `whole` is a run that tries everything there is to read, and means to apply it; `good` one of
    those after which the core is as fresh as the run (docs/health.md).
    """

    __tablename__ = "run"
    __table_args__ = (
        Index(
            "ix_run_running",
            "koppeling_id",
            "id",
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
        Index(
            "ix_run_whole",
            "koppeling_id",
            "state",
            "id",
            sqlite_where=text("whole"),
            postgresql_where=text("whole"),
        ),
        Index(
            "ix_run_good",
            "koppeling_id",
            "id",
            sqlite_where=text("good"),
            postgresql_where=text("good"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    koppeling_id: int = Field(index=True)
    kind: str
    state: str
    operator: str
    options: str = Field(sa_column=json())
    started_at: datetime = Field(sa_column=instant(nullable=False))
    heartbeat_at: datetime | None = Field(default=None, sa_column=instant())
    finished_at: datetime | None = Field(default=None, sa_column=instant())
    counts: str = Field(sa_column=json())
    error: str | None = None
    advice: str | None = None
    due_at: datetime | None = Field(default=None, sa_column=instant())
    whole: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    good: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class Reading(SQLModel, table=True):
    """What one run read of one scope."""

    __tablename__ = "reading"

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(index=True)
    scope_id: int
    state: str
    read: int = 0
    added: int = 0
    changed: int = 0
    missing: int = 0
    gone: int = 0
    quarantined: int = 0
    reason: str = ""
    advice: str = ""
    finished_at: datetime | None = Field(default=None, sa_column=instant())


class Event(SQLModel, table=True):
    """Something that a school's administrator should see: drift, changed permissions, shrinkage."""

    __tablename__ = "event"

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(index=True)
    koppeling_id: int
    scope_id: int | None = None
    kind: str
    detail: str = Field(sa_column=json())
    at: datetime = Field(sa_column=instant(nullable=False))


class Plan(SQLModel, table=True):
    """What a run would do, and whether it was done; `counts` and `held` are JSON."""

    __tablename__ = "plan"
    __table_args__ = (
        Index(
            "ix_plan_waiting",
            "expires_at",
            sqlite_where=text("state IN ('open', 'held')"),
            postgresql_where=text("state IN ('open', 'held')"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(index=True)
    tenant_id: int
    state: str
    created_at: datetime = Field(sa_column=instant(nullable=False))
    expires_at: datetime = Field(sa_column=instant(nullable=False))
    counts: str = Field(sa_column=json())
    held: str = Field(sa_column=json())
    applied: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    decided_by: str | None = None
    decided_at: datetime | None = Field(default=None, sa_column=instant())
    decided_why: str | None = None


class Step(SQLModel, table=True):
    """One record of one plan; those of an applied plan that were not held are the journal.

    `change` is encrypted JSON.
    """

    __tablename__ = "step"
    __table_args__ = (Index("ix_step_core", "core_id", "id"),)

    id: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    plan_id: int = Field(index=True)
    run_id: int
    entity: str
    core_id: int = Field(sa_type=BigInteger)
    source: str
    op: str
    state: str
    held_for: str = ""
    digest: bytes = Field(sa_column=blob())
    salt: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    change: bytes = Field(sa_column=blob())


class Outbox(SQLModel, table=True):
    """A message to a target, written with the change that caused it; `body` is encrypted.

    One message of an object waits at most (`due`: its body is still to be made; `ready`; `asks`: a
    person decides), and one at most is under way (`sent`, `taken`, `unknown`). `undeliverable` was
    refused by the target, `declined` by a person; `confirmed` and `withdrawn` are over, without a
    body. `stale` says that its object changed since its body was made. `undone` is the run that was
    turned round, where it is the message by which a target is to hear of that.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ux_outbox_waiting",
            "koppeling_id",
            "resource",
            "core_id",
            unique=True,
            sqlite_where=text("state IN ('due', 'ready', 'asks')"),
            postgresql_where=text("state IN ('due', 'ready', 'asks')"),
        ),
        Index(
            "ux_outbox_under_way",
            "koppeling_id",
            "resource",
            "core_id",
            unique=True,
            sqlite_where=text("state IN ('sent', 'taken', 'unknown')"),
            postgresql_where=text("state IN ('sent', 'taken', 'unknown')"),
        ),
        Index("ix_outbox_state", "koppeling_id", "state"),
        Index("ix_outbox_core_id", "core_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    message_id: str = Field(unique=True)
    tenant_id: int
    target: str
    core_id: int | None = Field(default=None, sa_type=BigInteger)
    state: str
    salt: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    body: bytes = Field(sa_column=blob())
    run_id: int
    attempts: int = 0
    next_at: datetime | None = Field(default=None, sa_column=instant())
    koppeling_id: int | None = None
    resource: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    entity: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    action: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    stale: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    undone: int | None = None
    code: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    error: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    reference: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    made_at: datetime | None = Field(default=None, sa_column=instant())
    settled_at: datetime | None = Field(default=None, sa_column=instant())
    operator: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    why: str = Field(default="", sa_column_kwargs={"server_default": text("''")})


class FormerForm(SQLModel, table=True):
    """The accepted form of a shadow that a run replaced: what undo brings back.

    `form` is encrypted, in the context of its shadow. A shadow that the run accepted for the first
    time has no row: its `accepted_run` says so.
    """

    __tablename__ = "former_form"
    __table_args__ = (Index("ix_former_form_run", "run_id"), IN_ORDER_OF_KEY)

    shadow_id: int = Field(sa_type=BigInteger, primary_key=True)
    run_id: int = Field(primary_key=True)
    accepted_fp: bytes = Field(sa_column=blob())
    gone: bool
    accepted_run: int | None = None
    held: date | None = None
    form: bytes = Field(sa_column=blob())


class FormerLink(SQLModel, table=True):
    """Which core record a source record was until a run moved or removed the link."""

    __tablename__ = "former_link"
    __table_args__ = IN_ORDER_OF_KEY

    run_id: int = Field(primary_key=True)
    koppeling_id: int = Field(primary_key=True)
    entity: str = Field(primary_key=True)
    source_key: str = Field(primary_key=True)
    core_id: int = Field(sa_type=BigInteger, index=True)
    rule: str
    since_run: int


class FormerMember(SQLModel, table=True):
    """A row of groepsdeelname as it was until a run changed or removed it."""

    __tablename__ = "former_member"
    __table_args__ = IN_ORDER_OF_KEY

    run_id: int = Field(primary_key=True)
    member_id: int = Field(primary_key=True)
    groep_id: int = Field(sa_type=BigInteger, index=True)
    rol: str
    persoon_id: int = Field(sa_type=BigInteger, index=True)
    geldig_van: date | None = None
    geldig_tot: date | None = None
    tot_afgeleid: bool
    beeindigd: bool
    since_run: int


class FormerNumber(SQLModel, table=True):
    """A leerlingnummer or personeelsnummer that a record had until a run replaced or removed it.

    `blindindex` finds it, as in identificatie; the number itself stands in the journal alone.
    `core_id` is the record of then, whatever it was merged into since; `until` is the day of the
    run, the first on which it was not the number any more.
    """

    __tablename__ = "former_number"
    __table_args__ = IN_ORDER_OF_KEY

    core_id: int = Field(sa_type=BigInteger, primary_key=True)
    soort: str = Field(primary_key=True)
    uitgever: int = Field(primary_key=True)
    run_id: int = Field(primary_key=True)
    tenant_id: int = Field(foreign_key="tenant.id")
    blindindex: bytes = Field(sa_column=blob(index=True))
    until: date
