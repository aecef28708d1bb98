"""Incidents and the messages that tell of them; only an addition."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the tables; the previous release goes on working."""
    op.create_table(
        "incident",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("worst", sa.String(), nullable=False),
        sa.Column("signs", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("first_at", Instant(timezone=True), nullable=False),
        sa.Column("gone_since", Instant(timezone=True)),
        sa.Column("closed_at", Instant(timezone=True)),
        sa.Column("ending", sa.String()),
        sa.Column("told", sa.String()),
        sa.Column("told_at", Instant(timezone=True)),
        sa.Column("told_size", sa.Integer(), nullable=False),
        sa.Column("tells", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ux_incident_open",
        "incident",
        ["rule", "cause", "subject"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "notification",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("next_at", Instant(timezone=True)),
        sa.Column("sent_at", Instant(timezone=True)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_notification_state", "notification", ["state", "next_at"])
