"""Keys of the flat state (project.py) as canonical fields, and what may be shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.explain import masked
from sync_engine.fold import Json
from sync_engine.project import identifier_field

SECRET: Final = "(geheim)"  # noqa: S105 - what people see
"""What stands in the place of an address or number that is secret: it must not leave the school."""


@cache
def _names(entity: Entity) -> dict[str, str]:
    """Key of the flat state (project.py), without its numbers → canonical field."""
    names = {}
    for name, description in fields_of(entity).items():
        table = {
            Kind.CONTACT: "contactgegeven",
            Kind.ADDRESS: "adres",
            Kind.IDENTIFIER: "identificatie",
            Kind.MEMBERS: "groepsdeelname",
        }.get(description.kind)
        if description.kind is Kind.PSEUDONYM:
            continue  # its keys say which koppeling obtained it
        if table is not None:
            names[f"{table}/{description.role}"] = name
        elif description.kind is Kind.REFERENCE:
            names[f"{name}_id"] = name
        elif description.kind is Kind.PERIOD_START:
            names["geldig_van"] = name
        elif description.kind is Kind.PERIOD_END:
            names["geldig_tot"] = name
        else:
            names[name] = name
    return names


def field_of(entity: Entity, key: str) -> str | None:
    """The canonical field that a key of the flat state belongs to."""
    if key == "tot_afgeleid":
        key = "geldig_tot"
    if key.startswith("identificatie/"):
        return identifier_field(entity, key)
    plain = "/".join(key.split("/")[:2])
    return _names(entity).get(plain, plain if plain.startswith("geldig_") else None)


def target_of(entity: Entity, key: str) -> Entity | None:
    """The entity that a key of the flat state refers to."""
    name = field_of(entity, key)
    description = None if name is None else fields_of(entity).get(name)
    return None if description is None else description.target


def numbers_in(key: str, pair: Sequence[Json]) -> set[int]:
    """Core ids that one change names."""
    if key.startswith("groepsdeelname/"):
        return {int(key.rpartition("/")[2])}
    return {side for side in pair if isinstance(side, int)}


def is_flag_alone(pair: Sequence[Json]) -> bool:
    """Whether only the secrecy of a value differs: its own field says so."""
    before, after = pair
    if not (isinstance(before, dict) and isinstance(after, dict) and "geheim" in before):
        return False
    return {**before, "geheim": None} == {**after, "geheim": None}


def discreet(key: str, pair: list[Json]) -> list[Json]:
    """Personal numbers by their end, and nothing of what is secret on either side."""
    if any(isinstance(side, dict) and side.get("geheim") for side in pair):
        return [None if side is None else SECRET for side in pair]
    return masked(key, pair)
