"""A whole mapping made of tables: which of them a resource's records go through.

A resource has one or more *parts*: the record itself, and the lists in it that hold records of
their own (a leerling's plaatsingen). A system whose records already have the canonical names is
declared in a few lines:

    MAPPING = TabularMapping(
        "kern", number=1, resources={"leerling": (itself(same_names(Entity.LEERLING), key="id"),)}
    )
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from config.errors import ConfigurationError
from config.nearest import choice
from connectors.base import DeliveryContract, FieldProblem, Scope, SourceRecord
from mappings.canonical.fields import Canonical, Entity
from mappings.errors import MappingError
from mappings.mapping import DescribedRow, Mapped, Strength, TrialRow
from mappings.table import Around, Table, digest


class Item(msgspec.Struct):
    """One thing that a part maps.

    Attributes:
        record: the typed record, or an item of a list in it.
        key: its canonical key.
        where: the item in the source's spelling (`plaatsingen[0]`), empty for the record itself.
        around: what the table's `@…` paths read.
    """

    record: object
    key: str
    where: str = ""
    around: Around = {}


class Sight(msgspec.Struct):
    """What a part sees of one record, and where it says what it cannot see.

    Attributes:
        contract: what is delivered.
        around: what the mapping knows of the scope.
        problems: dropped fields.
        silent: entities that this record does not state completely.
        silent_keys: single records that it says nothing of.
    """

    contract: DeliveryContract
    around: Around
    problems: list[FieldProblem] = []
    silent: set[Entity] = set()
    silent_keys: set[tuple[Entity, str]] = set()


Items = Callable[[Any, Sight], Iterable[Item]]


@dataclass(frozen=True, slots=True)
class Part:
    """One table, and what of a record it maps."""

    table: Table
    items: Items


def itself(table: Table, *, key: str = "key") -> Part:
    """The part that maps the record itself; `key` is the attribute that holds its key.

    Its items raise MappingError if the record has no key.
    """

    def items(record: Any, sight: Sight) -> Iterable[Item]:
        value = getattr(record, key, None)
        if not isinstance(value, str) or not value:
            raise MappingError(key, "is required and empty")
        return (Item(record, value, around=sight.around),)

    return Part(table, items)


def scope_around(scope: Scope) -> Around:
    """What every mapping knows of a scope: nothing; a system says more of its own scopes."""
    return {}


class TabularMapping:
    """A mapping (mapping.py) that consists of tables.

    Args:
        system: whose records it maps.
        number: raised by hand when a function of a row changes what it makes; a change of the
            tables themselves changes the version by itself.
        resources: resource name → its parts.
        around: what the tables' `@…` paths read of a scope.
    """

    def __init__(
        self,
        system: str,
        *,
        number: int,
        resources: Mapping[str, Sequence[Part]],
        around: Callable[[Scope], Around] = scope_around,
    ) -> None:
        self._system = system
        self._resources = {name: tuple(parts) for name, parts in resources.items()}
        self._around = around
        self._described = tuple(
            row
            for name, parts in self._resources.items()
            for part in parts
            for row in part.table.describe(name)
        )
        self._version = f"{number}-{digest(self._described)}"
        self._strengths = _strengths(self._described)

    def __repr__(self) -> str:
        return f"<mapping of {self._system}, version {self._version}>"

    @property
    def system(self) -> str:
        """The system whose records it maps."""
        return self._system

    @property
    def version(self) -> str:
        """The number, and a digest of the tables."""
        return self._version

    @property
    def strengths(self) -> Mapping[Entity, Mapping[str, Strength]]:
        """Strength of the fields that are not NORMAL."""
        return self._strengths

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources whose records it maps."""
        return tuple(self._resources)

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        """Map one source record.

        Raises: MappingError if a required field is missing or breaks its rule; ConfigurationError
            if the system's mapping has no such resource.
        """
        sight = Sight(contract, self._around(scope))
        records: list[Canonical] = []
        for part in self._parts(resource):
            apply = part.table.apply
            for item in part.items(record, sight):
                made = apply(
                    item.record,
                    item.key,
                    contract=contract,
                    around=item.around,
                    where=item.where,
                    problems=sight.problems,
                )
                records.append(made)
        return Mapped(
            tuple(records),
            tuple(dict.fromkeys(sight.problems)),
            frozenset(sight.silent),
            frozenset(sight.silent_keys),
        )

    def describe(self) -> Sequence[DescribedRow]:
        """Every row, in the order of the tables."""
        return self._described

    def trial(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Sequence[TrialRow]:
        """What every row makes of one record, also where `map` would refuse it.

        Raises: MappingError only where the record has no key; ConfigurationError as `map`.
        """
        sight = Sight(contract, self._around(scope))
        return tuple(
            row
            for part in self._parts(resource)
            for item in part.items(record, sight)
            for row in part.table.trial(
                item.record, contract=contract, around=item.around, where=item.where
            )
        )

    def _parts(self, resource: str) -> Sequence[Part]:
        parts = self._resources.get(resource)
        if parts is None:
            known = ", ".join(self._resources)
            message = f"the mapping of {self._system} has no resource {resource!r}; it has: {known}"
            raise ConfigurationError(message, advice=choice(resource, self._resources))
        return parts


def _strengths(rows: Iterable[DescribedRow]) -> dict[Entity, dict[str, Strength]]:
    """Entity → field → strength, of what is not NORMAL.

    Raises: ValueError where two rows of one field differ: the fold asks per field.
    """
    found: dict[tuple[Entity, str], Strength] = {}
    for row in rows:
        if found.setdefault((row.entity, row.target), row.strength) is not row.strength:
            message = f"{row.entity}.{row.target} has two strengths"
            raise ValueError(message)
    strengths: dict[Entity, dict[str, Strength]] = {}
    for (entity, target), strength in found.items():
        if strength is not Strength.NORMAL:
            strengths.setdefault(entity, {})[target] = strength
    return strengths
