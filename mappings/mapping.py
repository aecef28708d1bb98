"""What a mapping is to the engine: a pure function with a version, and a table of its rows."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import msgspec

from connectors.base import DeliveryContract, FieldProblem, Scope, SourceRecord
from mappings.canonical.fields import Canonical, Entity


class Strength(StrEnum):
    """How hard a mapped value insists, in the fold of the core.

    STRONG beats a pin where it says something (an address that the source calls secret stays so
    whatever a person fixed by hand; one that it calls public may be pinned secret); NORMAL beats
    other sources by authority, and yields to a pin; WEAK counts only where nobody else has a value.
    """

    STRONG = "strong"
    NORMAL = "normal"
    WEAK = "weak"


class Mapped(msgspec.Struct, frozen=True):
    """What one source record says, canonically.

    Attributes:
        records: every canonical record that it holds (a leerling page item also holds its
            inschrijvingen and relations). The record states this set completely: a record that it
            held before and holds no longer is positively gone from it, unless it `is_silent_on` it.
        problems: optional fields that were dropped (not delivered) because they break a rule.
        silent: entities of which this record says nothing complete, because the list that holds
            them is not delivered or was dropped: absence from it is no evidence.
        silent_keys: as `silent`, for single records.
    """

    records: Sequence[Canonical]
    problems: tuple[FieldProblem, ...] = ()
    silent: frozenset[Entity] = frozenset()
    silent_keys: frozenset[tuple[Entity, str]] = frozenset()

    def is_silent_on(self, entity: str, key: str) -> bool:
        """Whether a record that was held before and is not among `records` may still be there."""
        return entity in self.silent or (entity, key) in self.silent_keys


class State(StrEnum):
    """What a row found in the source record."""

    NOT_DELIVERED = "not delivered"
    EMPTY = "empty"
    VALUE = "value"
    DROPPED = "dropped"  # it broke a rule: counts as not delivered
    REFUSED = "refused"  # it is required, and not there or not right: the record is quarantined


@dataclass(frozen=True, slots=True)
class DescribedRow:
    """One row of a mapping, for the documentation.

    Attributes:
        source: the fields that it reads, in the source's spelling, as the delivery contract names
            them; `@…` is what the mapping knows of the record's surroundings.
        function: name of the pure function, and `meaning` the first line of its docstring.
        condition: first line of the docstring of the condition, or empty.
        list: the list whose items it maps, or empty.
    """

    resource: str
    entity: Entity
    target: str
    source: tuple[str, ...]
    function: str
    meaning: str
    condition: str
    strength: Strength
    required: bool
    list: str = ""


@dataclass(frozen=True, slots=True)
class TrialRow:
    """What one row made of one sample record.

    Attributes:
        where: the item that it stands in (`plaatsingen[0]`), or empty for the record itself.
        output: the canonical value, personal data: shown to the person who tries, never logged.
        rule: the rule that was broken, where state is DROPPED or REFUSED.
    """

    entity: Entity
    target: str
    where: str
    source: tuple[str, ...]
    function: str
    strength: Strength
    state: State
    output: object = field(default=None, repr=False)
    rule: str = ""


class Mapping(Protocol):
    """Source records of one system → canonical records. Pure: no clock, no I/O."""

    @property
    def system(self) -> str:
        """The system whose records it maps."""

    @property
    def version(self) -> str:
        """Changes whenever the same source record may map to something else."""

    @property
    def strengths(self) -> Dict[Entity, Dict[str, Strength]]:
        """Strength of the fields that are not NORMAL."""

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        """Map one source record of `resource`.

        Raises: MappingError if a required field is missing or breaks its rule.
        """

    def describe(self) -> Sequence[DescribedRow]:
        """Every row, in the order of the tables: documentation and drift report are made of it."""


class TabledMapping(Mapping, Protocol):
    """A mapping that can say what it does: what the registry demands of one that is installed."""

    def trial(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Sequence[TrialRow]:
        """What every row makes of one record, also where `map` would refuse it.

        Raises: MappingError only where the record cannot be told apart at all.
        """
