"""The hub's own tables: what sources said, what was decided, what runs did.

The core tracking database itself stands in core_tables.py, who may come in in account_tables.py,
and what the clock, politeness and the watch keep in watch_tables.py.
Encrypted columns are named in their table's docstring; `salt` is random per row's person, and
erasing it makes the blob unreadable.
"""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from sync_engine.store import account_tables, core_tables, watch_tables
from sync_engine.store.values import Instant, Number

__all__ = ["account_tables", "core_tables", "watch_tables"]


def _blob(*, nullable: bool = False, index: bool = False) -> Column[bytes]:
    return Column(LargeBinary, nullable=nullable, index=index)


def _instant(*, nullable: bool = True) -> Column[datetime]:
    return Column(Instant(timezone=True), nullable=nullable)


def _json() -> Column[str]:
    return Column(Text, nullable=False, server_default=text("'{}'"))


_IN_ORDER_OF_KEY = {"sqlite_with_rowid": False}
"""SQLite: the table is its primary key's index, and not one beside it."""


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
    wrapped: bytes = Field(sa_column=_blob())
    check_value: bytes = Field(sa_column=_blob())
    active: bool = True
    created_at: datetime = Field(sa_column=_instant(nullable=False))
    emptied_at: datetime | None = Field(default=None, sa_column=_instant())


class KeyCheck(SQLModel, table=True):
    """Check value per master key; a process with another key refuses to start."""

    __tablename__ = "key_check"

    master_id: str = Field(primary_key=True)
    check_value: bytes = Field(sa_column=_blob())
    created_at: datetime = Field(sa_column=_instant(nullable=False))


class IdBlock(SQLModel, table=True):
    """Hands out blocks of numbers; a number is never handed out twice."""

    __tablename__ = "id_block"

    name: str = Field(primary_key=True)
    next: int = Field(sa_type=BigInteger)


class Koppeling(SQLModel, table=True):
    """One connection of one source; of one that `adds` no record is made, kept or closed."""

    __tablename__ = "koppeling"

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int = Field(foreign_key="tenant.id")
    name: str = Field(unique=True)
    system: str
    adds: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


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
    contract_fp: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
    complete_at: datetime | None = Field(default=None, sa_column=_instant())
    complete_count: int = 0
    ended_run: int | None = None
    numbers_of: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    adopted: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class Contract(SQLModel, table=True):
    """Every delivery contract that a scope was ever read under."""

    __tablename__ = "contract"
    __table_args__ = (UniqueConstraint("scope_id", "fingerprint"),)

    id: int | None = Field(default=None, primary_key=True)
    scope_id: int = Field(foreign_key="scope.id")
    fingerprint: bytes = Field(sa_column=_blob())
    terms: str = Field(sa_column=_json())
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
    raw_fp: bytes = Field(sa_column=_blob())
    salt: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
    missing_since: datetime | None = Field(default=None, sa_column=_instant())
    gone: bool = False


class RawPayload(SQLModel, table=True):
    """A raw record as the source sent it; `body` is compressed and encrypted."""

    __tablename__ = "raw_payload"

    id: int | None = Field(default=None, primary_key=True)
    record_id: int = Field(sa_type=BigInteger, index=True)
    run_id: int
    contract_fp: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
    stored_on: date
    body: bytes = Field(sa_column=_blob())


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
    received_fp: bytes = Field(sa_column=_blob())
    received_gone: bool = False
    accepted_fp: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
    accepted_gone: bool = False
    refused_fp: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
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
    received: bytes = Field(sa_column=_blob())
    accepted: bytes | None = Field(default=None, sa_column=_blob(nullable=True))


class FormerForm(SQLModel, table=True):
    """The accepted form of a shadow that a run replaced: what undo brings back.

    `form` is encrypted, in the context of its shadow. A shadow that the run accepted for the first
    time has no row: its `accepted_run` says so.
    """

    __tablename__ = "former_form"
    __table_args__ = (Index("ix_former_form_run", "run_id"), _IN_ORDER_OF_KEY)

    shadow_id: int = Field(sa_type=BigInteger, primary_key=True)
    run_id: int = Field(primary_key=True)
    accepted_fp: bytes = Field(sa_column=_blob())
    gone: bool
    accepted_run: int | None = None
    held: date | None = None
    form: bytes = Field(sa_column=_blob())


class FormerLink(SQLModel, table=True):
    """Which core record a source record was until a run moved or removed the link."""

    __tablename__ = "former_link"
    __table_args__ = _IN_ORDER_OF_KEY

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
    __table_args__ = _IN_ORDER_OF_KEY

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
    __table_args__ = _IN_ORDER_OF_KEY

    core_id: int = Field(sa_type=BigInteger, primary_key=True)
    soort: str = Field(primary_key=True)
    uitgever: int = Field(primary_key=True)
    run_id: int = Field(primary_key=True)
    tenant_id: int = Field(foreign_key="tenant.id")
    blindindex: bytes = Field(sa_column=_blob(index=True))
    until: date


class Link(SQLModel, table=True):
    """Which core record a source record is."""

    __tablename__ = "link"
    __table_args__ = _IN_ORDER_OF_KEY

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
    __table_args__ = _IN_ORDER_OF_KEY

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
    salt: bytes = Field(sa_column=_blob())


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
    fingerprint: bytes = Field(sa_column=_blob())


class Pin(SQLModel, table=True):
    """A value that a person fixed by hand; `value` is encrypted."""

    __tablename__ = "pin"

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int
    core_id: int = Field(sa_type=BigInteger, index=True)
    entity: str
    field: str
    value: bytes = Field(sa_column=_blob())
    reason: str
    operator: str
    until: date | None = None
    created_at: datetime = Field(sa_column=_instant(nullable=False))
    lifted_at: datetime | None = Field(default=None, sa_column=_instant())


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
    created_at: datetime = Field(sa_column=_instant(nullable=False))
    lifted_at: datetime | None = Field(default=None, sa_column=_instant())
    act: int | None = Field(default=None, index=True)
    case_id: int | None = None
    run_id: int | None = None
    lifted_by: str | None = None
    evidence: bytes | None = Field(default=None, sa_column=_blob(nullable=True))


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
    created_at: datetime = Field(sa_column=_instant(nullable=False))
    run_id: int
    lifted_at: datetime | None = Field(default=None, sa_column=_instant())
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
    counts: str = Field(sa_column=_json())
    operator: str
    why: str
    created_at: datetime = Field(sa_column=_instant(nullable=False))


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
    """An erased person: a match is counted, not stored, until a person lifts it."""

    __tablename__ = "suppression"

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: int
    digest: bytes = Field(sa_column=_blob(index=True))
    reason: str
    created_at: datetime = Field(sa_column=_instant(nullable=False))
    lifted_at: datetime | None = Field(default=None, sa_column=_instant())


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
    detail: str = Field(sa_column=_json())
    opened_run: int
    closed_run: int | None = None
    assignee: str | None = None
    closed_by: str | None = None
    closed_at: datetime | None = Field(default=None, sa_column=_instant())


class CaseNote(SQLModel, table=True):
    """What a person wrote down with a case; `body` is encrypted."""

    __tablename__ = "zaak_notitie"

    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="zaak.id", index=True)
    at: datetime = Field(sa_column=_instant(nullable=False))
    operator: str
    salt: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
    body: bytes = Field(sa_column=_blob())


class Quarantine(SQLModel, table=True):
    """A record that breaks a rule, with field and rule; `body` is encrypted."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("scope_id", "source_key"),)

    id: int | None = Field(default=None, primary_key=True)
    scope_id: int
    source_key: str
    path: str
    rule: str
    salt: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
    body: bytes = Field(sa_column=_blob())
    raw_fp: bytes = Field(sa_column=_blob())
    first_run: int
    run_id: int


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
    options: str = Field(sa_column=_json())
    started_at: datetime = Field(sa_column=_instant(nullable=False))
    heartbeat_at: datetime | None = Field(default=None, sa_column=_instant())
    finished_at: datetime | None = Field(default=None, sa_column=_instant())
    counts: str = Field(sa_column=_json())
    error: str | None = None
    advice: str | None = None
    due_at: datetime | None = Field(default=None, sa_column=_instant())
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
    finished_at: datetime | None = Field(default=None, sa_column=_instant())


class Event(SQLModel, table=True):
    """Something that a school's administrator should see: drift, changed permissions, shrinkage."""

    __tablename__ = "event"

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(index=True)
    koppeling_id: int
    scope_id: int | None = None
    kind: str
    detail: str = Field(sa_column=_json())
    at: datetime = Field(sa_column=_instant(nullable=False))


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
    created_at: datetime = Field(sa_column=_instant(nullable=False))
    expires_at: datetime = Field(sa_column=_instant(nullable=False))
    counts: str = Field(sa_column=_json())
    held: str = Field(sa_column=_json())
    applied: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    decided_by: str | None = None
    decided_at: datetime | None = Field(default=None, sa_column=_instant())
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
    digest: bytes = Field(sa_column=_blob())
    salt: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
    change: bytes = Field(sa_column=_blob())


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
    digest: bytes = Field(sa_column=_blob())
    salt: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
    body: bytes = Field(sa_column=_blob())
    received_at: datetime = Field(sa_column=_instant(nullable=False))


class Outbox(SQLModel, table=True):
    """A message to another system, written with the change that caused it; `body` is encrypted."""

    __tablename__ = "outbox"

    id: int | None = Field(default=None, primary_key=True)
    message_id: str = Field(unique=True)
    tenant_id: int
    target: str
    core_id: int | None = Field(default=None, sa_type=BigInteger)
    state: str
    salt: bytes | None = Field(default=None, sa_column=_blob(nullable=True))
    body: bytes = Field(sa_column=_blob())
    run_id: int
    attempts: int = 0
    next_at: datetime | None = Field(default=None, sa_column=_instant())


class Audit(SQLModel, table=True):
    """Who looked at or changed what, from where; a hash chain, append-only, hub ids only."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_column=_instant(nullable=False))
    operator: str
    action: str
    subject: str
    why: str = ""
    previous: bytes = Field(sa_column=_blob())
    digest: bytes = Field(sa_column=_blob())
    origin: str | None = None


class AuditAnchor(SQLModel, table=True):
    """Where the audit trail ends: one row, sealed under a key of master key `master_id`."""

    __tablename__ = "audit_anchor"

    id: int | None = Field(default=None, primary_key=True)
    lines: int
    last_id: int
    digest: bytes = Field(sa_column=_blob())
    master_id: str
    mac: bytes = Field(sa_column=_blob())
