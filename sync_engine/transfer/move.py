"""Move: what it would do that koppelingen go to another tenant, and doing it.

One transaction of set statements, computed before under the leases of the koppelingen that go and
the locks of both tenants. The ids of records stay; what belongs to both sides becomes a record in
each. Nothing is read, matched, created or closed by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from config.clock import local_date
from config.errors import ConfigurationError
from config.herinrichting import AnnouncedHerinrichting, MovedPart
from config.nearest import choice
from mappings.canonical.fields import Entity
from sync_engine.audit import note_within
from sync_engine.context import SCHEMA_VERSION, Context, Ids, KoppelingRow
from sync_engine.errors import SyncError
from sync_engine.herinrichtingen import in_force
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.plan import prepare
from sync_engine.renumbering import Renumbering
from sync_engine.scopes import load_scopes
from sync_engine.store.locks import lease, tenant_lock
from sync_engine.store.work import Work
from sync_engine.transfer.erased import tell_erased
from sync_engine.transfer.part import Part, find_scopes, take_numbers
from sync_engine.transfer.rekey import Rekeyer
from sync_engine.transfer.reseal import Resealer
from sync_engine.transfer.sides import GOING, OWNED, Parting, Sides, cuts, references
from sync_engine.transfer.write import Writer
from sync_engine.view import reading_context

PER_LINE: Final = 50
"""Pairs of numbers that one line of the audit trail tells."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A record that is one in each tenant from now on; a number that is not given yet is ''."""

    entity: str
    old_key: str
    new_key: str


@dataclass(slots=True)
class TransferReport:
    """What a transfer does, or did.

    Attributes:
        old: the tenant that they leave; `new`: the one that they go to.
        whole: nothing of the old tenant stays.
        goes: entity → records that go with their number.
        twins: those that become one in each tenant.
        rejoined: entity → records that become one again with what the new tenant has.
        carried: what else goes along → how many.
        cut: references and memberships that would cross the border → how many.
    """

    name: str
    old: str
    new: str
    on: str
    koppelingen: list[str]
    dry: bool
    whole: bool = False
    goes: dict[str, int] = field(default_factory=dict)
    twins: list[Twin] = field(default_factory=list)
    rejoined: dict[str, int] = field(default_factory=dict)
    carried: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    longest_hold_seconds: float = 0.0


def preview(
    hub: Hub, told: AnnouncedHerinrichting, *, receiver: Callable[[Work], None] | None = None
) -> TransferReport:
    """What it would do now; reads the store only.

    Args:
        hub: the installation.
        told: who goes where.
        receiver: makes the tenant that they go to, and who gets a part, where there are none; it is
            taken back. What goes there is no other board's: what was erased is no hindrance.

    Raises: ConfigurationError if it names what is not there; SyncError if it cannot be;
        NoRightError if the actor may not act for both tenants.
    """
    with hub.store.work() as work:
        departs = receiver is not None
        if receiver is None:
            with work.snapshot():
                move = _Move(hub, work, told)
                if not move.parts:
                    move.sort_out(None)
                    return move.report
        with suppress(_Shown), work.transaction():
            if receiver is not None:
                receiver(work)
            move = _Move(hub, work, told, departs=departs)
            for part in move.parts:
                part.hand_over(None)
            move.sort_out(None)
            raise _Shown
        return move.report


class _Shown(Exception):  # noqa: N818 - no error: a preview takes back what it did to look
    """What was to be seen was seen."""


def transfer(
    hub: Hub, told: AnnouncedHerinrichting, *, operator: str, why: str, departs: bool = False
) -> TransferReport:
    """Do it; the old state or the new one, whenever it is killed.

    Args:
        hub: the installation.
        told: who goes where.
        operator: who says so.
        why: for the audit trail.
        departs: no other board gets it: what was erased is no hindrance.

    Raises: as `preview`; SyncError before its day; RunActiveError if a run or a rotation of keys is
        under way, or something was written meanwhile: nothing was changed then.
    """
    if local_date(hub.clock.now(), hub.settings.timezone) < told.on:
        raise SyncError(
            f"herinrichting[{told.name}]: its day has not come",
            advice=f"Vanaf {told.on} kan het. Bekijken kan nu al: "
            f"`koppelhub herinrichting preview {told.name}`.",
        )
    with hub.store.work() as work:
        with work.snapshot():
            first = _Move(hub, work, told, departs=departs)
        with first.alone():
            for part in first.parts:
                part.hand_over(Ids(work, dry=False))
            return _Move(hub, work, told, departs=departs).carry_out(operator, why)


class _Handover:
    """A part of a koppeling that is still to be handed over to the one that goes."""

    def __init__(self, hub: Hub, work: Work, part: Part) -> None:
        self.hub, self.work, self.part = hub, work, part

    def hand_over(self, ids: Ids | None) -> None:
        """Do it, in one transaction; without numbers within the one that is open, to be undone."""
        counts = self.part.prepare()
        if ids is None:
            self._write(*(range(-count, 0) for count in counts))
            return
        numbers = take_numbers(ids, *counts)
        with self.work.transaction():
            self._write(*numbers)

    def _write(self, records: range, shadows: range) -> None:
        self.work.execute(
            "UPDATE koppeling SET tenant_id = ? WHERE id = ?",
            (self.part.old.tenant_id, self.part.new.id),
        )
        self.part.write(records, shadows)


class _Move:
    """One transfer.

    Raises: as `preview`.
    """

    def __init__(
        self, hub: Hub, work: Work, told: AnnouncedHerinrichting, *, departs: bool = False
    ) -> None:
        self.hub, self.work, self.told, self._departs = hub, work, told, departs
        tenants = {name: number for number, name in work.execute("SELECT id, name FROM tenant")}
        old, new = tenants[told.tenant], tenants[str(told.naar)]
        for number in (old, new):
            hub.check_tenant(number)
        self.issuers: dict[int, int] = {}
        self.parts: list[_Handover] = []
        self._known = {
            name: KoppelingRow(number, name, system, tenant)
            for number, name, system, tenant in work.execute(
                "SELECT id, name, system, tenant_id FROM koppeling ORDER BY id"
            )
            if tenant in {old, new}
        }
        self.rows = self._koppelingen(old, new)
        staying = work.execute("SELECT id FROM koppeling WHERE tenant_id = ?", (old,))
        going = {row.id for row in self.rows}
        whole = {row[0] for row in staying} <= going
        self.parting = Parting(old, new, sorted(going), whole=whole)
        self._refuse()
        self.report = TransferReport(
            told.name,
            told.tenant,
            str(told.naar),
            str(told.on),
            [row.name for row in self.rows],
            dry=True,
            whole=self.parting.whole,
        )

    def _koppelingen(self, old: int, new: int) -> list[KoppelingRow]:
        where = f"herinrichting[{self.told.name}]"
        rows = [
            self._going(name, f"{where}.koppelingen", old, new) for name in self.told.koppelingen
        ]
        for part in self.told.deel:
            place = f"{where}.deel[{part.koppeling}]"
            staying = self._going(part.koppeling, f"{place}.koppeling", old, new)
            rows.append(self._receiver(part, staying, place, new))
        return sorted(rows, key=lambda row: row.id)

    def _going(self, name: str, where: str, old: int, new: int) -> KoppelingRow:
        """A koppeling of the old tenant."""
        if name not in self._known:
            mine = [row.name for row in self._known.values() if row.tenant_id == old]
            raise ConfigurationError(
                f"{where}: {self.told.tenant} has no koppeling {name!r}", advice=choice(name, mine)
            )
        if self._known[name].tenant_id == new:
            raise SyncError(f"{where}: {name} stands with {self.told.naar} already", advice=_DONE)
        return self._known[name]

    def _receiver(
        self, part: MovedPart, staying: KoppelingRow, where: str, new: int
    ) -> KoppelingRow:
        """The koppeling that gets a part; what it gets is found out, unless it has it."""
        row = self._known.get(part.to)
        if row is None or row.system != staying.system:
            raise ConfigurationError(
                f"{where}.to: there is no koppeling {part.to!r} of {staying.system}",
                advice=f"Neem haar op als [[source]] van {self.told.naar}, nog zonder te lezen.",
            )
        self.issuers[staying.id] = row.id
        if self.work.execute("SELECT 1 FROM scope WHERE koppeling_id = ? LIMIT 1", (row.id,)):
            if row.tenant_id != new:
                return row  # handed over already: the transfer was broken off after it
            raise SyncError(f"{where}.to: {part.to} has read something already", advice=_READ)
        every = in_force(self.work, [staying.tenant_id])
        on = local_date(self.hub.clock.now(), self.hub.settings.timezone)
        scopes = find_scopes(self.work, part, staying, Renumbering(every, on=on), where=where)
        cipher = self.hub.cipher(staying.tenant_id)
        made = Part(self.work, cipher, scopes, old=staying, new=row)
        self.parts.append(_Handover(self.hub, self.work, made))
        return row

    def _refuse(self) -> None:
        """Refuse what would take numbers across the border half."""
        names = {row.name for row in self.rows} | {part.koppeling for part in self.told.deel}
        for name, issuer in self.work.execute(
            "SELECT DISTINCT k.name, s.numbers_of FROM scope s "
            "JOIN koppeling k ON k.id = s.koppeling_id WHERE k.tenant_id = ? "
            "AND s.numbers_of <> '' ORDER BY 1",
            (self.parting.old,),
        ):
            if (name in names) != (issuer in names):
                raise SyncError(
                    f"{name} has the numbers of {issuer}: one goes and the other stays",
                    advice=f"Verhuis {issuer} en {name} samen, ook als een van beide niet meer "
                    "gelezen wordt.",
                )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the koppelingen that go, the keys of both tenants, and both tenants."""
        tenants = sorted((self.parting.old, self.parting.new))
        with ExitStack() as held:
            names = [f"keys-{number}" for number in tenants]
            numbers = {row.id for row in self.rows} | set(self.issuers)
            names += [f"koppeling-{number}" for number in sorted(numbers)]
            for name in names:
                held.enter_context(lease(self.hub.store, name, on=self.work))
            for number in tenants:
                held.enter_context(tenant_lock(self.hub.store, number, on=self.work))
            yield

    # -- what it does ------------------------------------------------------------------------------

    def sort_out(self, ids: Ids | None) -> None:
        """Who goes, who stays, who becomes two; counted."""
        Sides(self.work, self.parting).sort_out(ids)
        self._members()
        report, work = self.report, self.work
        report.goes = dict(
            work.execute(
                "SELECT entity, COUNT(*) FROM t_core WHERE NOT split AND other IS NULL "
                "GROUP BY entity ORDER BY entity"
            )
        )
        report.rejoined = dict(
            work.execute(
                "SELECT entity, COUNT(*) FROM t_core WHERE NOT split AND other IS NOT NULL "
                "GROUP BY entity ORDER BY entity"
            )
        )
        report.twins = [
            Twin(entity, _key(a), _key(b))
            for entity, a, b in work.execute(
                "SELECT entity, a_id, b_id FROM t_core WHERE split ORDER BY entity, core_id"
            )
        ]
        self._count()

    def _members(self) -> None:
        work = self.work
        work.temp_table(
            "t_member",
            "id INTEGER PRIMARY KEY, a_groep BIGINT, a_persoon BIGINT, b_groep BIGINT, "
            "b_persoon BIGINT",
        )

        def at(side: str, alias: str, column: str) -> str:
            if side == "b":
                return f"{alias}.b_id"
            return f"CASE WHEN {alias}.core_id IS NULL THEN d.{column} ELSE {alias}.a_id END"

        sides = [
            at(side, alias, column)
            for side in "ab"
            for alias, column in (("g", "groep_id"), ("p", "persoon_id"))
        ]
        work.execute(
            f"INSERT INTO t_member SELECT d.id, {', '.join(sides)} FROM groepsdeelname d "
            "LEFT JOIN t_core g ON g.core_id = d.groep_id "
            "LEFT JOIN t_core p ON p.core_id = d.persoon_id WHERE d.id IN "
            "(SELECT m.id FROM t_core t JOIN groepsdeelname m ON m.groep_id = t.core_id "
            "UNION SELECT m.id FROM t_core t JOIN groepsdeelname m ON m.persoon_id = t.core_id)"
        )

    def _count(self) -> None:
        work, report = self.work, self.report
        own, old = f"koppeling_id IN {GOING}", (self.parting.old,)
        scopes = f"scope_id IN (SELECT id FROM scope WHERE {own})"
        held = f"run_id IN (SELECT id FROM run WHERE {own}) AND state IN ('open', 'held')"
        for name, where in (
            ("shadow", own),
            ("source_record", scopes),
            ("quarantine", scopes),
            ("zaak", f"{own} AND state = 'open'"),
            ("decision", f"{own} AND lifted_at IS NULL"),
            ("pin", f"core_id IN {OWNED} AND lifted_at IS NULL"),
            ("plan", held),
            ("inbox", own),
            ("vault", f"core_id IN {OWNED}"),
            ("exchange", own),
        ):
            count = work.execute(f"SELECT COUNT(*) FROM {name} WHERE {where}")[0][0]
            if count:
                report.carried[name] = count
        for entity in Entity:
            for column, _ in references(entity):
                for cut in cuts(entity, column):
                    count = work.execute(f"SELECT COUNT(*) {cut}", old)[0][0]
                    if count:
                        name = f"{entity}.{column.removesuffix('_id')}"
                        report.cut[name] = report.cut.get(name, 0) + count
        none = " AND ".join(f"({s}_groep IS NULL OR {s}_persoon IS NULL)" for s in "ab")
        count = work.execute(f"SELECT COUNT(*) FROM t_member WHERE {none}")[0][0]
        if count:
            report.cut["groepsdeelname"] = count

    def carry_out(self, operator: str, why: str) -> TransferReport:
        """Compute everything, then write it in one transaction."""
        hub, work, parting = self.hub, self.work, self.parting
        self.sort_out(Ids(work, dry=False))
        ciphers = hub.cipher(parting.old), hub.cipher(parting.new)
        context = reading_context(hub, work, parting.old)
        prepare(context, acting=False)
        load_scopes(context)
        versions = {
            row.id: context.mappings[row.name].version
            for row in self.rows
            if row.name in context.mappings
        }
        resealer = Resealer(work, parting, ciphers=ciphers, versions=versions, issuers=self.issuers)
        counts = resealer.prepare()
        Rekeyer(context, ciphers[1], self.rows, issuers=self.issuers).prepare()
        self._tables()
        self._cases()
        self._inputs(context, versions)
        with work.transaction():
            writer = Writer(
                work, parting, operator=operator, now=hub.clock.now(), issuers=self.issuers
            )
            writer.write(counts)
            if not self._departs:
                tell_erased(work, ciphers, split=self.issuers)
            self._remember(operator, why)
            self._tell(operator, why)
        self.report.dry = False
        self.report.longest_hold_seconds = round(work.longest_hold, 4)
        return self.report

    def _tables(self) -> None:
        work = self.work
        work.temp_table(
            "t_match",
            "digest BLOB, koppeling_id INTEGER, source_key TEXT, entity TEXT, kind TEXT, "
            "core_id BIGINT",
        )
        work.temp_table("t_lost", "koppeling_id INTEGER, entity TEXT, source_key TEXT, core BIGINT")
        work.temp_table("t_plan", "plan_id INTEGER, twin_id INTEGER, goes BOOLEAN")
        work.temp_table("t_case", "id INTEGER PRIMARY KEY, detail TEXT")
        work.temp_table("t_input", "tenant_id INTEGER, name TEXT, fingerprint BLOB")

    def _cases(self) -> None:
        """Candidates of cases are records on the side of the case, by their numbers there."""
        work, rows = self.work, []
        for number, detail, goes in work.execute(
            f"SELECT z.id, z.detail, z.koppeling_id IN {GOING} FROM zaak z "
            "WHERE z.tenant_id = ? AND length(z.detail) > 2",
            (self.parting.old,),
        ):
            told = msgspec.json.decode(detail, type=list[dict[str, object]])
            ids = [int(str(c["core_id"])) for c in told if c.get("core_id") is not None]
            sides = {
                row[0]: row[2] if goes else row[1]
                for row in work.execute(
                    f"SELECT core_id, a_id, b_id FROM t_core WHERE {work.many('core_id')}",
                    (work.values(ids),),
                )
            }
            kept = []
            for candidate in told:
                core_id = candidate.get("core_id")
                if isinstance(core_id, int):
                    core_id = sides.get(core_id, None if goes else core_id)
                    if core_id is None:
                        continue
                    candidate = {**candidate, "core_id": core_id}
                kept.append(candidate)
            if kept != told:
                rows.append((number, msgspec.json.encode(kept).decode()))
        work.load("t_case", ("id", "detail"), rows)

    def _inputs(self, context: Context, versions: dict[int, str]) -> None:
        """That the quarantine was tried with this mapping is known to the new tenant too."""
        ciphers = context.cipher, self.hub.cipher(self.parting.new)
        before, after = (cipher.fingerprint(b"mapping") for cipher in ciphers)
        rows = []
        for number, version in versions.items():
            name, text = f"mapping of koppeling {number}", f"{SCHEMA_VERSION}|{version}".encode()
            known = self.work.execute(
                "SELECT fingerprint FROM fold_input WHERE tenant_id = ? AND name = ?",
                (self.parting.old, name),
            )
            if known and bytes(known[0][0]) == before(text):
                rows.append((self.parting.new, name, after(text)))
        self.work.load("t_input", ("tenant_id", "name", "fingerprint"), rows)

    def _remember(self, operator: str, why: str) -> None:
        work, report = self.work, self.report
        rows = work.execute(
            "INSERT INTO transfer (name, from_tenant, to_tenant, on_day, koppelingen, counts, "
            "operator, why, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                report.name,
                self.parting.old,
                self.parting.new,
                self.told.on,
                msgspec.json.encode(report.koppelingen).decode(),
                msgspec.json.encode(report.goes | {"twins": len(report.twins)}).decode(),
                operator,
                why,
                self.hub.clock.now(),
            ),
        )
        work.execute(
            "INSERT INTO counterpart (core_id, other_id, transfer_id) "
            "SELECT core_id, number, CAST(? AS INTEGER) FROM t_fresh",
            (rows[0][0],),
        )

    def _tell(self, operator: str, why: str) -> None:
        """One line for each tenant, and the numbers of who is in both."""
        report = self.report
        for number, way in ((self.parting.old, "uit"), (self.parting.new, "in")):
            told = f"{report.name}: {', '.join(report.koppelingen)} {way}"
            self._note(operator, f"tenant {number}", f"{told}; {why}" if why else told)
        pairs = [f"{twin.old_key} = {twin.new_key}" for twin in report.twins]
        for start in range(0, len(pairs), PER_LINE):
            part = ", ".join(pairs[start : start + PER_LINE])
            self._note(operator, f"tenant {self.parting.new}", part)

    def _note(self, operator: str, subject: str, why: str) -> None:
        note_within(
            self.hub, self.work, operator=operator, action="transfer", subject=subject, why=why
        )


_DONE: Final = "Dit is al toegepast. Terug? Kondig het andersom aan, onder een andere naam."
_READ: Final = (
    "Is dit al toegepast, dan is er niets te doen. Las deze koppeling al zelf, neem dan een andere "
    "[[source]] op die nog niets las."
)


def _key(number: int) -> str:
    return hub_key(number) if number > 0 else ""


__all__: Sequence[str] = ("TransferReport", "Twin", "preview", "transfer")
