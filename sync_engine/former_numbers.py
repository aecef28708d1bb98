"""Former numbers: who had a leerlingnummer or personeelsnummer before, by blind index alone.

A run that replaces or removes such a number keeps its blind index, so that an old letter still
leads to the pupil. Only a person who types the number finds him: nothing is linked or matched by
it. A row names the core record as it was then; what that was merged into is found when it is read.
It goes with its record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Final

from mappings.canonical.fields import Entity
from sync_engine.context import Context
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.matching import NUMBERS
from sync_engine.options import Kind
from sync_engine.store.work import Work

_COLUMNS: Final = "core_id, soort, uitgever, run_id, tenant_id, blindindex, until"
_KEPT: Final = (
    f"INSERT INTO former_number ({_COLUMNS}) "
    "SELECT i.eigenaar_id, i.soort, i.uitgever, ?, ?, i.blindindex, ? "
)
_THIS_RUN: Final = " ON CONFLICT DO NOTHING"


def keep(context: Context, *, undone: int | None) -> None:
    """Keep the numbers that this run is about to replace or remove.

    Args:
        context: of the run, within its transaction.
        undone: the run that it turns round; what that one gave was never anybody's number, unless
            it turned another round itself.
    """
    work = context.work
    given = "" if undone is None or _is_undo(work, undone) else f" AND i.run_id <> {undone:d}"
    work.execute(
        f"{_KEPT}FROM p_former p CROSS JOIN identificatie i WHERE i.eigenaar_id = p.eigenaar_id "
        f"AND i.soort = p.soort AND i.uitgever = p.uitgever{given}{_THIS_RUN}",
        (context.run_id, context.koppeling.tenant_id, context.today),
    )


def keep_merged(context: Context) -> None:
    """Keep the numbers of what this run merged, where the record that stays has others."""
    marks = ", ".join(f"'{soort}'" for soort in sorted(NUMBERS))
    context.work.execute(
        f"{_KEPT}FROM w_alias w CROSS JOIN identificatie i WHERE i.eigenaar_id = w.core_id "
        f"AND i.soort IN ({marks}) AND NOT EXISTS (SELECT 1 FROM identificatie s "
        "WHERE s.eigenaar_id = w.survivor_id AND s.soort = i.soort "
        f"AND s.blindindex = i.blindindex){_THIS_RUN}",
        (context.run_id, context.koppeling.tenant_id, context.today),
    )


def take_back(context: Context, undone: int) -> None:
    """What an undone run replaced and what holds again is no former number by that run."""
    context.work.execute(
        "DELETE FROM former_number WHERE run_id = ? AND EXISTS (SELECT 1 FROM identificatie i "
        "WHERE i.eigenaar_id = former_number.core_id AND i.soort = former_number.soort "
        "AND i.uitgever = former_number.uitgever AND i.blindindex = former_number.blindindex)",
        (undone,),
    )


def _is_undo(work: Work, run_id: int) -> bool:
    return bool(
        work.execute("SELECT 1 FROM run WHERE id = ? AND kind = ?", (run_id, str(Kind.UNDO)))
    )


# -- who had it ------------------------------------------------------------------------------------


def former_holders(
    hub: Hub, work: Work, entity: Entity, role: str, numbers: Collection[str]
) -> dict[int, date]:
    """Core id → the last day until which one who still exists had one of these numbers.

    Args:
        hub: whose keys make the blind indexes, and whose tenants the actor may act for.
        work: reads.
        entity: whose numbers they are.
        role: leerlingnummer or personeelsnummer.
        numbers: as they were typed.
    """
    found: dict[int, date] = {}
    for koppeling_id, tenant_id in work.execute(
        f"SELECT id, tenant_id FROM koppeling WHERE {work.many('tenant_id')} ORDER BY id",
        (work.values(list(hub.tenants(work))),),
    ):
        cipher = hub.cipher(tenant_id)
        for number in numbers:
            index = cipher.index(f"identificatie/{role}", str(koppeling_id), number)
            rows = work.execute(
                "SELECT c.id, f.until FROM former_number f "
                "LEFT JOIN alias a ON a.core_id = f.core_id "
                f"JOIN {entity} c ON c.id = COALESCE(a.survivor_id, f.core_id) "
                "WHERE f.blindindex = ? AND f.tenant_id = ? AND c.tenant_id = ?",
                (index, tenant_id, tenant_id),
            )
            for core_id, day in rows:
                until = date.fromisoformat(str(day))
                found[core_id] = max(until, found.get(core_id, until))
    return dict(sorted(found.items()))


def hint(role: str, core_id: int, former: Mapping[int, date], now: Collection[int]) -> str:
    """What to say (Dutch) with a record that a number led to; empty where it is nobody's old one.

    Args:
        role: leerlingnummer or personeelsnummer.
        core_id: the record.
        former: who had that number.
        now: who has it now.
    """
    if core_id not in now:
        until = former.get(core_id)
        if until is None:
            return ""
        return f"Oud {role}: heette tot {until.isoformat()} zo; heet nu {hub_key(core_id)}."
    others = had({other: day for other, day in former.items() if other not in now})
    return f"Dit {role} had eerder een ander: {others}." if others else ""


def had(former: Mapping[int, date]) -> str:
    """`K-150 (tot 2026-10-05) of K-Z92 (tot 2026-11-01)`."""
    return " of ".join(f"{hub_key(core)} (tot {day.isoformat()})" for core, day in former.items())
