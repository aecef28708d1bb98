"""Koppelingen that a person or their failures stopped, and state that workers share; an addition.

`shared_state` is used on PostgreSQL only; on SQLite small files beside the database hold the same.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the tables; the previous release goes on working."""
    op.create_table(
        "koppeling_state",
        sa.Column("koppeling_id", sa.Integer(), nullable=False),
        sa.Column("maintenance_at", Instant(timezone=True)),
        sa.Column("maintenance_until", Instant(timezone=True)),
        sa.Column("maintenance_by", sa.String(), nullable=False, server_default=sa.text("''")),
        sa.Column("maintenance_why", sa.String(), nullable=False, server_default=sa.text("''")),
        sa.Column("off_at", Instant(timezone=True)),
        sa.Column("off_by", sa.String(), nullable=False, server_default=sa.text("''")),
        sa.Column("off_why", sa.String(), nullable=False, server_default=sa.text("''")),
        sa.Column("on_at", Instant(timezone=True)),
        sa.ForeignKeyConstraint(["koppeling_id"], ["koppeling.id"]),
        sa.PrimaryKeyConstraint("koppeling_id"),
    )
    op.create_table(
        "shared_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
