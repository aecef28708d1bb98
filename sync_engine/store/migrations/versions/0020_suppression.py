"""Erasures in use: what a suppression is of, and the keys that other tenants told with theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add columns and a table; no release wrote a suppression before, and the previous goes on."""
    for name in ("erasure", "kind", "entity", "operator"):
        empty = sa.text("''")
        column = sa.Column(name, sa.String(), nullable=False, server_default=empty)
        op.add_column("suppression", column)
    op.add_column("suppression", sa.Column("core_id", sa.BigInteger()))
    op.add_column(
        "suppression",
        sa.Column("along", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.add_column(
        "suppression",
        sa.Column("origin", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )
    op.add_column("suppression", sa.Column("lifted_by", sa.String()))
    op.add_column("suppression", sa.Column("lifted_why", sa.String()))
    op.create_index("ix_suppression_erasure", "suppression", ["erasure"])
    op.create_table(
        "suppression_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Integer(), nullable=False),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "origin"),
    )
