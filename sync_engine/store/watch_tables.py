"""Tables of the clock, of politeness and of the watch: what keeps the runs going and tells of them.

No column is encrypted, and none is to hold anything of a pupil.
"""

from datetime import datetime

from sqlalchemy import Column, Index, Text, text
from sqlmodel import Field, SQLModel

from sync_engine.store.columns import IN_ORDER_OF_KEY, instant, json


def _empty() -> dict[str, object]:
    return {"server_default": text("''")}


class KoppelingState(SQLModel, table=True):
    """A koppeling that a person put in maintenance, or that is switched off; else no row, or none.

    `off_by` is `system` where its own failures did it; `on_at` is when it was last switched on:
    failures of before do not count any more.
    """

    __tablename__ = "koppeling_state"

    koppeling_id: int = Field(primary_key=True, foreign_key="koppeling.id")
    maintenance_at: datetime | None = Field(default=None, sa_column=instant())
    maintenance_until: datetime | None = Field(default=None, sa_column=instant())
    maintenance_by: str = Field(default="", sa_column_kwargs=_empty())
    maintenance_why: str = Field(default="", sa_column_kwargs=_empty())
    off_at: datetime | None = Field(default=None, sa_column=instant())
    off_by: str = Field(default="", sa_column_kwargs=_empty())
    off_why: str = Field(default="", sa_column_kwargs=_empty())
    on_at: datetime | None = Field(default=None, sa_column=instant())


class SharedState(SQLModel, table=True):
    """Small state that all workers share: budgets and circuits (JSON); see store/shared.py.

    Empty on SQLite, where files beside the database hold it: who writes much keeps nobody waiting.
    """

    __tablename__ = "shared_state"

    name: str = Field(primary_key=True)
    value: str = Field(sa_column=Column(Text, nullable=False))


class ScheduleState(SQLModel, table=True):
    """How far the clock is with one kind of run of one koppeling, or with a duty.

    `due_at` is the last due instant that was handed out, `settled_due` the last one that was
    carried out to its end; between the two it is under way, or waits until `retry_at` for
    `waits_for`. What is of the installation itself has koppeling 0: that is why the column refers
    to no table.
    """

    __tablename__ = "schedule_state"
    __table_args__ = IN_ORDER_OF_KEY

    koppeling_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: str = Field(primary_key=True)
    due_at: datetime = Field(sa_column=instant(nullable=False))
    settled_due: datetime | None = Field(default=None, sa_column=instant())
    tries: int = 0
    retry_at: datetime | None = Field(default=None, sa_column=instant())
    waits_for: str = ""
    outcome: str = ""
    ended_at: datetime | None = Field(default=None, sa_column=instant())
    error: str | None = None
    advice: str | None = None


class ProcessHeartbeat(SQLModel, table=True):
    """A `serve` or `worker` that runs, and when it last said so; one that stopped well has none."""

    __tablename__ = "process_heartbeat"

    name: str = Field(primary_key=True)
    kind: str
    label: str
    started_at: datetime = Field(sa_column=instant(nullable=False))
    at: datetime = Field(sa_column=instant(nullable=False))
    version: str


class KoppelingTotal(SQLModel, table=True):
    """What the runs of a koppeling did in all, by name; it only grows, and outlives the runs."""

    __tablename__ = "koppeling_total"
    __table_args__ = IN_ORDER_OF_KEY

    koppeling_id: int = Field(primary_key=True, foreign_key="koppeling.id")
    name: str = Field(primary_key=True)
    value: float


class KnownExpiry(SQLModel, table=True):
    """When something of the installation itself ends, as the process saw that uses it."""

    __tablename__ = "known_expiry"

    what: str = Field(primary_key=True)
    label: str = Field(primary_key=True)
    at: datetime = Field(sa_column=instant(nullable=False))


class IncidentRow(SQLModel, table=True):
    """Something that is wrong, for one rule of the alerts; no personal data.

    `signs` is JSON. While it goes on there is one of each rule, cause and subject.
    """

    __tablename__ = "incident"
    __table_args__ = (
        Index(
            "ux_incident_open",
            "rule",
            "cause",
            "subject",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    rule: str
    cause: str
    subject: str
    state: str
    worst: str
    signs: str = Field(sa_column=json())
    first_at: datetime = Field(sa_column=instant(nullable=False))
    gone_since: datetime | None = Field(default=None, sa_column=instant())
    closed_at: datetime | None = Field(default=None, sa_column=instant())
    ending: str | None = None
    told: str | None = None
    told_at: datetime | None = Field(default=None, sa_column=instant())
    told_size: int = 0
    tells: int = 0


class Notification(SQLModel, table=True):
    """A message for people, written with what it tells of; no personal data, no address.

    `id` is the same for every attempt to deliver it, and never that of another. `body` is JSON.
    """

    __tablename__ = "notification"
    __table_args__ = (Index("ix_notification_state", "state", "next_at"),)

    id: str = Field(primary_key=True)
    kind: str
    channel: str
    title: str
    body: str = Field(sa_column=json())
    state: str
    created_at: datetime = Field(sa_column=instant(nullable=False))
    next_at: datetime | None = Field(default=None, sa_column=instant())
    sent_at: datetime | None = Field(default=None, sa_column=instant())
    attempts: int = 0
    error: str = ""
