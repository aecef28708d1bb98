"""A source in memory that only adds: ECK iDs by hub key, as the number facility is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from connectors.base import DeliveryContract, Manifest, Scope, SourceRecord
from fixtures.school.keys import synthetic_eckid
from mappings.canonical.fields import NOT_DELIVERED, Canonical, Entity, VerkregenEckId
from mappings.canonical.schema import RECORDS
from mappings.mapping import Mapped
from sector.identifiers import EckId
from sync_engine.hubkeys import hub_key
from tests.support.memory import MemoryMapping, MemorySource, Raw

SYSTEM = "memory-adds"
CHAIN = "https://example.test/keten"


@dataclass
class AddingSource(MemorySource):
    """Obtains for the persons that a test names; of one chain and sector."""

    entities: tuple[Entity, ...] = (Entity.LEERLING,)
    system: str = SYSTEM
    sector: str = "vo"

    def manifest(self) -> Manifest:
        return replace(super().manifest(), adds=True)

    def obtain(
        self, core_id: int, value: str, /, scope: str = "hoofd", until: str | None = None
    ) -> None:
        """Obtain an ECK iD for a person of the core."""
        self.give(hub_key(core_id), value, scope=scope, until=until)

    def give(self, key: str, value: str, /, scope: str = "hoofd", **more: Any) -> None:
        """The same by a key as it is given."""
        told = {"waarde": value, "sector": self.sector, **more}
        self.put(self.entities[0], key, scope, **told)


class AddingMapping(MemoryMapping):
    """What an obtained ECK iD says of its person: that, and nothing else."""

    def __init__(self, system: str = SYSTEM) -> None:
        super().__init__(system)

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        assert isinstance(record, Raw)
        told = record.values
        until = told.get("until")
        value = VerkregenEckId(
            waarde=EckId(told["waarde"]),
            keten=CHAIN,
            sector=told["sector"],
            geldig_van=date(2026, 10, 5),
            geldig_tot=None if until is None else date.fromisoformat(until),
        )
        kind: Any = RECORDS[Entity(resource)]
        made: Canonical = kind(key=told["key"], achternaam=NOT_DELIVERED, eck_verkregen=value)
        return Mapped((made,))


def eck_ids(count: int) -> Sequence[str]:
    """So many ECK iDs, all different."""
    return [synthetic_eckid(99, number) for number in range(count)]
