"""The outbox in use: what a message is of, how far it is, and who decided; only an addition."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0019"
down_revision = "0018"

_WAITING = "state IN ('due', 'ready', 'asks')"
_UNDER_WAY = "state IN ('sent', 'taken', 'unknown')"


def upgrade() -> None:
    """Add the columns; no release wrote a message before, and the previous one goes on."""
    op.add_column("outbox", sa.Column("koppeling_id", sa.Integer()))
    for name in ("resource", "entity", "action", "code", "error", "reference", "operator", "why"):
        empty = sa.text("''")
        op.add_column("outbox", sa.Column(name, sa.String(), nullable=False, server_default=empty))
    op.add_column(
        "outbox", sa.Column("stale", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.add_column("outbox", sa.Column("undone", sa.Integer()))
    op.add_column("outbox", sa.Column("made_at", Instant(timezone=True)))
    op.add_column("outbox", sa.Column("settled_at", Instant(timezone=True)))
    op.add_column(
        "koppeling",
        sa.Column("outward", sa.String(), nullable=False, server_default=sa.text("''")),
    )
    object_of = ["koppeling_id", "resource", "core_id"]
    for name, where in (("ux_outbox_waiting", _WAITING), ("ux_outbox_under_way", _UNDER_WAY)):
        condition = sa.text(where)
        op.create_index(
            name,
            "outbox",
            object_of,
            unique=True,
            sqlite_where=condition,
            postgresql_where=condition,
        )
    op.create_index("ix_outbox_state", "outbox", ["koppeling_id", "state"])
    op.create_index("ix_outbox_core_id", "outbox", ["core_id"])
