"""The vault: what a system keeps of one person, encrypted under the key of that person.

A value stands with the number that it was written for. One that was merged into another is read as
that other, whose own value wins; parted again, each has his own back. A value without its person
cannot be: who writes, and who removes a person, locks the row of the tenant first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from config.clock import Clock
from mappings.canonical.fields import Entity
from sync_engine.project import has_parts
from sync_engine.sealed import vault_context
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.engine import Store
from sync_engine.store.values import instant
from sync_engine.store.work import Work

PERSONS: Final = tuple(entity for entity in Entity if has_parts(entity)[0])
"""Entities of persons: each record of them has a salt from the day that it was made."""
_COLUMNS: Final = ("core_id", "system", "kind", "tenant_id", "value", "changed_at")


@dataclass(frozen=True, slots=True)
class _Kept:
    """One row, still encrypted."""

    core_id: int
    value: bytes
    salt: bytes
    changed_at: datetime


class StoreVault:
    """The vault of one system within one tenant, in the store.

    Each call has a connection and a cipher of its own: it may serve for months and from several
    threads, while keys are rotated.

    Args:
        store: where it is.
        tenant_id: whose; persons of another tenant are nobody here.
        system: what the koppelingen that share it speak to.
        cipher: gives the tenant's cipher as its keys are now.
        clock: says when a value changed.
    """

    def __init__(
        self,
        store: Store,
        *,
        tenant_id: int,
        system: str,
        cipher: Callable[[], TenantCipher],
        clock: Clock,
    ) -> None:
        self._store, self._tenant_id, self._system = store, tenant_id, system
        self._cipher, self._clock = cipher, clock

    def read(self, kind: str, persons: Collection[int]) -> Mapping[int, bytes]:
        """The values of these persons; who has none, or was erased, is left out."""
        if not persons:
            return {}
        with self._store.work() as work, work.snapshot():
            became = _became(work, persons)
            kept = self._kept(work, kind, set(became.values()))
        cipher = self._cipher()
        return {
            person: self._open(kept[now], kind, cipher)
            for person, now in became.items()
            if now in kept
        }

    def write(self, kind: str, values: Mapping[int, bytes]) -> None:
        """Keep a value of each of these persons, in one transaction; what was there is gone.

        Who is not there any more is left out: nothing is kept of somebody who is gone.
        """
        if not values:
            return
        cipher, now = self._cipher(), self._clock.now()
        with self._store.work() as work, work.transaction():
            hold(work, self._tenant_id)
            became = _became(work, values)
            merged = {now_: values[was] for was, now_ in sorted(became.items()) if was != now_}
            fresh = merged | {was: values[was] for was, now_ in became.items() if was == now_}
            salts = self._salts(work, fresh)
            rows = [
                (number, self._system, kind, self._tenant_id, sealed, now)
                for number, salt in sorted(salts.items())
                for sealed in [self._sealed(cipher, salt, fresh[number], kind, number)]
            ]
            self._delete(work, kind, list(salts))
            work.load("vault", _COLUMNS, rows)

    def forget(self, kind: str, persons: Collection[int]) -> None:
        """Keep nothing of that kind of these persons any more, nor of who was merged into them."""
        if not persons:
            return
        with self._store.work() as work, work.transaction():
            numbers = set(_became(work, persons).values())
            self._delete(work, kind, [*numbers, *_merged(work, numbers)])

    # -- rows --------------------------------------------------------------------------------------

    def _kept(self, work: Work, kind: str, persons: Collection[int]) -> dict[int, _Kept]:
        """Of each person his own value, or else the newest of those that were merged into him."""
        merged = _merged(work, persons)
        found: dict[int, _Kept] = {}
        for row in work.execute(
            "SELECT v.core_id, v.value, x.salt, v.changed_at FROM vault v "
            "JOIN core_salt x ON x.core_id = v.core_id "
            f"WHERE {work.many('v.core_id')} AND v.system = ? AND v.kind = ? AND v.tenant_id = ?",
            (work.values([*persons, *merged]), self._system, kind, self._tenant_id),
        ):
            kept = _Kept(row[0], bytes(row[1]), bytes(row[2]), instant(row[3]))
            person = merged.get(kept.core_id, kept.core_id)
            other = found.get(person)
            if other is None or _comes_first(kept, other, person):
                found[person] = kept
        return found

    def _salts(self, work: Work, persons: Collection[int]) -> dict[int, bytes]:
        """The salts of those who are there, in this tenant."""
        there = " UNION ALL ".join(
            f"SELECT p.id FROM {entity} p WHERE p.tenant_id = ? AND {work.many('p.id')}"
            for entity in PERSONS
        )
        numbers = work.values(list(persons))
        return {
            number: bytes(salt)
            for number, salt in work.execute(
                f"SELECT core_id, salt FROM core_salt WHERE core_id IN ({there})",
                (self._tenant_id, numbers) * len(PERSONS),
            )
        }

    def _delete(self, work: Work, kind: str, numbers: list[int]) -> None:
        work.execute(
            f"DELETE FROM vault WHERE {work.many('core_id')} AND system = ? AND kind = ? "
            "AND tenant_id = ?",
            (work.values(numbers), self._system, kind, self._tenant_id),
        )

    # -- values ------------------------------------------------------------------------------------

    def _open(self, kept: _Kept, kind: str, cipher: TenantCipher) -> bytes:
        context = vault_context(kept.core_id, self._system, kind)
        return cipher.person(kept.salt).decrypt(kept.value, context)

    def _sealed(
        self, cipher: TenantCipher, salt: bytes, value: bytes, kind: str, number: int
    ) -> bytes:
        return cipher.person(salt).encrypt(value, vault_context(number, self._system, kind))


def hold(work: Work, tenant_id: int) -> None:
    """Within the transaction that is open: nobody else writes the tenant's vault until it ends.

    Who removes persons of a tenant, or takes them to another one, holds it before.
    """
    work.execute("UPDATE tenant SET title = title WHERE id = ?", (tenant_id,))


def _became(work: Work, persons: Collection[int]) -> dict[int, int]:
    """Each of these persons → who he is by now."""
    numbers = sorted(set(persons))
    merged = work.execute(
        f"SELECT core_id, survivor_id FROM alias WHERE {work.many('core_id')}",
        (work.values(numbers),),
    )
    return {number: number for number in numbers} | dict(merged)


def _merged(work: Work, persons: Collection[int]) -> dict[int, int]:
    """Who was merged into one of these persons → that person."""
    return dict(
        work.execute(
            f"SELECT core_id, survivor_id FROM alias WHERE {work.many('survivor_id')}",
            (work.values(list(persons)),),
        )
    )


def _comes_first(kept: _Kept, other: _Kept, person: int) -> bool:
    """Whether a value of this person wins over another one."""

    def rank(one: _Kept) -> tuple[bool, datetime, int]:
        return one.core_id == person, one.changed_at, -one.core_id

    return rank(kept) > rank(other)
