"""Adoption gives back what stood there: unprojecting is the inverse of projecting."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from mappings.mapping import Strength
from sync_engine.fold import Claim, FoldRules, Reference, fold
from sync_engine.project import ADDRESS_COLUMNS, State, difference, project
from sync_engine.unproject import lost, unproject

DAY = date(2026, 11, 2)
RULES = FoldRules(authority=lambda *_: 0, strength=lambda *_: Strength.NORMAL)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
DAYS = st.dates(date(1990, 1, 1), date(2040, 1, 1)).map(date.isoformat)
CORES = st.integers(1, 30)
ISSUER = 7


def index(role: str, value: str, issuer: int) -> str:
    return f"{role}|{value}|{issuer}"


def resolve(reference: Reference) -> int | None:
    return int(reference.key)


@st.composite
def rows(draw: st.DrawFn, entity: Entity, *, odd: bool) -> State:
    """The state of one record, as a program may have left it; `odd` with what no claim can say."""
    period = [draw(st.none() | DAYS), draw(st.none() | DAYS), draw(st.booleans())]
    state: State = dict(zip(("geldig_van", "geldig_tot", "tot_afgeleid"), period, strict=True))
    for name, field in fields_of(entity).items():
        there = field.required or draw(st.booleans())
        match field.kind:
            case Kind.TEXT:
                state[name] = draw(TEXTS) if there else None
            case Kind.DATE:
                state[name] = draw(DAYS) if there else None
            case Kind.INTEGER:
                state[name] = draw(st.integers(-5, 5)) if there else None
            case Kind.NUMBER:
                state[name] = draw(st.integers(-5, 5) | st.floats(-1, 1)) if there else None
            case Kind.BOOLEAN:
                state[name] = draw(st.booleans()) if there else None
            case Kind.LIST:
                told = msgspec.json.encode(draw(st.lists(TEXTS, max_size=2))).decode()
                state[name] = (f" {told}" if odd else told) if there else None
            case Kind.REFERENCE:
                state[f"{name}_id"] = draw(CORES) if there else None
            case _:
                if there:
                    state |= draw(parts(field.kind, field.role, period, odd=odd))
    for field in fields_of(entity).values():
        hidden = bool(state.get(field.hidden_by)) if field.hidden_by else False
        for table in ("contactgegeven", "adres"):
            row = state.get(f"{table}/{field.role}")
            if isinstance(row, dict) and field.kind in {Kind.CONTACT, Kind.ADDRESS}:
                row["geheim"] = draw(st.booleans()) if odd else hidden
    if odd:
        state |= {"contactgegeven/fax": {"waarde": draw(TEXTS), "geheim": False}}
    return state


@st.composite
def parts(draw: st.DrawFn, kind: Kind, role: str, period: list[Any], *, odd: bool) -> State:
    """Rows of the other tables."""
    match kind:
        case Kind.CONTACT:
            return {f"contactgegeven/{role}": {"waarde": draw(TEXTS), "geheim": False}}
        case Kind.ADDRESS:
            adres = {column: draw(st.none() | TEXTS) for column in ADDRESS_COLUMNS}
            return {f"adres/{role}": {**adres, "geheim": False}}
        case Kind.IDENTIFIER:
            issued = role in {"leerlingnummer", "personeelsnummer"}
            issuer, value = ISSUER if issued else 0, draw(TEXTS)
            row: dict[str, Any] = {"waarde": value, "index": index(role, value, issuer)}
            return {f"identificatie/{role}/{issuer}": row}
        case Kind.MEMBERS:
            return {
                f"groepsdeelname/{role}/{core}": [
                    draw(st.none() | DAYS),
                    draw(st.none() | DAYS) if odd else period[1],
                    period[2],
                ]
                for core in draw(st.sets(CORES, max_size=3))
            }
        case _:
            return {}


def after(entity: Entity, state: State) -> State:
    """What the fold makes of the record when its form is all that is known."""
    form = msgspec.json.decode(msgspec.json.encode(unproject(entity, state)))
    told = Claim(1, "kern", 1, "9", 0, "s", form, False, DAY, DAY, None, 1, True, True, ISSUER)
    folded = fold(entity, [told], pins={}, rules=RULES)
    return project(folded, state, resolve=resolve, index=index, held_until=None).state


@given(st.data(), st.sampled_from(Entity))
def test_what_stands_in_the_core_comes_back_exactly(data: st.DataObject, entity: Entity) -> None:
    state = data.draw(rows(entity, odd=False))
    assert difference(state, after(entity, state)) == {}
    form = unproject(entity, state)
    assert lost(entity, form, state, resolve=resolve, issuer=ISSUER, index=index) == ()


@given(st.data(), st.sampled_from(Entity))
def test_whatever_would_change_is_named(data: st.DataObject, entity: Entity) -> None:
    state = data.draw(rows(entity, odd=True))
    changed = difference(state, after(entity, state))
    said = lost(
        entity, unproject(entity, state), state, resolve=resolve, issuer=ISSUER, index=index
    )
    assert set(said) == {key for key, (before, _) in changed.items() if before is not None}
