"""The inbox, the table view through which the tracking application fills it, and adoption."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add what is missing; the previous release goes on working."""
    op.add_column(
        "scope",
        sa.Column("numbers_of", sa.String(), nullable=False, server_default=sa.text("''")),
    )
    op.add_column(
        "scope",
        sa.Column("adopted", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("koppeling_id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("source_key", sa.String(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["koppeling_id"], ["koppeling.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("koppeling_id", "message_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ux_inbox_current",
        "inbox",
        ["koppeling_id", "resource", "source_key"],
        unique=True,
        sqlite_where=sa.text("current"),
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "kern_inbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("koppeling", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("body", sa.Text()),
        sa.Column("fout", sa.String()),
        sa.PrimaryKeyConstraint("id"),
    )
