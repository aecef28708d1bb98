"""Numbers of schools that change on a day; only an addition."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the table; the previous release goes on working."""
    op.create_table(
        "herinrichting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("lifted_at", Instant(timezone=True)),
        sa.Column("lifted_by", sa.String()),
        sa.Column("finished_run", sa.Integer()),
        sa.Column("last_days", sa.Text()),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_herinrichting_tenant_id", "herinrichting", ["tenant_id"])
