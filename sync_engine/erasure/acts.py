"""Erase one person, list who was erased, lift it.

What goes is what removal takes for retention too; besides that his suppression is written, by which
intake recognises him (suppression.py). All of it is one transaction: killed at any instant he is
there or he is gone. Before it begins the list beside the key file has him (listing.py): what is
listed and not done is done by whoever comes next, a run, a purge or another erasure (again.py).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Final

from mappings.canonical.fields import Entity
from sync_engine.erasure.again import alone, catch_up
from sync_engine.erasure.gathering import Found
from sync_engine.erasure.listing import add_to_list, list_path
from sync_engine.erasure.removing import CHANGED, Eraser
from sync_engine.erasure.telling import ErasureReport, Teller
from sync_engine.errors import ErasureRefusedError
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.store.values import instant
from sync_engine.store.work import Work
from sync_engine.suppression import PERSONS

_DUTY: Final = (
    "De school moet van wie is ingeschreven of in dienst is, en een tijd daarna, bepaalde gegevens "
    "bewaren. De hub beslist niet wat de wet hier vraagt: overleg met de functionaris "
    "gegevensbescherming van de school. Besluit de school dat hij toch gewist wordt, geef dan "
    "--despite-retention; het staat met de reden in het logboek."
)
_JUST_NOW: Final = (
    "Hij is zojuist gewist: door een ander, of omdat een eerdere opdracht die was afgebroken nu is "
    "afgemaakt. Zie `koppelhub erase list`."
)


@dataclass(slots=True)
class Suppressed:
    """One erasure that stands, or was lifted.

    Attributes:
        number: of its first row.
        key: hub key that he had.
        lifted_at, lifted_by, lifted_why: of one that was lifted.
    """

    number: int
    tenant: str
    entity: str
    key: str
    at: str
    operator: str
    reason: str
    marks: int
    along: int = 0
    lifted_at: str | None = None
    lifted_by: str | None = None
    lifted_why: str | None = None


class _RehearsedError(Exception):
    """Ends the transaction of a preview: everything is as it was."""


def erase(
    hub: Hub,
    entity: Entity,
    core_id: int,
    *,
    operator: str,
    why: str,
    despite_retention: bool = False,
    dry: bool = False,
) -> ErasureReport:
    """Erase one person, or say what would go.

    A preview does all of it and takes it back: it cannot differ.

    Args:
        hub: the installation.
        entity: leerling, medewerker or verzorger.
        core_id: who.
        operator: who says so.
        why: for the audit trail and the suppression, without names or numbers.
        despite_retention: the school decided so although it may have to keep him.
        dry: only say what would go.

    Raises: RunActiveError if anything of his tenant is under way; ErasureRefusedError if the school
        may have to keep him, or he is no person; ConfigurationError if the list of erasures cannot
        be written.
    """
    if entity not in PERSONS:
        message = f"a {entity} cannot be erased"
        names = ", ".join(PERSONS)
        raise ErasureRefusedError(message, advice=f"Gewist worden mensen: {names}.")
    hub = hub.whole
    with hub.store.work() as work:
        tenant_id = _tenant_of(work, entity, core_id)
        if not dry:
            catch_up(hub, work, tenant_id, operator=operator)
        with alone(hub, work, tenant_id):
            _tenant_of(work, entity, core_id, advice=_JUST_NOW)
            one = Eraser(hub, work, tenant_id, operator=operator)
            found = one.gatherer.gather(entity, [core_id])
            report = Teller(hub, work, tenant_id).report(entity, core_id, found)
            if dry:
                _rehearse(one, found, report)
                return report
            if report.duty and not despite_retention:
                message = f"{report.key}: the school may have to keep this {entity}"
                raise ErasureRefusedError(message, advice=f"{' '.join(report.duty)} {_DUTY}")
            erasure = token_hex(8)
            add_to_list(
                list_path(hub.settings.keys.file), [one.gatherer.line(erasure, entity, found)]
            )
            with work.transaction():
                one.carry_out(found, erasure, why=why, report=report)
            report.number, report.dry = _number_of(work, tenant_id, erasure), False
        report.freed = work.forget_freed({*report.rows, *CHANGED})
    return report


def _tenant_of(work: Work, entity: Entity, core_id: int, *, advice: str | None = None) -> int:
    """Raises: ErasureRefusedError if he is not there."""
    rows = work.execute(f"SELECT tenant_id FROM {entity} WHERE id = ?", (core_id,))
    if not rows:
        message = f"there is no {entity} {hub_key(core_id)} any more"
        raise ErasureRefusedError(message, advice=advice)
    return int(rows[0][0])


def _rehearse(one: Eraser, found: Found, report: ErasureReport) -> None:
    """Do all of it, and take it back."""
    with suppress(_RehearsedError), one.work.transaction():
        one.carry_out(found, "", why="", report=report, dry=True)
        raise _RehearsedError


def _number_of(work: Work, tenant_id: int, erasure: str) -> int:
    rows = work.execute(
        "SELECT MIN(id) FROM suppression WHERE tenant_id = ? AND erasure = ?", (tenant_id, erasure)
    )
    return int(rows[0][0])


def list_erasures(hub: Hub, *, lifted: bool = False) -> list[Suppressed]:
    """Who was erased, newest last; by hub key, for nothing else is known.

    Args:
        hub: of the actor: only of tenants that he may act for.
        lifted: also those that were lifted.
    """
    where = "" if lifted else "AND s.lifted_at IS NULL"
    with hub.store.whole.work() as work:
        mine = list(hub.tenants(work))
        found: dict[tuple[int, str], Suppressed] = {}
        for row in work.execute(
            "SELECT s.id, t.name, s.entity, s.core_id, s.created_at, s.operator, s.reason, "
            "s.lifted_at, s.lifted_by, s.lifted_why, s.erasure, s.tenant_id, s.along "
            "FROM suppression s JOIN tenant t ON t.id = s.tenant_id "
            f"WHERE {work.many('s.tenant_id')} {where} ORDER BY s.id",
            (work.values(mine),),
        ):
            (
                number,
                tenant,
                entity,
                core_id,
                at,
                operator,
                reason,
                *lift,
                erasure,
                tenant_id,
                along,
            ) = row
            one = found.get((tenant_id, erasure))
            if one is None or (one.along and not along):
                number = one.number if one else number
                marks = one.marks if one else 0
                found[tenant_id, erasure] = one = Suppressed(
                    number,
                    tenant,
                    entity,
                    hub_key(core_id or 0),
                    instant(at).isoformat(),
                    operator,
                    reason,
                    marks,
                    int(bool(along)),
                    None if lift[0] is None else instant(lift[0]).isoformat(),
                    lift[1],
                    lift[2],
                )
            one.marks += 1
    return sorted(found.values(), key=lambda one: one.number)


def lift(hub: Hub, number: int, *, operator: str, why: str) -> Suppressed:
    """End a suppression: the next full reading brings him back, as a new record.

    Raises: ErasureRefusedError if no erasure that stands has that number; RunActiveError if
        anything of the tenant is under way.
    """
    every = {one.number: one for one in list_erasures(hub)}
    if number not in every:
        numbers = ", ".join(map(str, every)) or "geen"
        message = f"there is no erasure {number} that stands"
        raise ErasureRefusedError(message, advice=f"Zie `koppelhub erase list`: {numbers}.")
    hub = hub.whole
    with hub.store.work() as work:
        ((tenant_id, erasure),) = work.execute(
            "SELECT tenant_id, erasure FROM suppression WHERE id = ?", (number,)
        )
        with alone(hub, work, tenant_id):
            one = Eraser(hub, work, tenant_id, operator=operator)
            # first on the list: it would erase him again, the other way round
            add_to_list(list_path(hub.settings.keys.file), [one.gatherer.lifting(erasure)])
            with work.transaction():
                one.lift(erasure, why=why)
    return every[number]
