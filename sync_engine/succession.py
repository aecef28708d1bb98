"""Succession: which records of a school's new scopes go on from those of its former ones.

Beside the exact keys, for what those leave open. A person said that the school goes on; so who
agrees with one record of the former scopes, and with one alone, in all that is compared, is it.
Whoever agrees in less is a case, as everywhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from mappings.canonical.fields import Entity
from sync_engine.context import Context, chunks
from sync_engine.herinrichtingen import PERSONS, former_keys, is_former
from sync_engine.lookalikes import Lookalikes
from sync_engine.nodes import Node, load_nodes, lookup_links
from sync_engine.score import Candidate

_WHOLE: Final[Mapping[Entity, frozenset[str]]] = {
    Entity.LEERLING: frozenset({"geboortedatum", "achternaam", "roepnaam", "postcode"}),
    Entity.MEDEWERKER: frozenset({"geboortedatum", "achternaam", "roepnaam"}),
    Entity.VERZORGER: frozenset({"achternaam", "leerling"}),  # and an address or number; see there
}
"""What must agree of a person."""
_ALL: Final = 0.9999
"""From this score on nothing that was compared differs."""


def placements(
    context: Context,
    nodes: Sequence[Node],
    resolved: Mapping[tuple[str, str], int | None],
) -> dict[str, int]:
    """Source key of an inschrijving without opleiding → the former one that it goes on from."""
    wanted = {
        node.source_key: (resolved.get((node.source_key, "leerling")), place)
        for node in nodes
        if not node.gone
        and node.form.get("opleiding") is None
        and (place := resolved.get((node.source_key, "vestiging"))) is not None
    }
    if not context.former_scopes or not wanted:
        return {}
    work = context.work
    merged = _merged(context)
    there: dict[tuple[object, object, object], set[int]] = defaultdict(set)
    pupils = sorted({pupil for pupil, _ in wanted.values() if pupil is not None})
    for part in chunks(pupils):
        for core_id, pupil, place, year in work.execute(
            "SELECT i.id, i.leerling_id, i.vestiging_id, i.schooljaar FROM inschrijving i "
            f"WHERE {work.many('i.leerling_id')} AND EXISTS (SELECT 1 FROM link l "
            f"WHERE l.core_id = i.id AND {is_former(context, 'l')})",
            (work.values(part),),
        ):
            who, where = merged.get(pupil, pupil), merged.get(place, place)
            there[who, where, year].add(core_id)
    found: dict[str, int] = {}
    for node in nodes:
        pupil, place = wanted.get(node.source_key, (None, None))
        if pupil is None or place is None:
            continue
        before = there.get((pupil, place, node.form.get("schooljaar")), set())
        if len(before) == 1:
            (found[node.source_key],) = before
    return found


def _merged(context: Context) -> dict[int, int]:
    """Core record → the one that it becomes in this run."""
    return dict(context.work.execute("SELECT core_id, survivor_id FROM w_alias"))


def went_before(context: Context, cores: Sequence[int]) -> set[int]:
    """Of these core records those that a koppeling knows by former scopes alone."""
    if not context.former_scopes:
        return set()
    work = context.work
    return {
        row[0]
        for part in chunks(cores)
        for row in work.execute(
            f"SELECT l.core_id FROM link l WHERE {work.many('l.core_id')} "
            f"AND {is_former(context, 'l')}",
            (work.values(part),),
        )
    }


def left_behind(context: Context, cores: Sequence[int]) -> set[int]:
    """Of these core records those that nothing but former scopes knows, this run included."""
    if not context.former_scopes:
        return set()
    work = context.work
    found = went_before(context, cores)
    for part in chunks(sorted(found)):
        for table, met in (("link", f"NOT {is_former(context, 'l')}"), ("w_link", "true")):
            found -= {
                row[0]
                for row in work.execute(
                    f"SELECT l.core_id FROM {table} l WHERE {work.many('l.core_id')} AND {met}",
                    (work.values(part),),
                )
            }
    return found


def same_place(
    context: Context, entity: Entity, keys: Sequence[str], cores: Sequence[int]
) -> Callable[[str, int], bool]:
    """Whether a vak or opleiding may go on from one of the former scopes: of the same vestiging."""
    work = context.work
    before = went_before(context, cores)
    merged = _merged(context)
    held = {
        core_id: merged.get(place, place)
        for part in chunks(sorted(before))
        for core_id, place in work.execute(
            f"SELECT id, vestiging_id FROM {entity} WHERE {work.many('id')}", (work.values(part),)
        )
    }
    said = {
        node.source_key: str(node.form.get("vestiging"))
        for part in chunks(keys)
        for node in load_nodes(context, entity, part)
    }
    places = lookup_links(context, Entity.VESTIGING, sorted(set(said.values())))
    return lambda key, core: core not in held or held[core] in {None, places.get(said[key])}


def persons(
    context: Context,
    entity: Entity,
    new: Iterable[Sequence[str]],
    linked: Sequence[str],
) -> tuple[dict[str, int], dict[int, int]]:
    """Who of the new scopes is whom of the former ones by all that is known of him.

    Args:
        context: of the run.
        entity: of the records.
        new: batches of source keys of those who have no core record.
        linked: source keys of those who have one of their own.

    Returns: source key → core record of those who have none; and core record → the older one that
        it is the same as.
    """
    if not context.former_scopes or entity not in PERSONS:
        return {}, {}
    looks = Lookalikes(
        context, nodes=partial(load_nodes, context), links=partial(lookup_links, context)
    )
    own = {} if not linked else lookup_links(context, entity, linked)
    former = former_keys(context, entity, linked)
    batches = [*new, *chunks([key for key in linked if key not in former])]
    agreeing: dict[str, list[Candidate]] = {}
    for part in batches:
        for key, candidates in looks.of(entity, part, own=own).items():
            agreeing[key] = [c for c in candidates if _is_whole(entity, c)]
    known = went_before(context, sorted({c.core_id for near in agreeing.values() for c in near}))
    pairs = {
        key: near[0].core_id
        for key, near in agreeing.items()
        if len(near) == 1 and near[0].core_id in known
    }
    taken = Counter(pairs.values())
    pairs = {key: core_id for key, core_id in pairs.items() if taken[core_id] == 1}
    joined = {key: core_id for key, core_id in pairs.items() if key not in own}
    merged = {
        max(own[key], core_id): min(own[key], core_id)
        for key, core_id in pairs.items()
        if key in own and own[key] != core_id
    }
    return joined, merged


def _is_whole(entity: Entity, candidate: Candidate) -> bool:
    return candidate.score >= _ALL and _WHOLE[entity].issubset(candidate.agrees)
