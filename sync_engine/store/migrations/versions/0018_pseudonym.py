"""Pseudonyms that the hub obtained: their origin, and who only adds; only an addition."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the columns; what stands there was delivered, and the previous release goes on."""
    delivered = sa.text("'geleverd'")
    op.add_column(
        "identificatie",
        sa.Column("herkomst", sa.String(), nullable=False, server_default=delivered),
    )
    op.add_column("identificatie", sa.Column("keten", sa.String()))
    op.add_column("identificatie", sa.Column("sector", sa.String()))
    op.add_column("identificatie", sa.Column("geldig_van", sa.Date()))
    op.add_column("identificatie", sa.Column("geldig_tot", sa.Date()))
    op.add_column(
        "koppeling",
        sa.Column("adds", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
