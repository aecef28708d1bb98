"""Comings: of a groep whose members changed only those who came or went are looked at.

A groep has 25 members, of whom one changes in a night. What the core holds of the others is what
the fold made of the form that was accepted, and the new form names them too: they are neither
resolved nor read, projected or compared. That holds only where nothing but the form can be another
than it was. Whatever else changes marks the groep to be folded again, and then it is folded whole;
so it is where as many members are not open in the core as the accepted form names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import fields_of
from sync_engine.claims import Said
from sync_engine.context import Context
from sync_engine.fold import Folded, Json
from sync_engine.nodes import lookup_links
from sync_engine.project import State

_Member = tuple[int, str, int]
"""Groep, role and person."""


@dataclass(slots=True)
class _Coming:
    """Who came to a groep and who went, by the field that names them."""

    koppeling_id: int
    came: dict[str, frozenset[str]]
    went: dict[str, frozenset[str]]
    were: dict[str, int]  # role → how many the accepted form names

    def everyone(self) -> Iterator[tuple[str, str]]:
        """(field, key) of all of them."""
        for named in (self.came, self.went):
            for name, keys in named.items():
                for key in keys:
                    yield name, key


def narrow(
    context: Context,
    entity: Entity,
    said: Said,
    *,
    folded: Mapping[int, Folded],
    states: Mapping[int, State],
    again: Collection[int],
) -> set[int]:
    """Leave of these records only the members who came or went, in `folded` and in `states`.

    Args:
        context: of the run.
        entity: of them all.
        said: what was said of them, and what was accepted before (`Said.before`).
        folded: they, folded.
        states: their present state without their members; those who came or went are added.
        again: records that are folded for another reason than a new form.

    Returns: those that were left so; of the others the members are not read yet.
    """
    found = {
        core_id: coming
        for core_id in said.before
        if core_id not in again
        and core_id in folded
        and core_id in states
        and (coming := _coming(entity, said, core_id, folded[core_id], states[core_id])) is not None
    }
    if not found:
        return set()
    links = _resolved(context, entity, found)
    counts, members = _present(context, found, set(links.values()))
    narrowed: set[int] = set()
    for core_id, coming in found.items():
        if counts[core_id] != coming.were or any(
            (coming.koppeling_id, name, key) not in links
            for name, keys in coming.went.items()
            for key in keys
        ):
            continue
        narrowed.add(core_id)
        values = folded[core_id].values
        for name, keys in coming.came.items():
            values[name] = [r for r in values[name] if r.key in keys]  # type: ignore[attr-defined] # references, as the fold makes them
        roles = {name: described.role for name, described in _members_of(entity)}
        for name, key in coming.everyone():
            person = links.get((coming.koppeling_id, name, key))
            period = members.get((core_id, roles[name], person or 0))
            if period is not None:
                states[core_id][f"groepsdeelname/{roles[name]}/{person}"] = period
    return narrowed


@cache
def _members_of(entity: Entity) -> tuple[tuple[str, Field], ...]:
    return tuple((n, d) for n, d in fields_of(entity).items() if d.kind is Kind.MEMBERS)


def _coming(
    entity: Entity, said: Said, core_id: int, folded: Folded, state: State
) -> _Coming | None:
    """Who came and who went, where one new form is all that there is; else None."""
    claims, pins = said.claims[core_id], said.pins.get(core_id)
    if len(claims) != 1 or pins or folded.closed or claims[0].gone or claims[0].ended:
        return None
    end = None if folded.end is None else folded.end.isoformat()
    if (state["geldig_tot"], state["tot_afgeleid"]) != (end, folded.inferred):
        return None  # with that of the groep every membership ends otherwise
    before, now = said.before[core_id], claims[0].form
    coming = _Coming(claims[0].koppeling_id, {}, {}, {})
    for name, described in _members_of(entity):
        was, named = before.get(name), now.get(name)
        if was is None and named is None:
            continue
        if not isinstance(was, list) or not isinstance(named, list):
            return None
        if was:
            coming.were[described.role] = len(was)
        if was == named:
            coming.came[name] = frozenset()
            continue
        old, new = frozenset(map(str, was)), frozenset(map(str, named))
        if old - new and not old & new:
            return None  # who loses all is looked at as a whole
        coming.came[name], coming.went[name] = new - old, old - new
    return coming


def _resolved(
    context: Context, entity: Entity, found: Mapping[int, _Coming]
) -> dict[tuple[int, str, str], int]:
    """(koppeling, field, key) → core id of all who came or went."""
    wanted: dict[tuple[int, str], set[str]] = defaultdict(set)
    for coming in found.values():
        for name, key in coming.everyone():
            wanted[coming.koppeling_id, name].add(key)
    links: dict[tuple[int, str, str], int] = {}
    for (koppeling_id, name), keys in wanted.items():
        target = fields_of(entity)[name].target
        if target is not None:
            linked = lookup_links(context, target, sorted(keys), koppeling_id=koppeling_id)
            links.update(((koppeling_id, name, key), core) for key, core in linked.items())
    return links


def _present(
    context: Context, groups: Collection[int], persons: Collection[int]
) -> tuple[dict[int, dict[str, int]], dict[_Member, Json]]:
    """How many open memberships each groep has by role, and those of these persons."""
    work = context.work
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for group, role, count in work.execute(
        "SELECT groep_id, rol, COUNT(*) FROM groepsdeelname WHERE NOT beeindigd "
        f"AND {work.many('groep_id')} GROUP BY groep_id, rol",
        (work.values(sorted(groups)),),
    ):
        counts[group][role] = count
    members: dict[_Member, Json] = {}
    for group, role, person, start, end, inferred in work.execute(
        # `+` lets SQLite begin with the persons: who has few groepen is found sooner
        "SELECT groep_id, rol, persoon_id, geldig_van, geldig_tot, tot_afgeleid "
        f"FROM groepsdeelname WHERE NOT beeindigd AND {work.many('persoon_id')} "
        f"AND {work.many('+groep_id')} ORDER BY id DESC",
        (work.values(sorted(persons)), work.values(sorted(groups))),
    ):
        members[group, role, person] = [start, end, bool(inferred)]
    return counts, members
