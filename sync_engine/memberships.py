"""Memberships that come back when a run is turned round, as the rows that they were. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sync_engine.fold import Json
from sync_engine.guard import MEMBERS
from sync_engine.project import State


@dataclass(frozen=True, slots=True)
class Touched:
    """One row of groepsdeelname that the undone run wrote.

    Attributes:
        now, former: (groep, key of the flat state) as an open membership, now and before it. Of
            who goes, it is now that of whom he becomes.
        period: [geldig_van, geldig_tot, tot_afgeleid] before it.
    """

    member_id: int
    now: tuple[int, str] | None
    former: tuple[int, str] | None
    period: list[Json]


def members_of(states: Iterable[State], touched: Mapping[int, Sequence[Touched]]) -> list[int]:
    """Who is in any of these groepen, or comes back into one."""
    keys = {key for state in states for key in state if key.startswith(f"{MEMBERS}/")}
    keys |= {row.former[1] for rows in touched.values() for row in rows if row.former}
    return sorted({int(key.rpartition("/")[2]) for key in keys})


def put_back(
    group: int,
    rows: Sequence[Touched],
    actual: State | None,
    target: State,
    *,
    behind: Collection[int] = (),
) -> tuple[set[str], list[int]]:
    """Make the state of a groep that of the rows that come back, where the fold agrees.

    A membership that ends is not history when the undone run began it: its row goes. One that
    begins is the row that the undone run ended. Who is `behind` stays, though no source names him.

    Returns: the keys that the rows answer for, and the rows that come back.
    """
    handled: set[str] = set()
    chosen: list[int] = []
    for row in rows:
        if row.former is not None and row.former[0] == group:
            key = row.former[1]
            if int(key.rpartition("/")[2]) in behind:
                target.setdefault(key, row.period)
    moving = {r.now[1] for r in rows if r.now and r.former and r.now[0] == group != r.former[0]}
    moving |= {r.now[1] for r in rows if r.now and r.former and r.now[1] != r.former[1]}
    ended = {r.former[1] for r in rows if r.former and r.former[0] == group and r.now is None}
    begun = {r.now[1] for r in rows if r.now and r.former is None and r.now[0] == group}
    # who was parted: the row that he had comes back, not that of who he became
    parted = {key for key in ended & begun if _is_open(target.get(key))}
    stays = (actual or {}).keys() - moving - parted  # of two, the other row comes back
    for row in rows:
        if row.now is not None and row.now[0] == group and row.now != row.former:
            key, after = row.now[1], target.get(row.now[1])
            if row.former is None and key in parted:
                chosen.append(row.member_id)
            elif isinstance(after, list) and not _is_open(after):
                del target[key]
                handled.add(key)
                chosen.append(row.member_id)
        if row.former is not None and row.former[0] == group:
            key = row.former[1]
            if _is_open(target.get(key)) and key not in stays:
                target[key] = row.period
                handled.add(key)
                chosen.append(row.member_id)
    return handled, chosen


def _is_open(state: Json) -> bool:
    """Whether the flat state holds a membership that goes on; one that ended has a fourth part."""
    return isinstance(state, list) and len(state) == _OPEN


_OPEN = 3
