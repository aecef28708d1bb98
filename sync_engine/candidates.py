"""Who may be adopted: the core records of a school that no source is linked to.

Where the tenant is one school, all of them are its. Where it is more, a record is of the school
that it leads to: a leerling by his inschrijvingen and groepen, a verzorger by his children.
Set-based.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.context import BATCH, Context

HIGHEST: Final = 2**53
"""No id of a core record is as high: JSON readers round such numbers."""

TAKEN: Final = (
    "EXISTS (SELECT 1 FROM link l WHERE l.core_id = {core} AND l.entity = {entity} AND "
    "(l.rule <> 'adopted' OR EXISTS (SELECT 1 FROM shadow s WHERE s.koppeling_id = l.koppeling_id "
    "AND s.entity = l.entity AND s.source_key = l.source_key)))"
)
"""Of a core record: some source says something of it. A name alone is not taken."""

_ANYWHERE: Final = (Entity.BEVOEGD_GEZAG, Entity.SCHOOLJAAR)
"""Entities that are of no school."""

_FOLLOWS: Final = (
    ("opleiding", "vestiging", "opleiding", "id", "vestiging_id"),
    ("vak", "vestiging", "vak", "id", "vestiging_id"),
    ("groep", "vestiging", "groep", "id", "vestiging_id"),
    ("instelling", "vestiging", "vestiging", "instelling_id", "id"),
    ("inschrijving", "vestiging", "inschrijving", "id", "vestiging_id"),
    ("leerling", "vestiging", "inschrijving", "leerling_id", "vestiging_id"),
    ("leerling", "groep", "groepsdeelname", "persoon_id", "groep_id"),
    ("medewerker", "vestiging", "medewerker", "id", "hoofdvestiging_id"),
    ("medewerker", "groep", "groepsdeelname", "persoon_id", "groep_id"),
    ("inschrijving", "leerling", "inschrijving", "id", "leerling_id"),
    ("verzorger", "leerling", "verzorger_relatie", "verzorger_id", "leerling_id"),
    ("verzorger_relatie", "leerling", "verzorger_relatie", "id", "leerling_id"),
    ("advies", "leerling", "advies", "id", "leerling_id"),
    ("uitstroom", "leerling", "uitstroom", "id", "leerling_id"),
    ("toets", "vak", "toets", "id", "vak_id"),
    ("toetsresultaat", "leerling", "toetsresultaat", "id", "leerling_id"),
)
"""(entity, entity that it follows, table, its column of the one, and of the other), in order."""


def find_candidates(context: Context, brins: Sequence[str], *, whole: bool) -> int:
    """Fill `w_candidate` (entity, core_id); how many records lead to no school and are left out.

    Args:
        context: of the run.
        brins: BRINs or vestigingsnummers.
        whole: the tenant has no other school: what leads nowhere is its too.
    """
    work, tenant = context.work, context.koppeling.tenant_id
    work.temp_table("w_candidate", "entity TEXT, core_id BIGINT, PRIMARY KEY (entity, core_id)")
    for entity in Entity:
        work.execute(
            f"INSERT INTO w_candidate SELECT ?, c.id FROM {entity} c WHERE c.tenant_id = ? "
            f"AND NOT {TAKEN.format(core='c.id', entity='?')}",
            (str(entity), tenant, str(entity)),
        )
    if whole:
        return 0
    _place(context, brins)
    anywhere = ", ".join(f"'{entity}'" for entity in _ANYWHERE)
    ours = "SELECT entity, core_id FROM w_place WHERE ours"
    ((lost,),) = work.execute(
        "SELECT COUNT(*) FROM w_candidate WHERE (entity, core_id) NOT IN "
        f"(SELECT entity, core_id FROM w_place) AND entity NOT IN ({anywhere})"
    )
    work.execute(
        f"DELETE FROM w_candidate WHERE (entity, core_id) NOT IN ({ours}) "
        f"AND entity NOT IN ({anywhere})"
    )
    return int(lost)


def _place(context: Context, brins: Sequence[str]) -> None:
    """Fill `w_place`: which records lead to a vestiging, and whether it is one of these schools."""
    work = context.work
    work.temp_table(
        "w_place", "entity TEXT, core_id BIGINT, ours BOOLEAN", index=["(entity, core_id)"]
    )
    rows = work.execute(
        "SELECT id, vestigingsnummer, brins FROM vestiging WHERE tenant_id = ?",
        (context.koppeling.tenant_id,),
    )
    work.load(
        "w_place",
        ("entity", "core_id", "ours"),
        [
            ("vestiging", number, _is_of(names, brins))
            for number, *told in rows
            if (names := _names(told))
        ],
    )
    for entity, target, table, one, two in _FOLLOWS:
        work.execute(
            f"INSERT INTO w_place SELECT DISTINCT ?, t.{one}, p.ours FROM {table} t "
            f"JOIN {entity} e ON e.id = t.{one} "
            f"JOIN w_place p ON p.entity = ? AND p.core_id = t.{two} WHERE e.tenant_id = ?",
            (entity, target, context.koppeling.tenant_id),
        )


def _names(told: Sequence[object]) -> list[str]:
    """The numbers that a vestiging goes by."""
    number, brins = told
    try:
        listed = msgspec.json.decode(str(brins), type=list[str]) if brins else []
    except msgspec.MsgspecError:
        listed = []
    return [*([str(number)] if number else []), *listed]


def _is_of(names: Collection[str], brins: Sequence[str]) -> bool:
    return any(name.upper().startswith(brin) for name in names for brin in brins)


def batches(context: Context, entity: Entity) -> Iterator[list[int]]:
    """The candidates of one entity, ascending."""
    last: int | None = None
    while True:
        where, params = ("", ()) if last is None else ("AND core_id > ?", (last,))
        rows = context.work.execute(
            f"SELECT core_id FROM w_candidate WHERE entity = ? {where} "
            f"ORDER BY core_id LIMIT {BATCH}",
            (str(entity), *params),
        )
        if not rows:
            return
        yield [row[0] for row in rows]
        last = rows[-1][0]


def clashing(context: Context) -> dict[tuple[str, int], str]:
    """(entity, id) of candidates whose id another record has too, and why that is in doubt.

    The id of a core record is unique over all entities; a program that numbered its tables apart
    breaks that.
    """
    work = context.work
    found: dict[tuple[str, int], str] = {}
    for other in Entity:
        for entity, core_id in work.execute(
            "SELECT c.entity, c.core_id FROM w_candidate c WHERE c.entity <> ? "
            f"AND EXISTS (SELECT 1 FROM {other} t WHERE t.id = c.core_id)",
            (str(other),),
        ):
            found[entity, core_id] = f"een {other} heeft hetzelfde id"
    for entity, core_id in work.execute(
        "SELECT c.entity, c.core_id FROM w_candidate c JOIN alias a ON a.core_id = c.core_id"
    ):
        found[entity, core_id] = "het id is samengevoegd met een ander"
    for entity, core_id in work.execute(
        "SELECT entity, core_id FROM w_candidate WHERE core_id < 1 OR core_id >= ?", (HIGHEST,)
    ):
        found[entity, core_id] = "het id is geen getal vanaf 1"
    return found


def targets(entity: Entity) -> dict[str, Entity]:
    """Fields that refer to others → what they refer to."""
    return {
        name: field.target
        for name, field in fields_of(entity).items()
        if field.target is not None and field.kind in {Kind.REFERENCE, Kind.MEMBERS}
    }
