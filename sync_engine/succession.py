"""Succession: which records of a school's new scopes go on from those of its former ones.

Beside the exact keys, for what those leave open. A person said that the school goes on; so who
agrees with one record of the former scopes, and with one alone, in all that is compared, is it.
Whoever agrees in less is a case, as everywhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from mappings.canonical.fields import Entity
from mappings.normalise import match_form
from sync_engine.context import Context, chunks
from sync_engine.fold import Json
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
_NUMBER: Final[Mapping[Entity, str]] = {
    Entity.LEERLING: "leerlingnummer",
    Entity.MEDEWERKER: "personeelsnummer",
}
"""The number by which a koppeling that takes over may still call a person."""
_ALL: Final = 0.9999
"""From this score on nothing that was compared differs."""


_SINGLE: Final = frozenset({Entity.ADVIES, Entity.UITSTROOM})
"""Entities that no exact key tells apart, of which a leerling has one."""


def of_pupils(
    context: Context,
    entity: Entity,
    nodes: Sequence[Node],
    resolved: Mapping[tuple[str, str], int | None],
) -> dict[str, int]:
    """Source key of what is a leerling's → the former record that it goes on from.

    For what no exact key names: an advies, an uitstroom, an inschrijving without opleiding. He has
    one of it in the former scopes, of an inschrijving at that vestiging in that schooljaar.
    """
    placed = entity is Entity.INSCHRIJVING
    if not context.former_scopes or not (placed or entity in _SINGLE):
        return {}
    wanted: dict[str, tuple[object, ...]] = {}
    for node in nodes:
        pupil = resolved.get((node.source_key, "leerling"))
        if node.gone or pupil is None or (placed and node.form.get("opleiding") is not None):
            continue
        place = (resolved.get((node.source_key, "vestiging")), node.form.get("schooljaar"))
        wanted[node.source_key] = (pupil, *(place if placed else ()))
    if not wanted:
        return {}
    work, merged = context.work, _merged(context)
    columns = "i.leerling_id, i.vestiging_id, i.schooljaar" if placed else "i.leerling_id"
    there: dict[tuple[object, ...], set[int]] = defaultdict(set)
    become: dict[object, set[int]] = defaultdict(set)
    for younger, survivor in merged.items():
        become[survivor].add(younger)
    pupils = {key[0] for key in wanted.values()}
    pupils |= {younger for pupil in list(pupils) for younger in become[pupil]}
    for part in chunks(sorted(map(int, map(str, pupils)))):
        for core_id, *parts in work.execute(
            f"SELECT i.id, {columns} FROM {entity} i WHERE {work.many('i.leerling_id')} "
            f"AND EXISTS (SELECT 1 FROM link l WHERE l.core_id = i.id "
            f"AND {is_former(context, 'l')})",
            (work.values(part),),
        ):
            there[tuple(merged.get(part, part) for part in parts)].add(core_id)
    one = Counter(wanted.values())
    return {
        key: next(iter(there[parts]))
        for key, parts in wanted.items()
        if len(there[parts]) == 1 and one[parts] == 1
    }


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
    """Of these core records those that nothing but former scopes knows, this run included.

    Where a herinrichting is finished nobody is left behind any more.
    """
    open_ones = context.former_scopes - context.finished_scopes.keys()
    if not open_ones:
        return set()
    work = context.work
    found = {
        row[0]
        for part in chunks(cores)
        for row in work.execute(
            f"SELECT l.core_id FROM link l WHERE {work.many('l.core_id')} "
            f"AND {is_former(context, 'l', open_ones)}",
            (work.values(part),),
        )
    }
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
        for key, core_id in _numbered(context, entity, part):
            if core_id not in {c.core_id for c in agreeing.setdefault(key, [])}:
                agreeing[key].append(Candidate(core_id, 1.0, (_NUMBER[entity],)))
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


def _numbered(context: Context, entity: Entity, keys: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Who has the number that a koppeling which stopped gave him, and is called the same.

    Of a leerling the birth date must agree too.
    """
    stopped = {context.scope_koppeling[number] for number in context.stopped_scopes}
    if entity not in _NUMBER or not stopped:
        return
    work, kind = context.work, _NUMBER[entity]
    nodes = {node.source_key: node for node in load_nodes(context, entity, keys)}
    asked = [
        (context.cipher.index(f"identificatie/{kind}", str(issuer), str(node.form[kind])), key)
        for key, node in nodes.items()
        for issuer in sorted(stopped)
        if node.form.get(kind) is not None
    ]
    work.temp_table("w_issued", f"digest {work.blob_type}, source_key TEXT")
    work.load("w_issued", ("digest", "source_key"), asked)
    for key, core_id, *names in work.execute(
        "SELECT w.source_key, c.id, c.achternaam, c.roepnaam, c.voorletters, c.geboortedatum "
        f"FROM w_issued w CROSS JOIN identificatie i CROSS JOIN {entity} c "
        "WHERE i.blindindex = w.digest AND i.soort = ? AND c.id = i.eigenaar_id "
        "AND c.tenant_id = ?",
        (kind, context.koppeling.tenant_id),
    ):
        if _same_person(entity, nodes[key].form, names):
            yield key, core_id


def _same_person(entity: Entity, form: Mapping[str, Json], names: Sequence[object]) -> bool:
    said = [form.get(name) for name in ("achternaam", "roepnaam", "voorletters")]
    pairs = [
        (match_form(str(one)), match_form(str(other)))
        for one, other in zip(said, names, strict=False)
        if one and other
    ]
    born = form.get("geboortedatum"), names[-1]
    dated = str(born[0]) == str(born[1]) if all(born) else entity is not Entity.LEERLING
    return bool(said[0] and names[0]) and dated and all(one == other for one, other in pairs)


def _is_whole(entity: Entity, candidate: Candidate) -> bool:
    return candidate.score >= _ALL and _WHOLE[entity].issubset(candidate.agrees)
