"""What Alembic runs: the migrations, on the connection that `Store.upgrade` hands over."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from sync_engine.store import tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    transaction_per_migration=False,
    compare_type=True,
    compare_server_default=True,
)
__all__ = ["tables"]
with context.begin_transaction():
    context.run_migrations()
