"""What health asks of runs and plans, each with its index, and counters that only grow; additions.

Of runs that are there already it is judged from what they wrote down: one that lists parts that
were not read to their end, or that read nothing, is not called good.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0013"
down_revision = "0012"

_WELL = "('complete', 'delta')"
_OF_WHOLE = {"resources": "[]", "brins": "[]", "dry": "false", "plan_only": "false"}
"""Options of a run that tries everything, as they were written down."""


def upgrade() -> None:
    """Add the columns and judge what is there; the previous release goes on working."""
    for name in ("whole", "good"):
        op.add_column(
            "run",
            sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("false")),
        )
    asked = sa.table("run", sa.column("kind"), sa.column("options"), sa.column("whole"))
    op.execute(
        asked.update()
        .where(
            asked.c.kind.in_(["full", "delta"]),
            *(asked.c.options.contains(f'"{name}":{value}') for name, value in _OF_WHOLE.items()),
        )
        .values(whole=sa.true())
    )
    op.execute(
        "UPDATE run SET good = true WHERE whole AND state IN ('done', 'held', 'partial') "
        "AND error IS NULL AND id IN (SELECT run_id FROM reading GROUP BY run_id HAVING "
        f"SUM(CASE WHEN state IN {_WELL} AND reason = '' THEN 0 ELSE 1 END) = 0 "
        "AND (SUM(read) > 0 OR SUM(CASE WHEN state = 'delta' THEN 1 ELSE 0 END) > 0))"
    )
    for name, columns, condition in (
        ("running", ["koppeling_id", "id"], "state = 'running'"),
        ("whole", ["koppeling_id", "state", "id"], "whole"),
        ("good", ["koppeling_id", "id"], "good"),
    ):
        where = sa.text(condition)
        op.create_index(
            f"ix_run_{name}", "run", columns, sqlite_where=where, postgresql_where=where
        )
    op.create_table(
        "koppeling_total",
        sa.Column("koppeling_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["koppeling_id"], ["koppeling.id"]),
        sa.PrimaryKeyConstraint("koppeling_id", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "known_expiry",
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("what", "label"),
    )
    waiting = sa.text("state IN ('open', 'held')")
    op.create_index(
        "ix_plan_waiting", "plan", ["expires_at"], sqlite_where=waiting, postgresql_where=waiting
    )
