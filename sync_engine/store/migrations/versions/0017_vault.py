"""What connectors keep and exchange: vault, batches, exchanges; only an addition."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the tables; the previous release goes on working."""
    op.create_table(
        "vault",
        sa.Column("core_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"]),
        sa.PrimaryKeyConstraint("core_id", "system", "kind"),
        sqlite_with_rowid=False,
    )
    _batches()
    op.create_table(
        "exchange",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("koppeling_id", sa.Integer(), nullable=False),
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("core_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("message_id", sa.String(), nullable=False, server_default=sa.text("''")),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("changed_at", Instant(timezone=True), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["koppeling_id"], ["koppeling.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("koppeling_id", "entity", "core_id", "kind"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_exchange_state", "exchange", ["koppeling_id", "kind", "state"])
    op.create_index("ix_exchange_core_id", "exchange", ["core_id"])


def _batches() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("koppeling_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False, server_default=sa.text("''")),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("polls", sa.Integer(), nullable=False),
        sa.Column("made_at", Instant(timezone=True), nullable=False),
        sa.Column("sent_at", Instant(timezone=True)),
        sa.Column("next_at", Instant(timezone=True)),
        sa.Column("answered_at", Instant(timezone=True)),
        sa.Column("closed_at", Instant(timezone=True)),
        sa.Column("outcome", sa.String(), nullable=False, server_default=sa.text("''")),
        sa.Column("counts", sa.Text(), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("answer", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["koppeling_id"], ["koppeling.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_batch_open",
        "batch",
        ["koppeling_id", "id"],
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_index("ix_batch_sent", "batch", ["koppeling_id", "kind", "sent_at"])
    op.create_table(
        "batch_person",
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("core_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"]),
        sa.PrimaryKeyConstraint("batch_id", "place"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_batch_person_core_id", "batch_person", ["core_id"])
