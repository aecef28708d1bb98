"""What the core knows of a koppeling and of each school that it serves, for guards to weigh with.

Counted set-wise, and of a school only where a plan would do more to it than any threshold lets
pass unasked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from config.guards import GuardKind, Threshold
from sync_engine.context import Context
from sync_engine.guard import MEMBERS, Circumstances, Tally

_SHORT: Final = 4  # characters of a BRIN; a vestigingsnummer is longer, and more specific


def count_known(context: Context, tally: Tally) -> None:
    """What is known of each entity that a plan does anything to."""
    for entity in {entity for entity, _ in tally.steps}:
        rows = context.work.execute(
            "SELECT COUNT(*) FROM link WHERE koppeling_id = ? AND entity = ?",
            (context.koppeling.id, entity),
        )
        tally.known[entity] = rows[0][0]


def count_schools(context: Context, tally: Tally, at: Circumstances) -> dict[str, Tally]:
    """The plan by school, with what is known there of whatever may be over a threshold."""
    found = tally.by_school()
    guards = context.policy.guards
    for school, part in found.items():
        scopes = _scopes(context, school)
        for kind, entity, name, count in part.counted():
            own = guards.own_threshold(kind, entity, school=school, on=at.on)
            threshold = own or guards.threshold(
                kind, entity, source=at.koppeling, school=school, on=at.on
            )
            if own is None and not _may_exceed(threshold, count):
                continue
            if kind is GuardKind.EMPTY and name == MEMBERS:
                if entity not in part.members:
                    part.members[entity] = _members(context, entity, scopes)
            elif entity not in part.known:
                part.known[entity] = _records(context, entity, scopes)
    return found


def unread(
    readings: Sequence[tuple[str, Sequence[str]]], well: frozenset[str]
) -> frozenset[str] | None:
    """Whose scopes were not read to their end: the most specific numbers that they name.

    Args:
        readings: (state, BRINs and vestigingsnummers) of every scope that was read.
        well: the states of those that were.

    Returns: None where all were; empty where a scope does not say of whom it is.
    """
    bad = [schools for state, schools in readings if state not in well]
    if not bad:
        return None
    if not all(bad):
        return frozenset()
    found: set[str] = set()
    for schools in bad:
        found.update([s for s in schools if len(s) > _SHORT] or schools)
    return frozenset(found)


def _may_exceed(threshold: Threshold, count: int) -> bool:
    return threshold.exceeded(count, count)  # of fewer than there are, none is more of it


def _scopes(context: Context, school: str) -> list[int]:
    """The scopes of this koppeling that are of that school and not of the past."""
    return [
        number
        for number, scope in context.scopes.items()
        if school in context.renumbering.schools(scope.brins)
        and context.scope_koppeling[number] == context.koppeling.id
        and number not in context.ended_scopes
    ]


def _records(context: Context, entity: str, scopes: Sequence[int]) -> int:
    work = context.work
    rows = work.execute(
        "SELECT COUNT(DISTINCT source_key) FROM shadow WHERE koppeling_id = ? AND entity = ? "
        f"AND accepted_fp IS NOT NULL AND NOT accepted_gone AND {work.many('scope_id')}",
        (context.koppeling.id, entity, work.values(scopes)),
    )
    return int(rows[0][0])


def _members(context: Context, entity: str, scopes: Sequence[int]) -> int:
    work = context.work
    rows = work.execute(
        "SELECT COUNT(*) FROM groepsdeelname WHERE NOT beeindigd AND groep_id IN "
        "(SELECT l.core_id FROM shadow s JOIN link l ON l.koppeling_id = s.koppeling_id "
        "AND l.entity = s.entity AND l.source_key = s.source_key WHERE s.koppeling_id = ? "
        f"AND s.entity = ? AND s.accepted_fp IS NOT NULL AND {work.many('s.scope_id')})",
        (context.koppeling.id, entity, work.values(scopes)),
    )
    return int(rows[0][0])
