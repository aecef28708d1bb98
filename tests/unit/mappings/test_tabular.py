"""A mapping made of tables: parts, silence, strengths, version."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from config.errors import ConfigurationError
from connectors.base import DeliveryContract, FieldProblem, Scope
from mappings import functions as f
from mappings.canonical.fields import Entity
from mappings.canonical.organisatie import Vak
from mappings.errors import MappingError
from mappings.mapping import Mapped, State, Strength
from mappings.table import Row, Table, same_names
from mappings.tabular import Item, Part, Sight, TabularMapping, itself

CONTRACT = DeliveryContract({"naam": True, "afkorting": True})
SCOPE = Scope("vak", "hoofd")


def simple(number: int = 1, **extra: Part) -> TabularMapping:
    return TabularMapping(
        "kern", number=number, resources={"vak": (itself(same_names(Entity.VAK)), *extra.values())}
    )


def vak(**fields: object) -> SimpleNamespace:
    return SimpleNamespace(**{"key": "k", "naam": "Koken", **fields})


def test_a_system_with_canonical_names_is_declared_in_a_line() -> None:
    mapped = simple().map("vak", vak(afkorting=None), contract=CONTRACT, scope=SCOPE)
    assert mapped == Mapped((Vak(key="k", naam="Koken", afkorting=None),))


def test_a_record_without_a_key_is_refused() -> None:
    with pytest.raises(MappingError):
        simple().map("vak", vak(key=""), contract=CONTRACT, scope=SCOPE)


def test_an_unknown_resource_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match="vak"):
        simple().map("kleur", vak(), contract=CONTRACT, scope=SCOPE)
    with pytest.raises(ConfigurationError):
        simple().trial("kleur", vak(), contract=CONTRACT, scope=SCOPE)


def silent_part(record: Any, sight: Sight) -> Iterator[Item]:
    sight.silent.add(Entity.GROEP)
    sight.silent_keys.add((Entity.VAK, "weg"))
    sight.problems.append(FieldProblem("groepen", "has a key seen before"))
    sight.problems.append(FieldProblem("groepen", "has a key seen before"))
    return iter(())


def test_a_part_can_be_silent_on_an_entity_or_on_one_record() -> None:
    mapping = simple(groepen=Part(same_names(Entity.GROEP), silent_part))
    mapped = mapping.map("vak", vak(), contract=CONTRACT, scope=SCOPE)
    assert mapped.is_silent_on("groep", "anything")
    assert mapped.is_silent_on("vak", "weg")
    assert not mapped.is_silent_on("vak", "k")
    assert mapped.problems == (FieldProblem("groepen", "has a key seen before"),)


def test_the_version_follows_the_tables_and_the_number() -> None:
    other = TabularMapping("kern", number=1, resources={"vak": ()})
    versions = {simple().version, simple(2).version, other.version}
    assert len(versions) == 3
    assert simple().version == simple().version


def test_strengths_are_those_of_the_rows() -> None:
    rows = (Row("naam", ("naam",), f.text), Row("code", ("c",), f.text, strength=Strength.WEAK))
    table = Table(Entity.VAK, rows)
    mapping = TabularMapping("kern", number=1, resources={"vak": (itself(table),)})
    assert mapping.strengths == {Entity.VAK: {"code": Strength.WEAK}}
    assert mapping.strengths["vak"] == {"code": Strength.WEAK}  # type: ignore[index] # a StrEnum is its text


def test_two_strengths_for_one_field_are_a_mistake() -> None:
    one = Table(Entity.VAK, (Row("naam", ("naam",), f.text),))
    other = Table(Entity.VAK, (Row("naam", ("naam",), f.text, strength=Strength.STRONG),))
    with pytest.raises(ValueError, match="two strengths"):
        TabularMapping("kern", number=1, resources={"a": (itself(one),), "b": (itself(other),)})


def test_a_trial_says_what_map_makes() -> None:
    rows = simple().trial("vak", vak(), contract=CONTRACT, scope=SCOPE)
    assert {row.target: row.state for row in rows} == {
        "naam": State.VALUE,
        "afkorting": State.NOT_DELIVERED,
        "code": State.NOT_DELIVERED,
        "vestiging": State.NOT_DELIVERED,
    }
