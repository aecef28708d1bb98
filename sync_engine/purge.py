"""Purge: removes what retention says is over its time, in short batches, each whole in itself.

Killed between any two batches, the database is sound and the next purge goes on. A core record goes
with everything that belongs to it; what refers to it goes first. Of the journal its skeleton stays,
its values and the source's key go. Each batch is judged again under the lock of the tenant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.audit import note, note_within
from sync_engine.batches import expire, overdue
from sync_engine.context import chunks
from sync_engine.erasure.again import catch_up
from sync_engine.find import hub_key
from sync_engine.hub import Hub
from sync_engine.removal import Removal
from sync_engine.retention import Aged, Ages, Params, refers_to_itself, run_columns
from sync_engine.store.locks import tenant_lock
from sync_engine.store.work import Work
from sync_engine.vault import hold

CORE_BATCH: Final = 100
ROW_BATCH: Final = 1_000
PART_ROWS: Final = 10_000
"""Rows of a large table that are looked at by one query."""
FORMER: Final = ("former_form", "former_link", "former_member")
"""Tables of what a run replaced."""
_PARTED: Final = (
    " AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.kind = 'split' AND d.lifted_at IS NULL "
    "AND d.run_id = f.run_id AND d.koppeling_id = f.koppeling_id AND d.entity = f.entity "
    "AND d.source_key = f.source_key)"
)
_UNNEEDED: Final = {"former_link": _PARTED}
"""Whom a record was parted from, as long as that holds, no purge takes away."""


@dataclass(slots=True)
class PurgeReport:
    """What a purge of one tenant removed, or would remove.

    Attributes:
        records: entity → core records.
        rows: kind of rows → how many; in a preview of `run` at least so many: a run goes when the
            last that names it is gone.
        longest_hold_seconds: of the write lock.
    """

    tenant: str
    dry: bool
    records: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    longest_hold_seconds: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is over its time."""
        return not self.records and not self.rows


def purge(
    hub: Hub, *, operator: str, tenant: str | None = None, dry: bool = False
) -> list[PurgeReport]:
    """Remove what is over its time, of one tenant or of all; or say what would be removed.

    Raises: ConfigurationError if there is no such tenant; RunActiveError if a run holds the tenant
        for too long: what was removed until then stays removed, and the next purge goes on.
    """
    with hub.store.work() as work:
        chosen = hub.tenants(work, only=tenant)
        for number in () if dry else chosen:
            catch_up(hub, work, number, operator=operator)
        return [
            _Purge(hub, work, number, name, operator).run(dry=dry)
            for number, name in chosen.items()
        ]


class _Purge:
    """The purge of one tenant."""

    def __init__(self, hub: Hub, work: Work, tenant_id: int, name: str, operator: str) -> None:
        self.hub, self.work, self.tenant_id, self.operator = hub, work, tenant_id, operator
        settings = hub.settings
        self.ages = Ages(tenant_id, hub.clock.now(), settings.timezone, settings.policy.retention)
        self.report = PurgeReport(name, dry=False)
        self.removal = Removal(work)
        self._cases: object = None

    def run(self, *, dry: bool) -> PurgeReport:
        """Everything, or only the counting of it."""
        self.report.dry = dry
        self._tables()
        self._cite()
        passes = list(self._select())
        if dry:
            self._count()
            return self.report
        self._note("begonnen")
        self._batches_asked()
        self._former()
        for aged in self.ages.aged():
            self._age(aged)
        for entity, number in passes:
            self._erase_pass(entity, number)
        self._orphans()
        for aged in self.ages.left():
            self._age(aged)
        self._name_runs()
        self._age(self.ages.unnamed_runs())
        counts = {**self.report.records, **self.report.rows}
        self._note(", ".join(f"{name} {count}" for name, count in counts.items()) or "niets")
        self.report.longest_hold_seconds = round(self.work.longest_hold, 4)
        self.work.forget_freed(())
        return self.report

    def _note(self, why: str) -> None:
        subject = f"tenant {self.tenant_id}"
        note(self.hub, self.work, operator=self.operator, action="purge", subject=subject, why=why)

    def _tables(self) -> None:
        work = self.work
        work.temp_table("k_core", "core_id BIGINT PRIMARY KEY, entity TEXT, pass INTEGER")
        work.temp_table("k_cited", "core_id BIGINT PRIMARY KEY")
        self.removal.prepare()
        work.temp_table("k_named", "run_id INTEGER PRIMARY KEY")

    # -- what may go -------------------------------------------------------------------------------

    def _cite(self) -> None:
        """The core records that open cases speak of, where cases came or went since last time."""
        work, tenant = self.work, self.tenant_id
        open_cases = "FROM zaak WHERE tenant_id = ? AND state = 'open'"
        cases = work.execute(f"SELECT COUNT(*), MAX(id) {open_cases}", (tenant,))
        if cases == self._cases:
            return
        self._cases = cases
        work.execute("DELETE FROM k_cited")
        work.execute(
            "INSERT INTO k_cited SELECT DISTINCT l.core_id FROM zaak z JOIN link l "
            "ON l.koppeling_id = z.koppeling_id AND l.entity = z.entity "
            "AND l.source_key = z.source_key WHERE z.tenant_id = ? AND z.state = 'open'",
            (tenant,),
        )
        for (detail,) in work.rows(f"SELECT detail {open_cases}", (tenant,)):
            for candidate in _candidates(detail):
                work.execute(
                    "INSERT INTO k_cited (core_id) VALUES (?) ON CONFLICT DO NOTHING", (candidate,)
                )

    def _select(self) -> Iterator[tuple[Entity, int]]:
        """Note what may go, in passes: what refers to others first, the lowest of a tree first."""
        for entity in reversed(Entity):
            where = self.ages.closed(entity, planned=True)
            number = 0
            while True:
                self.work.execute(
                    f"INSERT INTO k_core SELECT c.id, ?, ? FROM {entity} c WHERE {where.sql} "
                    "AND NOT EXISTS (SELECT 1 FROM k_core o WHERE o.core_id = c.id)",
                    (str(entity), number, *where.params),
                )
                if not self.work.changes:
                    break
                yield entity, number
                number += 1
                if not refers_to_itself(entity):
                    break

    def _count(self) -> None:
        work, report = self.work, self.report
        report.records = dict(
            work.execute("SELECT entity, COUNT(*) FROM k_core GROUP BY entity ORDER BY entity")
        )
        where = self.ages.orphaned()
        self._add(
            "shadow",
            work.execute(
                "SELECT COUNT(*) FROM shadow s JOIN scope p ON p.id = s.scope_id "
                f"WHERE {where.sql}",
                where.params,
            )[0][0],
        )
        self._add("batch answers", overdue(work, self._koppelingen(), now=self.ages.now))
        self._name_runs()
        past = self.ages.past_undo()
        for table in FORMER:
            count = (
                f"SELECT COUNT(*) FROM {table} f JOIN run t ON t.id = f.run_id "
                f"WHERE {past.sql}{_UNNEEDED.get(table, '')}"
            )
            self._add(table, work.execute(count, past.params)[0][0])
        for aged in (*self.ages.aged(), *self.ages.left(), self.ages.unnamed_runs()):
            sql = f"SELECT COUNT(*) FROM {aged.table} t WHERE {aged.where.sql}"
            self._add(aged.name, work.execute(sql, aged.where.params)[0][0])

    def _add(self, name: str, count: int) -> None:
        if count:
            self.report.rows[name] = self.report.rows.get(name, 0) + count

    # -- core records ------------------------------------------------------------------------------

    def _erase_pass(self, entity: Entity, number: int) -> None:
        last: int | None = None
        while True:
            where, params = ("AND core_id > ?", (last,)) if last is not None else ("", ())
            rows = self.work.execute(
                f"SELECT core_id FROM k_core WHERE entity = ? AND pass = ? {where} "
                "ORDER BY core_id LIMIT ?",
                (str(entity), number, *params, CORE_BATCH),
            )
            if not rows:
                return
            ids = [row[0] for row in rows]
            last = ids[-1]
            self._erase(entity, ids)

    def _erase(self, entity: Entity, ids: Sequence[int]) -> None:
        """Some core records with all that belongs to them, in one transaction."""
        work = self.work
        where = self.ages.closed(entity, planned=False)
        with tenant_lock(self.hub.store, self.tenant_id, on=work), work.transaction():
            hold(work, self.tenant_id)
            self._cite()
            self.removal.begin()
            work.execute(
                f"INSERT INTO k_batch SELECT c.id FROM {entity} c "
                f"WHERE {work.many('c.id')} AND {where.sql}",
                (work.values(ids), *where.params),
            )
            gone = [row[0] for row in work.execute("SELECT core_id FROM k_batch ORDER BY core_id")]
            if not gone:
                return
            self.removal.gather()
            self.removal.core(entity)
            self.removal.shadows()
            note_within(
                self.hub,
                work,
                operator=self.operator,
                action="purge",
                subject=f"{entity}: {len(gone)}",
                why=" ".join(map(hub_key, gone)),
            )
        self.report.records[str(entity)] = self.report.records.get(str(entity), 0) + len(gone)

    # -- what sources said -------------------------------------------------------------------------

    def _orphans(self) -> None:
        """Shadows that never became a core record."""
        work, where = self.work, self.ages.orphaned()
        listed = "SELECT s.id FROM shadow s JOIN scope p ON p.id = s.scope_id WHERE"
        for ids in self._batches("shadow", f"{listed} {{}} AND {where.sql}", "s.id", where.params):
            with tenant_lock(self.hub.store, self.tenant_id, on=work), work.transaction():
                self.removal.begin()
                work.execute(
                    f"INSERT INTO k_shadow {listed} {work.many('s.id')} AND {where.sql}",
                    (work.values(ids), *where.params),
                )
                count = work.changes
                self.removal.nodes_of_shadows()
                self.removal.shadows()
            self._add("shadow", count)

    def _former(self) -> None:
        """What undo would bring back of runs that are too old to be undone."""
        work, old = self.work, self.ages.past_undo()
        for table in FORMER:
            only = _UNNEEDED.get(table, "")
            runs = work.execute(
                f"SELECT DISTINCT f.run_id FROM {table} f JOIN run t ON t.id = f.run_id "
                f"WHERE {old.sql}{only} ORDER BY f.run_id",
                old.params,
            )
            for (run_id,) in runs:
                with work.transaction():
                    work.execute(f"DELETE FROM {table} AS f WHERE f.run_id = ?{only}", (run_id,))
                    self._add(table, work.changes)

    def _batches_asked(self) -> None:
        """Batches that hold an answer, or persons, longer than they may."""
        koppelingen = self._koppelingen()
        if overdue(self.work, koppelingen, now=self.ages.now):
            self._add("batch answers", expire(self.work, koppelingen, now=self.ages.now))

    def _koppelingen(self) -> list[int]:
        return list(self.hub.koppelingen(self.tenant_id))

    # -- rows by their own age ---------------------------------------------------------------------

    def _age(self, aged: Aged) -> None:
        """Batch by batch; what changed since it was chosen is judged again."""
        work, where = self.work, aged.where
        listed = f"SELECT t.id FROM {aged.table} t WHERE"
        for ids in self._batches(
            aged.table, f"{listed} {{}} AND {where.sql}", "t.id", where.params
        ):
            with work.transaction():
                work.execute(
                    f"{aged.act} WHERE id IN ({listed} {work.many('t.id')} AND {where.sql})",
                    (*aged.params, work.values(ids), *where.params),
                )
                self._add(aged.name, work.changes)

    def _batches(
        self, table: str, query: str, number: str, params: Params
    ) -> Iterator[Sequence[int]]:
        """Ids of the rows of a table that a query chooses, a bounded part of the table at a time.

        Args:
            table: it has an `id`.
            query: with `{}` where the part is to be put.
            number: the id, as the query names it.
            params: of the query.
        """
        work, after = self.work, 0
        while True:
            ((until,),) = work.execute(
                f"SELECT MAX(id) FROM (SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT ?) r",
                (after, PART_ROWS),
            )
            if until is None:
                return
            part = query.format(f"{number} > ? AND {number} <= ?")
            found = sorted(row[0] for row in work.execute(part, (after, until, *params)))
            yield from chunks(found, ROW_BATCH)
            after = until

    def _name_runs(self) -> None:
        """Every run that anything names; runs that begin now are not old."""
        old = self.ages.old_runs()
        if not self.work.execute(f"SELECT 1 FROM run t WHERE {old.sql} LIMIT 1", old.params):
            return
        for table, names in run_columns().items():
            for name in names:
                self.work.execute(
                    f"INSERT INTO k_named SELECT DISTINCT {name} FROM {table} "
                    f"WHERE {name} IS NOT NULL ON CONFLICT DO NOTHING"
                )


def _candidates(detail: str) -> list[int]:
    """The core ids in the detail of a case; other kinds of cases may tell other things."""
    told = msgspec.json.decode(detail)
    listed = told if isinstance(told, list) else []
    return [item["core_id"] for item in listed if isinstance(item, dict) and "core_id" in item]
