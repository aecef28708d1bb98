"""How far the clock is, and which processes live; only additions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the tables and the column; the previous release goes on working."""
    op.create_table(
        "schedule_state",
        sa.Column("koppeling_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("due_at", Instant(timezone=True), nullable=False),
        sa.Column("settled_due", Instant(timezone=True)),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry_at", Instant(timezone=True)),
        sa.Column("waits_for", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("ended_at", Instant(timezone=True)),
        sa.Column("error", sa.String()),
        sa.Column("advice", sa.String()),
        sa.PrimaryKeyConstraint("koppeling_id", "kind"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "process_heartbeat",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("started_at", Instant(timezone=True), nullable=False),
        sa.Column("at", Instant(timezone=True), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column("run", sa.Column("due_at", Instant(timezone=True)))
