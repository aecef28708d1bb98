"""What undo, refusal, decisions, cases and the audit trail need; only additions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0006"
down_revision = "0005"

_COLUMNS: dict[str, list[sa.Column[object]]] = {
    "shadow": [
        sa.Column("accepted_run", sa.Integer()),
        sa.Column("refused_run", sa.Integer()),
        sa.Column("accepted_held", sa.Date()),
    ],
    "decision": [
        sa.Column("act", sa.Integer()),
        sa.Column("case_id", sa.Integer()),
        sa.Column("run_id", sa.Integer()),
        sa.Column("lifted_by", sa.String()),
        sa.Column("evidence", sa.LargeBinary()),
    ],
    "zaak": [
        sa.Column("assignee", sa.String()),
        sa.Column("closed_by", sa.String()),
        sa.Column("closed_at", Instant(timezone=True)),
    ],
    "plan": [
        sa.Column("decided_by", sa.String()),
        sa.Column("decided_at", Instant(timezone=True)),
        sa.Column("decided_why", sa.String()),
    ],
    "audit": [sa.Column("origin", sa.String())],
}


def upgrade() -> None:
    """Add what is missing; the previous release goes on working."""
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    op.create_index("ix_decision_act", "decision", ["act"])
    refused = sa.text("refused_run IS NOT NULL")
    op.create_index(
        "ix_shadow_refused",
        "shadow",
        ["koppeling_id", "refused_run"],
        sqlite_where=refused,
        postgresql_where=refused,
    )
    op.create_table(
        "former_form",
        sa.Column("shadow_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("accepted_fp", sa.LargeBinary(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("accepted_run", sa.Integer()),
        sa.Column("held", sa.Date()),
        sa.Column("form", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shadow_id", "run_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_former_form_run", "former_form", ["run_id"])
    op.create_table(
        "former_link",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("koppeling_id", sa.Integer(), nullable=False),
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("source_key", sa.String(), nullable=False),
        sa.Column("core_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("since_run", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "koppeling_id", "entity", "source_key"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_former_link_core_id", "former_link", ["core_id"])
    op.create_table(
        "former_member",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("groep_id", sa.BigInteger(), nullable=False),
        sa.Column("rol", sa.String(), nullable=False),
        sa.Column("persoon_id", sa.BigInteger(), nullable=False),
        sa.Column("geldig_van", sa.Date()),
        sa.Column("geldig_tot", sa.Date()),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("beeindigd", sa.Boolean(), nullable=False),
        sa.Column("since_run", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "member_id"),
        sqlite_with_rowid=False,
    )
    for name in ("groep_id", "persoon_id"):
        op.create_index(f"ix_former_member_{name}", "former_member", [name])
    op.create_table(
        "zaak_notitie",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("at", Instant(timezone=True), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["zaak.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_zaak_notitie_case_id", "zaak_notitie", ["case_id"])
