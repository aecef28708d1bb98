"""Whether this process can work now: its database, the schema of this release, and their keys."""

from __future__ import annotations

from enum import StrEnum

from config.errors import KoppelhubError
from sync_engine.errors import StoreError
from sync_engine.hub import Hub
from sync_engine.store.keys import verify_keys
from sync_engine.store.schema import revisions


class Part(StrEnum):
    """What may be missing."""

    DATABASE = "database"
    SCHEMA = "schema"
    KEYS = "keys"


def missing(hub: Hub) -> Part | None:
    """The first thing that is not as it must be; None where all is well. Asks anew each time."""
    path = hub.store.path
    try:
        if path is not None and not path.is_file():  # what is open would go on without it
            return Part.DATABASE
        with hub.store.work() as work:
            found = work.execute("SELECT version_num FROM alembic_version")
    except StoreError:
        return Part.DATABASE
    if [row[0] for row in found] != [revisions()[-1]]:
        return Part.SCHEMA
    try:
        verify_keys(hub.store, hub.keyring)
    except KoppelhubError:
        return Part.KEYS
    return None
