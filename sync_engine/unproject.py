"""Unprojection: the rows of the core → the form that gives exactly those rows. Pure.

The inverse of project.py, for what stood in the core before any source: what it says is the form of
a claim, and folding and projecting that claim must give back what stands there. What cannot be said
so (a contact of an unknown kind, a membership with an end of its own) is named, not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

import msgspec

from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import fields_of
from mappings.mapping import Strength
from sync_engine.fold import PERIOD, Claim, FoldRules, Json, Reference, fold
from sync_engine.project import ADDRESS_COLUMNS, State, difference, identifier_field, project

Form = dict[str, Json]

_SCALARS: Final = frozenset({Kind.TEXT, Kind.DATE, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN})
_RULES: Final = FoldRules(
    authority=lambda entity, name, koppeling: 0,
    strength=lambda entity, name, koppeling: Strength.NORMAL,
)


def unproject(entity: Entity, state: State) -> Form:
    """The form of a record whose rows are in this state.

    Args:
        entity: of the record.
        state: as `States.read` gives it; of each identifier the plain value is under `waarde`.

    An empty column is *not delivered*: nobody said that it is empty. References are core ids.
    """
    form: Form = {}
    for name, field in fields_of(entity).items():
        value = _value(entity, name, field, state)
        if value is not None:
            form[name] = value
        if field.hidden_by and value is not None and _is_secret(field, state):
            form.setdefault(field.hidden_by, True)  # the row says so, where the person does not
    period = [state.get("geldig_van"), state.get("geldig_tot"), bool(state.get("tot_afgeleid"))]
    if period[2] or not _says_period(entity, period):
        form[PERIOD] = period
    return form


def lost(
    entity: Entity,
    form: Mapping[str, Json],
    state: State,
    *,
    resolve: Callable[[Reference], int | None],
    issuer: int,
    index: Callable[[str, str, int], str],
) -> tuple[str, ...]:
    """Keys of the state that would not be as they are if this form were all that is known.

    What a form adds to an empty place is not lost. Empty: the rows stay exactly as they are.
    """
    day = date.min
    claim = Claim(0, "", 0, "", 0, "", form, False, day, day, None, 0, True, True, issuer)
    folded = fold(entity, [claim], pins={}, rules=_RULES)
    projected = project(folded, state, resolve=resolve, index=index, held_until=None)
    if projected.waiting:
        return tuple(reference.entity for reference in projected.unresolved)
    changed = difference(state, projected.state)
    return tuple(sorted(key for key, (before, _) in changed.items() if before is not None))


def _value(entity: Entity, name: str, field: Field, state: State) -> Json:
    match field.kind:
        case Kind.LIST:
            return _list(state.get(name))
        case Kind.PERIOD_START:
            return state.get("geldig_van")
        case Kind.PERIOD_END:
            return None if state.get("tot_afgeleid") else state.get("geldig_tot")
        case Kind.REFERENCE:
            core_id = state.get(f"{name}_id")
            return None if core_id is None else str(core_id)
        case Kind.MEMBERS:
            return _members(field.role, state)
        case Kind.IDENTIFIER:
            return _identifier(entity, name, state)
        case Kind.PSEUDONYM:
            return None  # the koppeling that obtained it says it
        case Kind.CONTACT:
            row = state.get(f"contactgegeven/{field.role}")
            return row["waarde"] if isinstance(row, dict) else None
        case Kind.ADDRESS:
            row = state.get(f"adres/{field.role}")
            return {c: row[c] for c in ADDRESS_COLUMNS} if isinstance(row, dict) else None
        case _:
            return state.get(name)


def _list(value: Json) -> Json:
    """A JSON list; anything else is not said, and so found to be lost."""
    try:
        told: Json = msgspec.json.decode(str(value)) if value is not None else None
    except msgspec.MsgspecError:
        return None
    return told if isinstance(told, list) else None


def _members(role: str, state: State) -> Json:
    start = f"groepsdeelname/{role}/"
    found: list[Json] = [key.removeprefix(start) for key in sorted(state) if key.startswith(start)]
    return found or None


def _identifier(entity: Entity, name: str, state: State) -> Json:
    """The number that stands there; of several the first, and the others are found to be lost."""
    for key in sorted(state):
        row = state[key]
        if not key.startswith("identificatie/") or not isinstance(row, dict):
            continue
        if identifier_field(entity, key) == name:
            return row.get("waarde")
    return None


def _is_secret(field: Field, state: State) -> bool:
    table = "adres" if field.kind is Kind.ADDRESS else "contactgegeven"
    row = state.get(f"{table}/{field.role}")
    return isinstance(row, dict) and bool(row.get("geheim"))


def _says_period(entity: Entity, period: list[Json]) -> bool:
    """Whether the fields of the entity hold the whole period."""
    kinds = {field.kind for field in fields_of(entity).values()}
    return (period[0] is None or Kind.PERIOD_START in kinds) and (
        period[1] is None or Kind.PERIOD_END in kinds
    )
