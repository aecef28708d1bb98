"""The keys that the database holds: check values of master keys, wrapped keys of tenants."""

from __future__ import annotations

from datetime import datetime
from hmac import compare_digest
from typing import Final, Protocol

from sqlmodel import Session, select

from sync_engine.errors import StoreError
from sync_engine.store.anchor import Anchor, sealed_row
from sync_engine.store.cipher import MasterKeys, TenantCipher, TenantKeyRow, new_tenant_key, rewrap
from sync_engine.store.engine import Store
from sync_engine.store.tables import KeyCheck, TenantKey

_OTHER_KEYS: Final = (
    "Dit sleutelbestand hoort niet bij deze database. Zet het juiste sleutelbestand terug, "
    "of verwijs in de instellingen naar de juiste database."
)


class CheckedKeys(MasterKeys, Protocol):
    """A keyring that can say by what the database recognises its keys."""

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all master keys."""

    def check_value(self, key_id: str) -> str:
        """32 hex digits that recognise a key and do not reveal it."""


def record_keys(store: Store, keys: CheckedKeys, *, now: datetime) -> None:
    """Write the check values that the database does not have yet: for `init`, `demo` and rotation.

    With its first keys a database gets the anchor of its audit trail.

    Raises: StoreError if the database holds data of other keys.
    """
    with Session(store.engine) as session:
        known = {row.master_id: row.check_value for row in session.exec(select(KeyCheck))}
        _compare(known, keys, may_be_new=True)
        for key_id in keys.key_ids:
            if key_id not in known:
                value = bytes.fromhex(keys.check_value(key_id))
                session.add(KeyCheck(master_id=key_id, check_value=value, created_at=now))
        if not known:
            session.add(sealed_row(Anchor(), keys))
        session.commit()


def verify_keys(store: Store, keys: CheckedKeys) -> None:
    """Do nothing where this keyring belongs to this database.

    Raises: StoreError if it does not, or if the database was never given keys.
    """
    with Session(store.engine) as session:
        known = {row.master_id: row.check_value for row in session.exec(select(KeyCheck))}
    _compare(known, keys, may_be_new=False)


def _compare(known: dict[str, bytes], keys: CheckedKeys, *, may_be_new: bool) -> None:
    shared = [key_id for key_id in keys.key_ids if key_id in known]
    for key_id in shared:
        if not compare_digest(bytes.fromhex(keys.check_value(key_id)), known[key_id]):
            raise StoreError(f"key {key_id} is not the one of this database", advice=_OTHER_KEYS)
    if not known and may_be_new:
        return
    if not shared or not (may_be_new or keys.active_id in known):
        raise StoreError("the keyring holds no key of this database", advice=_OTHER_KEYS)


def open_tenant_cipher(
    store: Store, keys: MasterKeys, tenant_id: int, *, now: datetime
) -> TenantCipher:
    """The cipher of a tenant; its first key is made when it has none.

    Raises: StoreError if a key does not open with this keyring.
    """
    rows = tenant_keys(store, tenant_id)
    if not rows:
        _insert_first(store, new_tenant_key(tenant_id, 1, masters=keys), now=now)
        rows = tenant_keys(store, tenant_id)  # another process may have been first
    return TenantCipher(tenant_id, rows, masters=keys)


def tenant_keys(store: Store, tenant_id: int) -> list[TenantKeyRow]:
    """Every version of a tenant's key, oldest first."""
    with store.work() as work:
        rows = work.execute(
            "SELECT version, master_id, wrapped, check_value, active FROM tenant_key "
            "WHERE tenant_id = ? ORDER BY version",
            (tenant_id,),
        )
    return [
        TenantKeyRow(tenant_id, version, master_id, wrapped, check_value, bool(active))
        for version, master_id, wrapped, check_value, active in rows
    ]


def _insert_first(store: Store, row: TenantKeyRow, *, now: datetime) -> None:
    with store.work() as work, work.transaction():
        work.execute(
            "INSERT INTO tenant_key "
            "(tenant_id, version, master_id, wrapped, check_value, active, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, version) DO NOTHING",
            (
                row.tenant_id,
                row.version,
                row.master_id,
                row.wrapped,
                row.check_value,
                row.active,
                now,
            ),
        )


def add_tenant_key(store: Store, keys: MasterKeys, tenant_id: int, *, now: datetime) -> int:
    """Make a new active version beside the old ones, and give its number: a rotation begins.

    Blobs are encrypted anew where `TenantCipher.needs_rotation` says so; an old version is removed
    when nothing is left that names it.

    Raises: StoreError if the tenant has no key yet.
    """
    held = tenant_keys(store, tenant_id)
    if not held:
        message = f"tenant {tenant_id} has no key to rotate"
        raise StoreError(message)
    row = new_tenant_key(tenant_id, held[-1].version + 1, masters=keys)
    with store.work() as work, work.transaction():
        work.execute("UPDATE tenant_key SET active = FALSE WHERE tenant_id = ?", (tenant_id,))
        work.execute(
            "INSERT INTO tenant_key "
            "(tenant_id, version, master_id, wrapped, check_value, active, created_at) "
            "VALUES (?, ?, ?, ?, ?, TRUE, ?)",
            (row.tenant_id, row.version, row.master_id, row.wrapped, row.check_value, now),
        )
    return row.version


def rewrap_tenant_keys(store: Store, keys: MasterKeys) -> int:
    """Wrap every tenant key under the active master key, and say how many changed.

    Raises: StoreError if a key does not open with this keyring.
    """
    changed = 0
    with Session(store.engine) as session:
        stale = session.exec(select(TenantKey).where(TenantKey.master_id != keys.active_id)).all()
        for row in stale:
            old = TenantKeyRow(
                row.tenant_id, row.version, row.master_id, row.wrapped, row.check_value, row.active
            )
            fresh = rewrap(old, masters=keys)
            row.master_id, row.wrapped = fresh.master_id, fresh.wrapped
            changed += 1
        session.commit()
    return changed
