"""Numbers that somebody had before, by blind index; only an addition.

It fills nothing of the past: what was replaced before stands encrypted in the journal alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table; the previous release goes on working."""
    op.create_table(
        "former_number",
        sa.Column("core_id", sa.BigInteger(), nullable=False),
        sa.Column("soort", sa.String(), nullable=False),
        sa.Column("uitgever", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("blindindex", sa.LargeBinary(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"]),
        sa.PrimaryKeyConstraint("core_id", "soort", "uitgever", "run_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_former_number_blindindex", "former_number", ["blindindex"])
