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


def count_known(context: Context, tally: Tally, at: Circumstances) -> None:
    """What is known of each entity that a plan does anything to, as far as it can matter.

    Ten changes are not too many of a thousand, nor of a hundred thousand: what lies beyond is not
    counted.
    """
    own = context.koppeling.id
    for entity in {entity for entity, _ in tally.steps}:
        tally.known[entity] = _count(
            context,
            "SELECT {} FROM link WHERE koppeling_id = ? AND entity = ?",
            (own, entity),
            most=_enough(context, tally, at, entity, of_members=False),
        )
    for entity in {name for name, key in tally.emptied if key == MEMBERS}:
        tally.members[entity] = _count(
            context,
            "SELECT {} FROM link l CROSS JOIN groepsdeelname d WHERE l.koppeling_id = ? "
            "AND l.entity = ? AND d.groep_id = l.core_id AND NOT d.beeindigd",
            (own, entity),
            most=_enough(context, tally, at, entity, of_members=True),
        )


def _enough(
    context: Context, tally: Tally, at: Circumstances, entity: str, *, of_members: bool
) -> int | None:
    """Of so many known ones nothing that was counted is too much; None where all must be known."""
    guards = context.policy.guards
    if guards.schools:
        return None  # those that have a threshold of their own are taken off
    most = 1
    for kind, of, name, count in tally.counted():
        if of != entity or (kind is GuardKind.EMPTY and name == MEMBERS) != of_members:
            continue
        threshold = guards.threshold(kind, entity, source=at.koppeling, on=at.on)
        if threshold.number is not None and count >= threshold.number:
            return None  # a person reads how many there are
        if threshold.share is not None:
            most = max(most, int(count / threshold.share) + 2)
    return most


def _count(context: Context, query: str, params: tuple[object, ...], *, most: int | None) -> int:
    if most is None:
        return int(context.work.execute(query.format("COUNT(*)"), params)[0][0])
    counted = f"SELECT COUNT(*) FROM ({query.format('1')} LIMIT {most:d}) found"
    return int(context.work.execute(counted, params)[0][0])


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
