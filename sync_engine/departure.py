"""One school of a board leaves, where the board keeps others: what is hers alone goes for good.

It is a transfer (`transfer/`) to a tenant that nobody has, and the leaving (`leaving.py`) of that
one: so who is at another school too is parted as in any transfer, and stays with what that school
says of him; the rest goes with its keys. Killed between the two, the same command goes on where it
was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from config.clock import local_date
from config.errors import ConfigurationError
from config.guards import BRIN_LENGTH
from config.herinrichting import AnnouncedHerinrichting, MovedPart
from sector.identifiers import Brin, InvalidIdentifierError
from sync_engine.hub import Hub
from sync_engine.leaving import leave
from sync_engine.options import Kind, Options
from sync_engine.renumbering import places
from sync_engine.runs import run
from sync_engine.store.work import Work
from sync_engine.transfer.move import TransferReport, preview, transfer

_CONFIGURED: Final = (
    "Neem eerst de school, haar koppelingen en haar vestigingen uit de configuratie, en geef deze "
    "opdracht dan. Wie nog draait met wat er eerst stond, moet opnieuw gestart zijn."
)
_TOGETHER: Final = (
    "Laat de leverancier de school uit de levering halen. Wie dan nergens meer staat wordt "
    "gesloten, en `purge` verwijdert hem na zijn termijn."
)


@dataclass(slots=True)
class Departure:
    """What goes, or went.

    Attributes:
        koppelingen: those that serve this school alone, and end.
        parts: those of which only what is hers goes.
        together: those that read her together with others: what they tell of her stays until their
            source tells it no more.
        goes: entity → records that are nobody else's.
        stays: entity → records that are at another school too, and lose what is hers.
        rows: table → rows that went; empty in a preview.
    """

    tenant: str
    school: str
    dry: bool
    koppelingen: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    together: list[str] = field(default_factory=list)
    goes: dict[str, int] = field(default_factory=dict)
    stays: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing of her that can go."""
        return not (self.koppelingen or self.parts or self.rows)


@dataclass(slots=True)
class _Parted:
    """What a board has of one school.

    Attributes:
        receiver: the tenant that nobody has.
        brins: every number that she ever had.
        parts: koppeling → the vestigingen that are hers.
        half: she went there, and is there still.
        began: something of hers went there once; who stays may still have to be folded again.
    """

    receiver: str
    brins: frozenset[str]
    whole: list[str] = field(default_factory=list)
    parts: dict[str, list[str]] = field(default_factory=dict)
    together: list[str] = field(default_factory=list)
    ids: dict[str, tuple[int, str]] = field(default_factory=dict)
    half: bool = False
    began: bool = False


def leave_school(
    hub: Hub, tenant: str, school: str, *, operator: str, why: str, dry: bool = False
) -> Departure:
    """Remove everything that is one school's alone, or count it.

    Args:
        hub: the installation.
        tenant: the board, which keeps its other schools.
        school: her BRIN.
        operator: who says so.
        why: for the audit trail.
        dry: only count.

    Raises: ConfigurationError if that is no BRIN, there is no such tenant, the configuration names
        the school still, or she is told of with others alone; SyncError if she cannot be parted;
        RunActiveError if something of the board is under way.
    """
    try:
        brin = Brin(school).reveal()
    except InvalidIdentifierError as exc:
        raise ConfigurationError(f"school: brin: {exc.rule}") from None
    found = _find(hub, tenant, brin)
    _refuse(hub, tenant, brin, found)
    report = Departure(
        tenant, brin, dry, sorted(found.whole), sorted(found.parts), sorted(found.together)
    )
    if found.whole or found.parts:
        _transferred(hub, found, report, operator=operator, why=why)
        found.half = found.began = True
    if not dry and found.half:
        report.rows = leave(hub, found.receiver, operator=operator, why=why).rows
    if not dry and found.began:
        _fold_again(hub, tenant, operator=operator)
    return report


def _find(hub: Hub, tenant: str, brin: str) -> _Parted:
    """Which koppelingen of the board brought what of the school."""
    with hub.store.work() as work:
        ((number, _),) = hub.tenants(work, only=tenant).items()
        brins = frozenset(name[:BRIN_LENGTH] for name in hub.names_of(brin))
        found = _Parted(f"vertrek-{number}-{brin.lower()}", brins)
        scopes: dict[str, list[list[str]]] = {}
        for key, name, system, listed in work.execute(
            "SELECT k.id, k.name, k.system, s.brins FROM scope s "
            "JOIN koppeling k ON k.id = s.koppeling_id WHERE k.tenant_id = ? ORDER BY s.id",
            (number,),
        ):
            found.ids[name] = (key, system)
            scopes.setdefault(name, []).append(places(msgspec.json.decode(listed, type=list[str])))
        for name, every in scopes.items():
            _judge(found, name, every)
        there = work.execute(
            "SELECT (SELECT COUNT(*) FROM koppeling k WHERE k.tenant_id = t.id) FROM tenant t "
            "WHERE t.name = ?",
            (found.receiver,),
        )
        found.began, found.half = bool(there), bool(there and there[0][0])
    return found


def _judge(found: _Parted, name: str, scopes: list[list[str]]) -> None:
    """Whether a koppeling is hers, partly hers, or tells of her together with others."""

    def is_hers(listed: list[str]) -> bool:
        return bool(listed) and all(one[:BRIN_LENGTH] in found.brins for one in listed)

    hers = [listed for listed in scopes if is_hers(listed)]
    if len(hers) == len(scopes):
        found.whole.append(name)
    elif hers:
        found.parts[name] = sorted({one for listed in hers for one in listed})
    elif any(one[:BRIN_LENGTH] in found.brins for listed in scopes for one in listed):
        found.together.append(name)


def _refuse(hub: Hub, tenant: str, brin: str, found: _Parted) -> None:
    """Raises: ConfigurationError where the configuration names her, or reads her, still."""
    for one in hub.settings.tenant:
        if one.name == tenant and any(each.brin.reveal() == brin for each in one.school):
            message = f"tenant[{tenant}].school[{brin}] stands in the configuration"
            raise ConfigurationError(message, advice=_CONFIGURED)
    for source in hub.settings.source:
        hers = source.name in found.whole
        if hers or (source.name in found.parts and source.includes(found.parts[source.name])):
            message = f"source[{source.name}] reads school {brin} still"
            raise ConfigurationError(message, advice=_CONFIGURED)
    if found.together and not (found.whole or found.parts or found.half):
        names = ", ".join(found.together)
        raise ConfigurationError(f"{names}: tells of school {brin} with others", advice=_TOGETHER)


def _transferred(hub: Hub, found: _Parted, report: Departure, *, operator: str, why: str) -> None:
    """Transfer what is hers to the tenant that nobody has, or count what that would be."""
    receiver = found.receiver
    gets = {name: f"{receiver}-{found.ids[name][0]}" for name in found.parts}
    told = AnnouncedHerinrichting(
        name=receiver,
        tenant=report.tenant,
        naar=receiver,
        on=local_date(hub.clock.now(), hub.settings.timezone),
        koppelingen=tuple(found.whole),
        # not validated: a source may name a school by her BRIN alone
        deel=tuple(
            MovedPart.model_construct(
                koppeling=name, vestigingen=tuple(found.parts[name]), to=gets[name]
            )
            for name in sorted(found.parts)
        ),
    )

    def make(work: Work) -> None:
        work.execute(
            "INSERT INTO tenant (name, title) VALUES (?, '') ON CONFLICT (name) DO NOTHING",
            (receiver,),
        )
        for name, to in gets.items():
            work.execute(
                "INSERT INTO koppeling (tenant_id, name, system) SELECT id, ?, ? FROM tenant "
                "WHERE name = ? ON CONFLICT (name) DO NOTHING",
                (to, found.ids[name][1], receiver),
            )

    if report.dry:
        _count(report, preview(hub, told, receiver=make))
        return
    with hub.store.work() as work, work.transaction():
        make(work)
    _count(report, transfer(hub, told, operator=operator, why=why, departs=True))


def _count(report: Departure, moved: TransferReport) -> None:
    report.goes = dict(moved.goes)
    for twin in moved.twins:
        report.stays[twin.entity] = report.stays.get(twin.entity, 0) + 1


def _fold_again(hub: Hub, tenant: str, *, operator: str) -> None:
    """Who stays is folded of what is left of him at once, where a koppeling can do that."""
    source = next((one for one in hub.settings.source if one.tenant == tenant), None)
    with hub.store.work() as work:
        cores = work.execute(
            "SELECT r.core_id FROM refold r JOIN tenant t ON t.id = r.tenant_id WHERE t.name = ? "
            "ORDER BY 1",
            (tenant,),
        )
    if source is not None and cores:
        ids = tuple(int(row[0]) for row in cores)
        run(hub, source.name, Options(kind=Kind.REFOLD, cores=ids, operator=operator))
