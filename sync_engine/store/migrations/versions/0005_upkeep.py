"""Since when a key is empty; look-ups of guardians by contact and of staff by birth date."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sync_engine.store.values import Instant

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add what is missing; the previous release goes on working."""
    op.add_column("tenant_key", sa.Column("emptied_at", Instant(timezone=True), nullable=True))
    op.create_index(
        "ix_medewerker_geboortedatum", "medewerker", ["tenant_id", "geboortedatum"], unique=False
    )
    op.create_index("ix_contactgegeven_waarde", "contactgegeven", ["waarde"], unique=False)
