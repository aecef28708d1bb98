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
from mappings.canonical.fields import NOT_DELIVERED, Canonical, Entity, Kind
from mappings.canonical.schema import RECORDS, fields_of
from mappings.errors import MappingError
from mappings.mapping import DescribedRow, Mapped, Strength, TrialRow

ALL = frozenset({Capability.CHECK, Capability.SNAPSHOT, Capability.DELTA, Capability.LOOKUP})


@dataclass(frozen=True)
class Raw:
    """One record: field → value, and its key."""

    values: Mapping[str, Any]


@dataclass
class Said:
    """What one reading really yielded, page by page: the memory of a source, not of the hub.

    Attributes:
        items: (key, fields) of every record that was yielded.
        fields: the fields that were delivered.
        complete: it held everything that its scope has.
        delta: only what changed.
        cursor: where a delta would resume after it.
    """

    resource: str
    scope: str
    fields: frozenset[str]
    delta: bool
    items: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    complete: bool = False
    cursor: str | None = None


@dataclass
class MemorySource:
    """The state of one source: resource → scope key → record key → fields.

    Attributes:
        fields: resource → fields that are delivered; absent: all.
        brins: scope key → the schools that it is of.
        schooljaar: first calendar year of the schooljaar that its scopes are read for.
        faults: (resource, scope) → what the next reading of it does.
        said: every reading so far, oldest first; a test may empty it.
    """

    entities: tuple[Entity, ...]
    system: str = "memory"
    scope_keys: tuple[str, ...] = ("hoofd",)
    page_size: int = 3
    records: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    fields: dict[str, frozenset[str]] = field(default_factory=dict)
    brins: dict[str, tuple[str, ...]] = field(default_factory=dict)
    schooljaar: int | None = None
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    journal: list[tuple[str, str, str, bool]] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)

    def put(self, entity: Entity, key: str, /, scope: str = "hoofd", **values: Any) -> None:
        """Add or replace a record."""
        self.records.setdefault((str(entity), scope), {})[key] = values
        self.journal.append((str(entity), scope, key, True))

    def here(self, entity: Entity, scope: str = "hoofd") -> dict[str, dict[str, Any]]:
        """The records of one entity in one scope."""
        return self.records.get((str(entity), scope), {})

    def remove(self, entity: Entity, key: str, /, scope: str = "hoofd") -> None:
        """Take a record away."""
        if self.records.get((str(entity), scope), {}).pop(key, None) is not None:
            self.journal.append((str(entity), scope, key, False))

    def manifest(self) -> Manifest:
        """What it declares."""
        resources = tuple(
            Resource(
                str(entity),
                "key",
                ALL,
                DeletionSign.ABSENCE,
                dict.fromkeys(delivered_fields(entity), DataClass.PERSON),
            )
            for entity in Entity
            if entity in self.entities
        )
        return Manifest(self.system, "Geheugen", "1", resources, Budget(1000, 1), (), ())


def delivered_fields(entity: Entity) -> frozenset[str]:
    """The fields that an administration can deliver: what the hub obtains is none of them."""
    fields = fields_of(entity).items()
    return frozenset(name for name, field in fields if field.kind is not Kind.PSEUDONYM)


class MemoryReading:
    """One reading, with the fault that was asked for. Only its last page carries a cursor."""

    delta = False

    def __init__(
        self, source: MemorySource, scope: Scope, items: Sequence[tuple[str, dict[str, Any]]]
    ) -> None:
        self.source, self.scope = source, scope
        self.items = list(items)
        self.gone: list[str] = []
        self.fault = source.faults.pop((scope.resource, scope.key), "")
        names = delivered_fields(Entity(scope.resource))
        delivered = source.fields.get(scope.resource, names)
        self.contract = DeliveryContract({name: name in delivered for name in names})
        self.completeness = Completeness(complete=True)
        self.said = Said(scope.resource, scope.key, names & delivered, self.delta)

    def __iter__(self) -> Iterator[Page]:
        self.source.said.append(self.said)
        size = self.source.page_size
        pages = [self.items[start : start + size] for start in range(0, len(self.items), size)]
        if self.gone or not pages:
            pages.append([])
        for number, page in enumerate(pages):
            last = number == len(pages) - 1
            if last and self.fault == "error":
                raise ConnectorError("the source broke off", system="memory", operation="read")
            if last and self.fault == "short":
                self.completeness = Completeness(complete=False, reason="a page is missing")
                return
            yield self._page(page, last=last)
        self.said.complete = True

    def _page(self, page: Sequence[tuple[str, dict[str, Any]]], *, last: bool) -> Page:
        self.said.items += page
        cursor = str(len(self.source.journal)) if last else None
        self.said.cursor = cursor
        self.said.gone = self.gone if last else []
        bodies = [msgspec.json.encode({"key": key, **values}) for key, values in page]
        return Page([key for key, _ in page], bodies, gone=self.said.gone, cursor=cursor)


class DeltaReading(MemoryReading):
    """What changed since a cursor; tombstones included."""

    delta = True

    def __init__(self, source: MemorySource, scope: Scope, cursor: int) -> None:
        here = source.records.get((scope.resource, scope.key), {})
        changed = {
            key
            for resource, part, key, _ in source.journal[cursor:]
            if (resource, part) == (scope.resource, scope.key)
        }
        super().__init__(source, scope, [(k, here[k]) for k in sorted(changed) if k in here])
        self.gone = [key for key in sorted(changed) if key not in here]


class MemoryConnector:
    """The connector of a MemorySource."""

    def __init__(self, source: MemorySource) -> None:
        self.source = source
        self.manifest = source.manifest()

    def check(self) -> Sequence[CheckResult]:
        return []

    def scopes(self, *, today: date) -> Sequence[Scope]:
        return [
            Scope(
                str(entity), key, rank, self.source.brins.get(key, ()), self.source.schooljaar, key
            )
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

    version = "1"

    def __init__(
        self,
        system: str = "memory",
        strengths: Mapping[Entity, Mapping[str, Strength]] | None = None,
    ) -> None:
        self.system = system
        self.strengths: Mapping[Entity, Mapping[str, Strength]] = strengths or {}

    def describe(self) -> Sequence[DescribedRow]:
        return []

    def trial(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Sequence[TrialRow]:
        return []

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        if not isinstance(record, Raw):
            raise TypeError
        entity = Entity(resource)
        values = {"key": record.values["key"]}
        for name, description in fields_of(entity).items():
            given = record.values.get(name)
            if description.kind is Kind.PSEUDONYM:
                values[name] = NOT_DELIVERED  # the hub obtains it; no administration delivers it
            elif contract.delivers(name):
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
