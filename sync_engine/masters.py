"""A new master key: in the key file, known to the database, and every tenant's key under it.

Killed anywhere, the next call ends it: a key that the file has and the database does not know yet
is recorded, not made again.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from config.clock import Clock
from config.keyring import Keyring
from config.settings import Settings
from sync_engine.actor import Actor
from sync_engine.audit import note
from sync_engine.hub import Hub
from sync_engine.linking import connector
from sync_engine.store.engine import Store
from sync_engine.store.keys import record_keys, rewrap_tenant_keys, verify_keys


@dataclass(frozen=True, slots=True)
class MasterReport:
    """What `keys master` did.

    Attributes:
        active: id of the master key that tenant keys are wrapped under now.
        made: whether this call made it.
        rewrapped: tenant keys that were wrapped anew.
    """

    active: str
    made: bool
    rewrapped: int


def renew_master(settings: Settings, clock: Clock, *, actor: Actor) -> MasterReport:
    """Make a new master key and wrap every tenant's key under it, or end what was broken off.

    The older master keys stay in the file: backups of the database need them.

    Raises: ConfigurationError if the key file cannot be read or written; StoreError if the database
        cannot be reached or belongs to other keys.
    """
    keyring = Keyring.load(settings.keys.file)
    with closing(Store.open(settings.database.resolve())) as store:
        with store.work() as work:
            known = {row[0] for row in work.execute("SELECT master_id FROM key_check")}
        made = keyring.active_id in known
        if made:
            verify_keys(store, keyring)
            keyring = keyring.rotate()
        record_keys(store, keyring, now=clock.now())
        rewrapped = rewrap_tenant_keys(store, keyring)
        hub = Hub(
            settings,
            store,
            keyring,
            clock,
            lambda source, c: connector(settings, source, c),
            actor=actor,
        )
        with store.work() as work:
            note(
                hub,
                work,
                operator=actor.name,
                action="keys master",
                subject=f"key {keyring.active_id}",
                why=f"{rewrapped} tenant keys",
            )
    return MasterReport(keyring.active_id, made, rewrapped)
