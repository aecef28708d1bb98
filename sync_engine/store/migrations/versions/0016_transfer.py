"""Koppelingen that go to another tenant, and who is in both since; only an addition."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant, Number

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the tables; the previous release goes on working."""
    op.create_table(
        "transfer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("from_tenant", sa.Integer(), nullable=False),
        sa.Column("to_tenant", sa.Integer(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("koppelingen", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["from_tenant"], ["tenant.id"]),
        sa.ForeignKeyConstraint(["to_tenant"], ["tenant.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "counterpart",
        sa.Column("core_id", Number, autoincrement=False, nullable=False),
        sa.Column("other_id", Number, autoincrement=False, nullable=False),
        sa.Column("transfer_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"]),
        sa.PrimaryKeyConstraint("core_id", "other_id"),
    )
    op.create_index("ix_counterpart_other_id", "counterpart", ["other_id"])
