"""What a mapping is to the engine: a pure function with a version, and a table of its rows."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from connectors.base import DeliveryContract, FieldProblem, Scope, SourceRecord
from mappings.canonical.fields import Canonical, Entity


class Strength(StrEnum):
    """How hard a mapped value insists, in the fold of the core.

    STRONG beats a pin (a secret address stays secret whatever a person fixed by hand); NORMAL beats
    other sources by authority, and yields to a pin; WEAK counts only where nobody else has a value.
    """

    STRONG = "strong"
    NORMAL = "normal"
    WEAK = "weak"


@dataclass(frozen=True, slots=True)
class Mapped:
    """What one source record says, canonically.

    Attributes:
        records: every canonical record that it holds (a leerling page item also holds its
            inschrijvingen and relations). The record states this set completely: a record that it
            held before and holds no longer is positively gone from it.
        problems: optional fields that were dropped (not delivered) because they break a rule.
    """

    records: Sequence[Canonical]
    problems: tuple[FieldProblem, ...] = ()


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
