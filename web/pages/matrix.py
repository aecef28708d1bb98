"""Schools by systems, worst first: what the health of the koppelingen says, laid out; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sync_engine.health import Health, KoppelingHealth, Problem, State, Trouble
from web.pages.links import of_koppeling

_RANK: Final = {State.CRITICAL: 0, State.WARNING: 1, State.GOOD: 2}
_LOUDEST: Final = 6
"""So many kinds of trouble are told above the matrix."""


@dataclass(frozen=True, slots=True)
class School:
    """One school as the configuration names it."""

    brin: str
    name: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One koppeling in one cell.

    Attributes:
        trouble: its worst problem; empty where there is none.
        count: how many, where it is something to count.
        text: what is wrong, in words.
        busy: it is running now.
    """

    name: str
    system: str
    state: State
    trouble: str
    count: int
    text: str
    busy: bool
    href: str


@dataclass(frozen=True, slots=True)
class Row:
    """One school: a cell for each system, each with its koppelingen."""

    school: School
    state: State | None
    cells: tuple[tuple[Mark, ...], ...]
    weight: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Loud:
    """One kind of trouble over all koppelingen of a system that have nothing worse.

    Attributes:
        names: of those koppelingen, the worst first.
        text: what is wrong with the first of them.
    """

    kind: str
    state: State
    system: str
    names: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """All of it.

    Attributes:
        systems: the columns.
        rows: the schools that were asked for, worst first.
        counts: state → schools in it, whatever was asked for.
        schools: how many there are.
        loud: what is wrong most, worst first.
        quieter: kinds of trouble that are not in `loud`.
    """

    systems: tuple[str, ...]
    rows: tuple[Row, ...]
    counts: Mapping[State, int]
    schools: int
    loud: tuple[Loud, ...] = field(default=())
    quieter: int = 0


def lay_out(
    health: Health,
    schools: Sequence[School],
    *,
    state: str = "",
    text: str = "",
    kind: str = "",
) -> Matrix:
    """The matrix of what is known now.

    Args:
        health: of the koppelingen.
        schools: that the actor may see.
        state: only schools in this state; empty for all.
        text: only schools whose name, BRIN or board has this in it.
        kind: only schools of which a koppeling has this trouble.
    """
    systems = _systems(health.koppelingen)
    serving: dict[str, list[KoppelingHealth]] = defaultdict(list)
    for one in health.koppelingen:
        for brin in dict.fromkeys(number[:4] for number in one.schools):
            serving[brin].append(one)
    rows = [_row(school, serving.get(school.brin, ()), systems) for school in schools]
    counts = Counter(row.state for row in rows if row.state is not None)
    wanted = text.casefold()
    shown = [
        row
        for row in rows
        if (not state or row.state == state)
        and (not wanted or wanted in f"{row.school.name} {row.school.brin}".casefold())
        and (not kind or any(p.kind == kind for k in serving[row.school.brin] for p in k.problems))
    ]
    shown.sort(key=lambda row: (row.weight, row.school.name))
    loud = _loud(health.koppelingen)
    return Matrix(systems, tuple(shown), counts, len(rows), loud[:_LOUDEST], len(loud[_LOUDEST:]))


def _systems(koppelingen: Iterable[KoppelingHealth]) -> tuple[str, ...]:
    """The systems that most schools have come first."""
    often = Counter(one.system for one in koppelingen for _ in one.schools or ("",))
    return tuple(sorted(often, key=lambda system: (-often[system], system)))


def _row(school: School, serving: Sequence[KoppelingHealth], systems: Sequence[str]) -> Row:
    marks: dict[str, list[Mark]] = defaultdict(list)
    for one in sorted(serving, key=lambda k: (_RANK[k.state], k.name)):
        marks[one.system].append(_mark(one))
    states = Counter(one.state for one in serving)
    worst = min(states, key=lambda state: _RANK[state], default=None)
    late = max((int(one.late_by.total_seconds()) for one in serving if one.late_by), default=0)
    weight = (3 if worst is None else _RANK[worst], -states[worst] if worst else 0, -late)
    if worst is State.GOOD:
        weight = (_RANK[worst], 0, 0)
    return Row(school, worst, tuple(tuple(marks[system]) for system in systems), weight)


def _mark(one: KoppelingHealth) -> Mark:
    worst = worst_of(one.problems)
    return Mark(
        one.name,
        one.system,
        one.state,
        "" if worst is None else str(worst.kind),
        0 if worst is None else worst.count,
        "" if worst is None else worst.text,
        one.running_since is not None,
        of_koppeling(one.name),
    )


def worst_of(problems: Sequence[Problem]) -> Problem | None:
    """The worst problem; of equals the first that is a cause: being late is what comes of it."""
    return min(
        problems,
        key=lambda problem: (_RANK[problem.state], problem.kind is Trouble.LATE),
        default=None,
    )


def _loud(koppelingen: Iterable[KoppelingHealth]) -> tuple[Loud, ...]:
    groups: dict[tuple[str, str], list[tuple[str, Problem]]] = defaultdict(list)
    for one in koppelingen:
        worst = worst_of(one.problems)
        if worst is not None:
            groups[one.system, str(worst.kind)].append((one.name, worst))
    found = []
    for (system, kind), every in groups.items():
        every.sort(key=lambda pair: _RANK[pair[1].state])
        first = every[0][1]
        names = tuple(name for name, _ in every)
        found.append(Loud(kind, first.state, system, names, first.text))
    return tuple(sorted(found, key=lambda g: (_RANK[g.state], -len(g.names), g.system, g.kind)))
