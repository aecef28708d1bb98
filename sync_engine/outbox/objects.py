"""Objects: records of the core with what belongs to them, as an outward mapping is given them.

Some hundreds at once, with one query for each entity. Identifiers are not read: no target has a
purpose for them yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from mappings.outward import CoreObject, CoreRecord, Outward, Value
from sync_engine.hubkeys import hub_key, key_number
from sync_engine.outbox.touching import references
from sync_engine.project import ADDRESS_COLUMNS, has_parts, head_columns
from sync_engine.store.work import Work

_PLAIN = frozenset({Kind.TEXT, Kind.DATE, Kind.INTEGER, Kind.NUMBER, Kind.LIST})
_MEMBERS = (
    "SELECT d.persoon_id, d.groep_id FROM groepsdeelname d WHERE {} AND d.rol = 'leerling' "
    "AND NOT d.beeindigd"
)


def read_objects(
    work: Work, outward: Outward, tenant_id: int, cores: Sequence[int], *, on: date
) -> dict[int, CoreObject]:
    """Core id → object, of those that the tenant has.

    Args:
        work: of the hub.
        outward: says what belongs to them.
        tenant_id: whose.
        cores: core ids.
        on: the day for which they are asked.
    """
    reader = _Reader(work, tenant_id)
    roots = reader.records(outward.entity, "id", cores)
    owned: dict[int, dict[Entity, set[int]]] = defaultdict(lambda: defaultdict(set))
    known: dict[Entity, dict[int, CoreRecord]] = defaultdict(dict)
    for holder, column in _holders(outward):
        for number, record in reader.records(holder, f"{column}_id", cores).items():
            owner = _number(record.values.get(column))
            if owner in roots:
                owned[owner][holder].add(number)
                known[holder][number] = record
    if outward.entity is Entity.LEERLING and Entity.GROEP in outward.reads:
        for person, groep in reader.members(cores):
            owned[person][Entity.GROEP].add(groep)
    _refer(outward, roots, owned, known)
    for entity in sorted(outward.reads, key=str):
        wanted = {n for of in owned.values() for n in of[entity]} - known[entity].keys()
        known[entity].update(reader.records(entity, "id", sorted(wanted)))
    return {
        number: CoreObject(
            record,
            on,
            {
                entity: tuple(
                    known[entity][n] for n in sorted(owned[number][entity] & known[entity].keys())
                )
                for entity in sorted(outward.reads, key=str)
            },
        )
        for number, record in roots.items()
    }


def _holders(outward: Outward) -> list[tuple[Entity, str]]:
    """(entity, field) of what refers to an object and belongs to it."""
    return [
        (holder, name)
        for holder in sorted(outward.reads, key=str)
        for name, target in references(holder)
        if target is outward.entity
    ]


def _refer(
    outward: Outward,
    roots: Mapping[int, CoreRecord],
    owned: dict[int, dict[Entity, set[int]]],
    known: Mapping[Entity, Mapping[int, CoreRecord]],
) -> None:
    """What objects, and what belongs to them, refer to belongs to them too."""
    for number, root in roots.items():
        own = [
            root,
            *(known[holder][n] for holder, _ in _holders(outward) for n in owned[number][holder]),
        ]
        for record in own:
            for name, target in references(record.entity):
                referred = _number(record.values.get(name))
                if target in outward.reads and target is not outward.entity and referred:
                    owned[number][target].add(referred)


def _number(value: Value) -> int:
    return (key_number(value) or 0) if isinstance(value, str) else 0


class _Reader:
    """Reads records of one tenant; a reference to what was merged is one to what it became."""

    def __init__(self, work: Work, tenant_id: int) -> None:
        self._work, self._tenant = work, tenant_id

    def members(self, cores: Sequence[int]) -> list[tuple[int, int]]:
        """(leerling, groep) of who is in a groep."""
        work = self._work
        query = _MEMBERS.format(work.many("d.persoon_id"))
        return [(person, groep) for person, groep in work.execute(query, (work.values(cores),))]

    def records(self, entity: Entity, column: str, numbers: Sequence[int]) -> dict[int, CoreRecord]:
        """Core id → record, of those whose column is one of these, or what became one of them."""
        work, names = self._work, head_columns(entity)
        if not numbers:
            return {}
        wanted: list[int] = list(numbers)
        if column != "id":
            wanted += [
                core_id
                for (core_id,) in work.execute(
                    f"SELECT core_id FROM alias WHERE {work.many('survivor_id')}",
                    (work.values(numbers),),
                )
            ]
        rows = work.execute(
            f"SELECT id, {', '.join(names)} FROM {entity} WHERE tenant_id = ? "
            f"AND {work.many(column)}",
            (self._tenant, work.values(wanted)),
        )
        heads = {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}
        became = self._became(entity, heads.values())
        parts = self._parts(entity, list(heads))
        return {
            number: _record(entity, number, head, parts[number], became)
            for number, head in heads.items()
        }

    def _became(self, entity: Entity, heads: Iterable[Mapping[str, object]]) -> dict[int, int]:
        columns = [f"{name}_id" for name, _ in references(entity)]
        named = {n for h in heads for c in columns if isinstance(n := h[c], int)}
        if not named:
            return {}
        work = self._work
        return dict(
            work.execute(
                f"SELECT core_id, survivor_id FROM alias WHERE {work.many('core_id')}",
                (work.values(sorted(named)),),
            )
        )

    def _parts(self, entity: Entity, cores: Sequence[int]) -> dict[int, dict[str, object]]:
        """Core id → `contactgegeven/email` → (value, whether it is secret)."""
        found: dict[int, dict[str, object]] = defaultdict(dict)
        person, _ = has_parts(entity)
        if not person or not cores:
            return found
        work = self._work
        ids = work.values(cores)
        for owner, role, value, hidden in work.execute(
            "SELECT eigenaar_id, soort, waarde, geheim FROM contactgegeven "
            f"WHERE {work.many('eigenaar_id')}",
            (ids,),
        ):
            found[owner][f"contactgegeven/{role}"] = (value, bool(hidden))
        for owner, role, hidden, *values in work.execute(
            f"SELECT eigenaar_id, soort, geheim, {', '.join(ADDRESS_COLUMNS)} FROM adres "
            f"WHERE {work.many('eigenaar_id')}",
            (ids,),
        ):
            address = dict(zip(ADDRESS_COLUMNS, values, strict=True))
            found[owner][f"adres/{role}"] = (address, bool(hidden))
        return found


def _record(
    entity: Entity,
    number: int,
    head: Mapping[str, object],
    parts: Mapping[str, object],
    became: Mapping[int, int],
) -> CoreRecord:
    values: dict[str, Value] = {}
    hidden = set()
    for name, described in fields_of(entity).items():
        match described.kind:
            case Kind.CONTACT | Kind.ADDRESS:
                table = "adres" if described.kind is Kind.ADDRESS else "contactgegeven"
                part = parts.get(f"{table}/{described.role}")
                if isinstance(part, tuple):
                    values[name], secret = part
                    flag = described.hidden_by and head.get(described.hidden_by)
                    if secret or flag:
                        hidden.add(name)
            case Kind.REFERENCE:
                referred = head[f"{name}_id"]
                if isinstance(referred, int):
                    values[name] = hub_key(became.get(referred, referred))
            case Kind.BOOLEAN:
                if head[name] is not None:
                    values[name] = bool(head[name])
            case kind if kind in _PLAIN and head[name] is not None:
                values[name] = _plain(head[name])
            case _:
                pass
    since, until = head["geldig_van"], head["geldig_tot"]
    return CoreRecord(
        entity,
        hub_key(number),
        values,
        None if since is None else str(since),
        None if until is None else str(until),
        frozenset(hidden),
    )


def _plain(value: object) -> Value:
    return msgspec.convert(value, str | int | float)
