"""Projection: a folded record ↔ the flat state of its rows in the core. Pure.

The *state* of a core record is one flat dictionary over all tables that it lives in, so that the
difference between fold and core is the difference of two dictionaries:

    "achternaam"                    column of its own table
    "adres/woonadres"               dict of columns of `adres`, or absent
    "contactgegeven/email"          {"waarde", "geheim"}
    "identificatie/eck_id/0"        {"waarde", "index"}  (index: hex of the blind index)
    "identificatie/eck_id/7"        and of one that koppeling 7 obtained {"keten", "sector",
                                    "geldig_van", "geldig_tot"} as well
    "groepsdeelname/leerling/123"   [geldig_van, geldig_tot, tot_afgeleid] of the open period
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, timedelta
from functools import cache

import msgspec

from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import fields_of
from sync_engine.fold import Folded, Json, Reference

State = dict[str, Json]

PERIOD_COLUMNS = ("geldig_van", "geldig_tot", "tot_afgeleid")
ORIGIN_COLUMNS = ("keten", "sector", "geldig_van", "geldig_tot")
"""Of a pseudonym: where it holds, and when."""
ADDRESS_COLUMNS = ("straat", "huisnummer", "toevoeging", "postcode", "woonplaats", "land", "regels")
_COLUMN_KINDS = frozenset(
    {Kind.TEXT, Kind.DATE, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.LIST, Kind.REFERENCE}
)


@cache
def columns_of(entity: Entity) -> dict[str, str]:
    """Canonical field → column of the entity's own table."""
    return {
        name: f"{name}_id" if description.kind is Kind.REFERENCE else name
        for name, description in fields_of(entity).items()
        if description.kind in _COLUMN_KINDS
    }


@cache
def head_columns(entity: Entity) -> tuple[str, ...]:
    """Columns of the entity's own table after `id`, `tenant_id` and `run_id`."""
    return (*PERIOD_COLUMNS, *columns_of(entity).values())


@cache
def has_parts(entity: Entity) -> tuple[bool, bool]:
    """(is a person with contact, address or identifier rows, has members)."""
    kinds = {description.kind for description in fields_of(entity).values()}
    apart = {Kind.CONTACT, Kind.ADDRESS, Kind.IDENTIFIER, Kind.PSEUDONYM}
    return bool(kinds & apart), Kind.MEMBERS in kinds


@cache
def _identifier_fields(entity: Entity) -> dict[tuple[str, bool], str]:
    """(role, was obtained) → field."""
    kinds = {Kind.IDENTIFIER, Kind.PSEUDONYM}
    return {
        (description.role, description.kind is Kind.PSEUDONYM): name
        for name, description in fields_of(entity).items()
        if description.kind in kinds
    }


def identifier_field(entity: Entity, key: str) -> str | None:
    """The field that `identificatie/<role>/<issuer>` of the flat state belongs to."""
    _, role, issuer = key.split("/")
    known = _identifier_fields(entity)
    obtained = known.get((role, True)) if issuer != "0" else None
    return obtained or known.get((role, False))


def is_obtained(row: Json) -> bool:
    """Whether a row of `identificatie`, in the flat state, is a pseudonym that was obtained."""
    return isinstance(row, dict) and "keten" in row


_SCALARS = frozenset({Kind.TEXT, Kind.DATE, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN})


class _Shape(msgspec.Struct, frozen=True):
    """The fields of an entity by where they land.

    Attributes:
        scalars: one plain column each.
        lists, identifiers, pseudonyms, references, members: by their kind.
        contacts, addresses: (field, key of the flat state, field that hides it).
    """

    scalars: tuple[str, ...]
    lists: tuple[str, ...]
    contacts: tuple[tuple[str, str, str], ...]
    addresses: tuple[tuple[str, str, str], ...]
    identifiers: tuple[tuple[str, str], ...]
    pseudonyms: tuple[tuple[str, str], ...]
    references: tuple[tuple[str, Field], ...]
    members: tuple[tuple[str, str], ...]


@cache
def _shape(entity: Entity) -> _Shape:
    def of(*kinds: Kind) -> list[tuple[str, Field]]:
        return [item for item in fields_of(entity).items() if item[1].kind in kinds]

    def keyed(table: str, kind: Kind) -> tuple[tuple[str, str, str], ...]:
        return tuple((name, f"{table}/{field.role}", field.hidden_by) for name, field in of(kind))

    def roles(kind: Kind) -> tuple[tuple[str, str], ...]:
        return tuple((name, field.role) for name, field in of(kind))

    return _Shape(
        scalars=tuple(name for name, _ in of(*_SCALARS)),
        lists=tuple(name for name, _ in of(Kind.LIST)),
        contacts=keyed("contactgegeven", Kind.CONTACT),
        addresses=keyed("adres", Kind.ADDRESS),
        identifiers=roles(Kind.IDENTIFIER),
        pseudonyms=roles(Kind.PSEUDONYM),
        references=tuple(of(Kind.REFERENCE)),
        members=roles(Kind.MEMBERS),
    )


@cache
def references(entity: Entity) -> tuple[str, ...]:
    """Fields that refer to other records."""
    return tuple(n for n, description in fields_of(entity).items() if description.target)


@cache
def required_references(entity: Entity) -> tuple[str, ...]:
    """Fields without which the record has to wait."""
    return tuple(
        name
        for name, description in fields_of(entity).items()
        if description.kind is Kind.REFERENCE and description.required
    )


class Projected(msgspec.Struct, frozen=True):
    """The state that the fold asks for, and the references that nothing answers yet."""

    state: State
    unresolved: tuple[Reference, ...]
    waiting: bool


def project(
    folded: Folded,
    current: State | None,
    *,
    resolve: Callable[[Reference], int | None],
    index: Callable[[str, str, int], str],
    held_until: date | None,
    stays: Collection[int] = (),
) -> Projected:
    """The flat state of one folded record.

    Args:
        folded: the record.
        current: its present state; open memberships keep their start from it.
        resolve: reference → core id.
        index: (identifier kind, value, issuing koppeling id or 0) → hex of the blind index.
        held_until: last day on which a complete reading held a membership that is gone now.
        stays: members that no source names and that stay all the same, by their core ids.
    """
    shape, values = _shape(folded.entity), folded.values
    state: State = {
        "geldig_van": _iso(folded.start),
        "geldig_tot": _iso(folded.end),
        "tot_afgeleid": folded.inferred,
    }
    state.update(zip(shape.scalars, map(values.get, shape.scalars), strict=True))  # type: ignore[arg-type] # scalars by their kind
    for name in shape.lists:
        value = values.get(name)
        state[name] = None if value is None else _dumps(value)
    for name, key, hidden_by in shape.contacts:
        value = values.get(name)
        if value is not None:
            state[key] = {"waarde": str(value), "geheim": bool(values.get(hidden_by))}
    for name, key, hidden_by in shape.addresses:
        value = values.get(name)
        if isinstance(value, dict):
            row = dict(zip(ADDRESS_COLUMNS, map(value.get, ADDRESS_COLUMNS), strict=True))
            row["geheim"] = bool(values.get(hidden_by))
            state[key] = row
    for name, role in shape.identifiers:
        if values.get(name) is not None or folded.issued:
            _identifiers(state, folded, name, role, index)
    for name, role in shape.pseudonyms if folded.issued else ():
        _pseudonyms(state, folded, name, role, index)
    unresolved: list[Reference] = []
    waiting = _references(state, folded, shape.references, resolve, unresolved)
    for name, role in shape.members:
        unresolved += _members(state, folded, name, role, resolve, current)
    if current is not None:
        _end_memberships(state, folded, current, held_until, stays)
    return Projected(state, tuple(unresolved), waiting)


def _references(
    state: State,
    folded: Folded,
    fields: Sequence[tuple[str, Field]],
    resolve: Callable[[Reference], int | None],
    unresolved: list[Reference],
) -> bool:
    """The columns of references; whether one is open without which the record waits."""
    waiting = False
    for name, description in fields:
        value = folded.values.get(name)
        core_id = None
        if isinstance(value, Reference):
            core_id = resolve(value)
            if core_id is None:
                unresolved.append(value)
        if core_id is None and description.required:
            waiting = True
        state[f"{name}_id"] = core_id
    return waiting


def _identifiers(
    state: State,
    folded: Folded,
    name: str,
    role: str,
    index: Callable[[str, str, int], str],
) -> None:
    issued = False
    for (of, koppeling_id), number in folded.issued.items():
        if of == name:
            issued, text = True, str(number)
            state[f"identificatie/{role}/{koppeling_id}"] = {
                "waarde": text,
                "index": index(role, text, koppeling_id),
            }
    if issued:
        return
    value = folded.values.get(name)
    if value is not None:
        text = str(value)
        state[f"identificatie/{role}/0"] = {"waarde": text, "index": index(role, text, 0)}


def _pseudonyms(
    state: State,
    folded: Folded,
    name: str,
    role: str,
    index: Callable[[str, str, int], str],
) -> None:
    for (of, koppeling_id), value in folded.issued.items():
        if of == name and isinstance(value, dict):
            text = str(value["waarde"])
            state[f"identificatie/{role}/{koppeling_id}"] = {
                "waarde": text,
                "index": index(role, text, koppeling_id),
                **{column: value.get(column) for column in ORIGIN_COLUMNS},
            }


def _members(
    state: State,
    folded: Folded,
    name: str,
    role: str,
    resolve: Callable[[Reference], int | None],
    current: State | None,
) -> list[Reference]:
    """Open memberships; a member that was there keeps his start, a new one starts as seen."""
    references = folded.values.get(name)
    unresolved: list[Reference] = []
    if not isinstance(references, list):
        return unresolved
    end = _iso(folded.end)
    start = _iso(folded.start if current is None else folded.observed_on)
    for reference in references:
        core_id = resolve(reference)
        if core_id is None:
            unresolved.append(reference)
            continue
        key = f"groepsdeelname/{role}/{core_id}"
        before = current.get(key) if current is not None else None
        since = before[0] if isinstance(before, list) else start
        state[key] = [since, end, folded.inferred]
    return unresolved


def _end_memberships(
    state: State,
    folded: Folded,
    current: State,
    held_until: date | None,
    stays: Collection[int],
) -> None:
    """A member who is there no longer is closed on the last day that he was seen there."""
    last = held_until or folded.observed_on
    end = None if last is None else last + timedelta(days=1)
    for key, before in current.items():
        if key.startswith("groepsdeelname/") and key not in state and isinstance(before, list):
            if stays and int(key.rpartition("/")[2]) in stays:
                state[key] = before
                continue
            state[key] = [before[0], _iso(end), True, "ended"]


def difference(before: State | None, after: State) -> dict[str, list[Json]]:
    """Key → [before, after] for every key whose value differs. Empty: nothing to write."""
    if before is None:
        return {key: [None, value] for key, value in after.items() if value is not None}
    old: Mapping[str, Json] = before
    changed: dict[str, list[Json]] = {}
    for key, value in after.items():
        was = old.get(key)
        if was != value and not _same_identifier(was, value):
            changed[key] = [was, value]
    for key, was in old.items():
        if key not in after:
            changed[key] = [was, None]
    return changed


def _same_identifier(was: Json, now: Json) -> bool:
    """Equal but for the value itself: the index stands for it, and the core does not give it."""
    return (
        isinstance(was, dict)
        and isinstance(now, dict)
        and "index" in was
        and {**was, "waarde": None} == {**now, "waarde": None}
    )


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _dumps(value: object) -> str:
    return msgspec.json.encode(value).decode()
