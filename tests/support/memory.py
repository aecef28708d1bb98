"""A source in memory whose records are canonical already: for tests of the engine alone.

It is a real connector to the engine (manifest, scopes, pages, contracts, completeness, delta);
only the wire is left out, which the contract tests cover.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from connectors.base import (
    Budget,
    Capability,
    CheckResult,
    Completeness,
    Connector,
    DataClass,
    DeletionSign,
    DeliveryContract,
    Manifest,
    Page,
    Parsed,
    Reading,
    Resource,
    Scope,
    SourceRecord,
)
from connectors.errors import ConnectorError, ParseError
from mappings.canonical.fields import NOT_DELIVERED, Canonical, Entity
from mappings.canonical.schema import RECORDS, fields_of
from mappings.errors import MappingError
from mappings.mapping import Mapped, Strength

ALL = frozenset({Capability.CHECK, Capability.SNAPSHOT, Capability.DELTA, Capability.LOOKUP})


@dataclass(frozen=True)
class Raw:
    """One record: field → value, and its key."""

    values: Mapping[str, Any]


@dataclass
class MemorySource:
    """The state of one source: resource → scope key → record key → fields.

    Attributes:
        fields: resource → fields that are delivered; absent: all.
        faults: (resource, scope) → what the next reading of it does.
    """

    entities: tuple[Entity, ...]
    scope_keys: tuple[str, ...] = ("hoofd",)
    page_size: int = 3
    records: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    fields: dict[str, frozenset[str]] = field(default_factory=dict)
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    journal: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def put(self, entity: Entity, key: str, /, scope: str = "hoofd", **values: Any) -> None:
        """Add or replace a record."""
        self.records.setdefault((str(entity), scope), {})[key] = values
        self.journal.append((str(entity), scope, key, True))

    def remove(self, entity: Entity, key: str, /, scope: str = "hoofd") -> None:
        """Take a record away."""
        if self.records.get((str(entity), scope), {}).pop(key, None) is not None:
            self.journal.append((str(entity), scope, key, False))

    def manifest(self, system: str = "memory") -> Manifest:
        """What it declares."""
        resources = tuple(
            Resource(
                str(entity),
                "key",
                ALL,
                DeletionSign.ABSENCE,
                dict.fromkeys(fields_of(entity), DataClass.PERSON),
            )
            for entity in Entity
            if entity in self.entities
        )
        return Manifest(system, "Geheugen", "1", resources, Budget(1000, 1), (), ())


class MemoryReading:
    """One reading, with the fault that was asked for."""

    def __init__(
        self, source: MemorySource, scope: Scope, items: Sequence[tuple[str, dict[str, Any]]]
    ) -> None:
        self.source, self.scope = source, scope
        self.items = list(items)
        self.fault = source.faults.pop((scope.resource, scope.key), "")
        delivered = source.fields.get(scope.resource)
        names = fields_of(Entity(scope.resource))
        self.contract = DeliveryContract(
            {name: delivered is None or name in delivered for name in names}
        )
        self.completeness = Completeness(complete=True)

    def __iter__(self) -> Iterator[Page]:
        size = self.source.page_size
        pages = [self.items[start : start + size] for start in range(0, len(self.items), size)]
        for number, page in enumerate(pages):
            if self.fault == "error" and number == len(pages) - 1:
                raise ConnectorError("the source broke off", system="memory", operation="read")
            if self.fault == "short" and number == len(pages) - 1:
                self.completeness = Completeness(complete=False, reason="a page is missing")
                return
            yield self._page(page)
        if self.fault == "error" and not pages:
            raise ConnectorError("the source broke off", system="memory", operation="read")

    def _page(self, page: Sequence[tuple[str, dict[str, Any]]]) -> Page:
        cursor = str(len(self.source.journal))
        bodies = [msgspec.json.encode({"key": key, **values}) for key, values in page]
        return Page([key for key, _ in page], bodies, cursor=cursor)


class DeltaReading(MemoryReading):
    """What changed since a cursor; tombstones included."""

    def __init__(self, source: MemorySource, scope: Scope, cursor: int) -> None:
        here = source.records.get((scope.resource, scope.key), {})
        changed = {
            key: present
            for resource, part, key, present in source.journal[cursor:]
            if (resource, part) == (scope.resource, scope.key)
        }
        super().__init__(source, scope, [(k, here[k]) for k in sorted(changed) if k in here])
        self.gone = [key for key in sorted(changed) if key not in here]

    def __iter__(self) -> Iterator[Page]:
        yield from super().__iter__()
        yield Page([], [], gone=self.gone, cursor=str(len(self.source.journal)))


class MemoryConnector:
    """The connector of a MemorySource."""

    def __init__(self, source: MemorySource) -> None:
        self.source = source
        self.manifest = source.manifest()

    def check(self) -> Sequence[CheckResult]:
        return []

    def scopes(self, *, today: date) -> Sequence[Scope]:
        return [
            Scope(str(entity), key, rank=rank, label=key)
            for entity in Entity
            if entity in self.source.entities
            for rank, key in enumerate(self.source.scope_keys)
        ]

    def snapshot(self, scope: Scope) -> Reading:
        here = self.source.records.get((scope.resource, scope.key), {})
        return MemoryReading(self.source, scope, sorted(here.items()))

    def delta(self, scope: Scope, *, cursor: str | None) -> Reading:
        return DeltaReading(self.source, scope, int(cursor or 0))

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        here = self.source.records.get((scope.resource, scope.key), {})
        return MemoryReading(self.source, scope, [(k, here[k]) for k in keys if k in here])

    def parse(self, resource: str, body: bytes) -> Parsed:
        values = msgspec.json.decode(body)
        if values.get("kapot"):
            raise ParseError("kapot", "is kapot", source_key=values["key"])
        return Parsed(Raw(values))

    def close(self) -> None:
        pass


class MemoryMapping:
    """The identity: what is delivered under the contract, as it is."""

    system = "memory"
    version = "1"

    def __init__(self) -> None:
        self.strengths: Mapping[Entity, Mapping[str, Strength]] = {}

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        if not isinstance(record, Raw):
            raise TypeError
        entity = Entity(resource)
        values = {"key": record.values["key"]}
        for name, description in fields_of(entity).items():
            given = record.values.get(name)
            if contract.delivers(name):
                values[name] = given
            elif description.required:
                raise MappingError(name, "is verplicht en niet geleverd")
            else:
                values[name] = NOT_DELIVERED
            if description.required and given is None:
                raise MappingError(name, "is verplicht")
        delivered = {name: value for name, value in values.items() if value is not NOT_DELIVERED}
        made: Canonical = msgspec.convert(delivered, RECORDS[entity], dec_hook=_identifier)
        return Mapped((made,))


def _identifier(kind: type, value: object) -> Any:
    return kind(value)


_: type[Connector] = MemoryConnector
