"""Rotating a tenant's key: every encrypted value under a new version, in short resumable batches.

Goes beside running syncs. Nothing is encrypted anew before every run has ended that began without
the new version, and a version is retired only when nothing names it and no run is under way that
might still write what it read before. Blind indexes and fingerprints stay with the version that
they were made with: the oldest is kept for those alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sync_engine.audit import note
from sync_engine.errors import RunActiveError, StoreError
from sync_engine.hub import Hub
from sync_engine.sealed import Sealed, sealed_columns
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.keys import add_tenant_key, tenant_keys
from sync_engine.store.locks import lease, tenant_lock
from sync_engine.store.values import instant
from sync_engine.store.work import Row, Work

BATCH_ROWS: Final = 500
BATCH_BYTES: Final = 4_000_000
"""Bounds of one batch: of memory, and of the time that the write lock is held."""

_MARGIN: Final = timedelta(minutes=5)
"""By how much the clocks of two machines may differ."""
_GRACE: Final = timedelta(minutes=2)
"""How long a command that began with the old version may still write a value with it."""

_BUSY: Final = (
    "Er loopt een run die nog met de oude sleutel begon. Draai `koppelhub keys rotate` opnieuw "
    "als die klaar is: het werk gaat dan verder waar het was."
)
_ROTATING: Final = "Een ander proces is deze sleutel al aan het wisselen. Wacht tot dat klaar is."

Progress = Callable[[str, str, int], None]


@dataclass(slots=True)
class KeyVersion:
    """One version of a tenant's key.

    Attributes:
        values: `table.column` → values that it still encrypts.
        indexes: blind indexes and fingerprints are made with it.
        emptied_at: since when it encrypts nothing any more; None for the active one, and for one
            that a rotation is emptying.
    """

    version: int
    master_id: str
    created_at: str
    active: bool
    indexes: bool
    emptied_at: str | None
    values: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class TenantKeys:
    """The versions of one tenant's key, oldest first."""

    tenant: str
    versions: list[KeyVersion]

    @property
    def rotating(self) -> bool:
        """Whether a rotation is under way."""
        return any(not v.active and v.emptied_at is None for v in self.versions)


@dataclass(slots=True)
class RotationReport:
    """What one call did for one tenant.

    Attributes:
        version: the one that everything is encrypted with now.
        began: it was made by this call.
        rewritten: `table.column` → values encrypted anew.
        unreadable: `table.column` → values that do not open; nothing that names them is retired.
        retired: versions that were removed.
        indexes: the version that stays for blind indexes and fingerprints.
    """

    tenant: str
    version: int
    began: bool
    indexes: int
    rewritten: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)
    retired: list[int] = field(default_factory=list)
    longest_hold_seconds: float = 0.0


def list_keys(hub: Hub, *, tenant: str | None = None, count: bool = True) -> list[TenantKeys]:
    """The key versions of one tenant or of all.

    Args:
        hub: the installation.
        tenant: its name, or None for all.
        count: count what each encrypts; that reads every encrypted row.

    Raises: ConfigurationError if there is no such tenant.
    """
    with hub.store.work() as work:
        tenants = hub.tenants(work, only=tenant)
        found = [TenantKeys(name, _versions(work, number)) for number, name in tenants.items()]
        for number, keys in zip(tenants, found, strict=True):
            for sealed in sealed_columns() if count else ():
                sql = sealed.rows(
                    f"substr(t.{sealed.column}, 2, 2), COUNT(*)",
                    f"GROUP BY substr(t.{sealed.column}, 2, 2)",
                )
                counts = {
                    int.from_bytes(bytes(version), "big"): n
                    for version, n in work.execute(sql, (number,))
                }
                for version in keys.versions:
                    if counts.get(version.version):
                        version.values[sealed.name] = counts[version.version]
    return found


def _versions(work: Work, tenant_id: int) -> list[KeyVersion]:
    rows = work.execute(
        "SELECT version, master_id, created_at, active, emptied_at FROM tenant_key "
        "WHERE tenant_id = ? ORDER BY version",
        (tenant_id,),
    )
    return [
        KeyVersion(version, master, str(made), bool(active), place == 0, emptied)
        for place, (version, master, made, active, emptied) in enumerate(rows)
    ]


def rotate(
    hub: Hub, *, operator: str, tenant: str | None = None, progress: Progress | None = None
) -> list[RotationReport]:
    """Give a tenant (or all) a new key, or go on with a rotation that is under way.

    Raises: ConfigurationError if there is no such tenant; RunActiveError if a run must end first,
        or another process rotates this key: what was done stays, and the next call goes on.
    """
    with hub.store.work() as work:
        return [
            _Rotation(hub, work, number, name, operator, progress or (lambda *_: None)).run()
            for number, name in hub.tenants(work, only=tenant).items()
            if tenant_keys(hub.store, number)
        ]


class _Rotation:
    """The rotation of one tenant's key."""

    def __init__(
        self,
        hub: Hub,
        work: Work,
        tenant_id: int,
        name: str,
        operator: str,
        progress: Progress,
    ) -> None:
        self.hub, self.work, self.tenant_id = hub, work, tenant_id
        self.operator, self.progress = operator, progress
        self.report = RotationReport(name, 0, began=False, indexes=0)

    def run(self) -> RotationReport:
        """Begin or go on, to the end."""
        try:
            with lease(self.hub.store, f"keys-{self.tenant_id}", on=self.work):
                self._rotate()
        except RunActiveError as error:
            if error.advice == RunActiveError.default_advice:
                raise RunActiveError(str(error), advice=_ROTATING) from error
            raise
        return self.report

    def _rotate(self) -> None:
        report, versions = self.report, _versions(self.work, self.tenant_id)
        if not any(not v.active and v.emptied_at is None for v in versions):
            add_tenant_key(self.hub.store, self.hub.keyring, self.tenant_id, now=self._now())
            report.began = True
            versions = _versions(self.work, self.tenant_id)
        active = next(v for v in versions if v.active)
        report.version, report.indexes = active.version, versions[0].version
        self._note(f"version {active.version}{' begun' if report.began else ' goes on'}")
        since = instant(active.created_at)
        self._refuse_alive(since + _MARGIN)
        cipher = self.hub.cipher(self.tenant_id)
        for sealed in sealed_columns():
            self._prepare(sealed)
        stale = list(sealed_columns())
        while sum([self._renew_all(sealed, cipher) for sealed in stale]):
            # what a run wrote back meanwhile, as it had read it before
            stale = [sealed for sealed in sealed_columns() if self._named(sealed)]
        if not report.unreadable:
            self._retire([v for v in versions if not v.active], since)
        report.longest_hold_seconds = round(self.work.longest_hold, 4)
        told = [f"{name} {count}" for name, count in report.rewritten.items()]
        self._note(f"version {active.version}: {', '.join(told) or 'nothing left'}")

    def _now(self) -> datetime:
        return self.hub.clock.now()

    def _note(self, why: str) -> None:
        subject = f"tenant {self.tenant_id}"
        note(
            self.hub,
            self.work,
            operator=self.operator,
            action="keys rotate",
            subject=subject,
            why=why,
        )

    def _refuse_alive(self, before: datetime) -> None:
        """Refuse while a run is under way that began before that instant; a dead one is none.

        Raises: RunActiveError.
        """
        for (koppeling_id,) in self.work.execute(
            "SELECT DISTINCT r.koppeling_id FROM run r JOIN koppeling k ON k.id = r.koppeling_id "
            "WHERE k.tenant_id = ? AND r.state = 'running' AND r.started_at <= ?",
            (self.tenant_id, before),
        ):
            try:
                with lease(self.hub.store, f"koppeling-{koppeling_id}", on=self.work):
                    pass  # nobody holds it: that run was killed
            except RunActiveError as error:
                raise RunActiveError(str(error), advice=_BUSY) from error

    # -- encrypting anew ---------------------------------------------------------------------------

    @staticmethod
    def _temporary(sealed: Sealed) -> str:
        return f"n_{sealed.table}_{sealed.column}"

    def _prepare(self, sealed: Sealed) -> None:
        keys = ", ".join(
            f"k_{name} {kind}" for name, kind in zip(sealed.key, sealed.types, strict=True)
        )
        self.work.temp_table(self._temporary(sealed), f"{keys}, before BLOB, after BLOB")

    def _renew_all(self, sealed: Sealed, cipher: TenantCipher) -> int:
        """Encrypt anew what names another version; how many values."""
        total = unreadable = 0
        for rows in self._batches(sealed):
            renewed = []
            for row in rows:
                fresh = self._renewed(sealed, cipher, row)
                unreadable += fresh is None
                if fresh is not None:
                    renewed.append((*row[: len(sealed.key)], row[len(sealed.key)], fresh))
            total += self._write(sealed, renewed)
            self.progress("keys", sealed.name, len(renewed))
        if total:
            before = self.report.rewritten.get(sealed.name, 0)
            self.report.rewritten[sealed.name] = before + total
        if unreadable:
            self.report.unreadable[sealed.name] = unreadable
        return total

    def _batches(self, sealed: Sealed) -> Iterator[list[Row]]:
        """(key, value, salt, parts of the context) of what names another version, in order."""
        version = self.report.version.to_bytes(2, "big")
        key = ", ".join(f"t.{name}" for name in sealed.key)
        marks = ", ".join("?" for _ in sealed.key)
        parts = ", ".join(f"t.{name}" for name in sealed.parts)
        where = (
            f"AND substr(t.{sealed.column}, 2, 2) <> ? "
            f"AND ({key}) >= ({marks}) AND ({key}) <= ({marks}) ORDER BY {key}"
        )
        sizes = sealed.rows(f"{key}, length(t.{sealed.column})", where)
        values = sealed.rows(f"{key}, t.{sealed.column}, {{salt}}, {parts}", where)
        for first, last in self._ranges(sealed):
            rows = self.work.execute(sizes, (self.tenant_id, version, *first, *last))
            while rows:
                number = _within(row[-1] for row in rows)
                ends = (*rows[0][:-1], *rows[number - 1][:-1])
                yield self.work.execute(values, (self.tenant_id, version, *ends))
                rows = rows[number:]

    def _ranges(self, sealed: Sealed) -> Iterator[tuple[Row, Row]]:
        """First and last key of every part of the table, in order, whoever's rows they are."""
        key = ", ".join(sealed.key)
        marks = ", ".join("?" for _ in sealed.key)
        last: Row = ()
        while True:
            beyond = f"WHERE ({key}) > ({marks}) " if last else ""
            rows = self.work.execute(
                f"SELECT {key} FROM {sealed.table} {beyond}ORDER BY {key} LIMIT {BATCH_ROWS}", last
            )
            if not rows:
                return
            last = rows[-1]
            yield rows[0], last

    @staticmethod
    def _renewed(sealed: Sealed, cipher: TenantCipher, row: Row) -> bytes | None:
        """The value under the active version; None where it does not open."""
        blob, salt, *parts = row[len(sealed.key) :]
        blob = bytes(blob)
        context = sealed.context(*(bytes(p) if isinstance(p, memoryview) else p for p in parts))
        try:
            person = cipher.person(bytes(salt))
            return person.encrypt(
                person.decrypt(blob, context), context, compress=blob[0] == _COMPRESSED
            )
        except StoreError:
            return None

    def _write(self, sealed: Sealed, renewed: Sequence[Sequence[object]]) -> int:
        """Put them in the place of what was read, where that still stands there."""
        work, name = self.work, self._temporary(sealed)
        if not renewed:
            return 0
        work.execute(f"DELETE FROM {name}")
        keys = [f"k_{column}" for column in sealed.key]
        work.load(name, (*keys, "before", "after"), renewed)
        same = " AND ".join(f"{sealed.table}.{column} = n.k_{column}" for column in sealed.key)
        with work.transaction():
            work.execute(
                f"UPDATE {sealed.table} SET {sealed.column} = n.after FROM {name} n "
                f"WHERE {same} AND {sealed.table}.{sealed.column} = n.before"
            )
            return work.changes

    # -- the old version ---------------------------------------------------------------------------

    def _retire(self, old: Sequence[KeyVersion], since: datetime) -> None:
        """Note that the old versions encrypt nothing; remove those that no index was made with.

        Raises: RunActiveError if a run is under way, or something names them again.
        """
        work, doomed = self.work, [v.version for v in old if not v.indexes]
        if doomed:
            self.hub.clock.sleep(since + _GRACE - self._now())
        self._refuse_alive(self._now() + _MARGIN)
        with tenant_lock(self.hub.store, self.tenant_id, on=work):
            if any(self._named(sealed) for sealed in sealed_columns()):
                raise RunActiveError("values were written with the old key", advice=_BUSY)
            with work.transaction():
                work.execute(
                    "UPDATE tenant_key SET emptied_at = ? "
                    "WHERE tenant_id = ? AND NOT active AND emptied_at IS NULL",
                    (self._now(), self.tenant_id),
                )
                for version in doomed:
                    work.execute(
                        "DELETE FROM tenant_key WHERE tenant_id = ? AND version = ?",
                        (self.tenant_id, version),
                    )
        self.report.retired = doomed

    def _named(self, sealed: Sealed) -> bool:
        sql = sealed.rows("1", f"AND substr(t.{sealed.column}, 2, 2) <> ? LIMIT 1")
        version = self.report.version.to_bytes(2, "big")
        return bool(self.work.execute(sql, (self.tenant_id, version)))


_COMPRESSED: Final = 2
"""First byte of a blob that was packed (cipher.py)."""


def _within(sizes: Iterator[int]) -> int:
    """How many of the first fit into one batch; at least one."""
    total = number = 0
    for size in sizes:
        total += size
        if number and total > BATCH_BYTES:
            break
        number += 1
    return number
