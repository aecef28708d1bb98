"""What the application says of its records besides their rows: JSON lines, `entity` and `id` first.

    {"entity": "leerling", "id": 17, "leerlingnummer": "1203", "eck_id": "https://…"}

The other fields have the canonical names; references are ids. A line adds to the row of that id, or
makes the record where there is none. It is the road for what no plain table may hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from config.errors import RecordError
from connectors.base import DeliveryContract, Scope
from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import encode, fields_of
from sync_engine.bounds import check_bounds
from sync_engine.context import Context
from sync_engine.fold import Json

LARGEST_LINE: Final = 1_000_000
MOST_LINES: Final = 200_000
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One line that can be used."""

    line: int
    fields: Mapping[str, Any] = field(repr=False)


@dataclass(slots=True)
class Lines:
    """A whole file.

    Attributes:
        records: (entity, id) → what is said of it.
        broken: line → why it cannot be used, in Dutch.
    """

    records: dict[tuple[Entity, int], FileRecord] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, lines: Iterable[bytes]) -> Lines:
        """Read a file; a broken line stops no other."""
        found = cls()
        for number, line in enumerate(lines, start=1):
            if number > MOST_LINES:
                found.broken[number] = f"meer dan {MOST_LINES} regels; splits het bestand"
                break
            if line.strip():
                reason = found._take(number, line)
                if reason:
                    found.broken[number] = reason
        return found

    def _take(self, number: int, line: bytes) -> str:
        try:
            tree = _DECODER.decode(line) if len(line) <= LARGEST_LINE else {}
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return "is geen JSON-object"
        entity, core_id = tree.pop("entity", None), tree.pop("id", None)
        if entity not in set(Entity):
            return "entity ontbreekt of bestaat niet"
        if type(core_id) is not int:
            return "id ontbreekt of is geen geheel getal"
        if (Entity(entity), core_id) in self.records:
            return "dit record staat al op een eerdere regel"
        self.records[Entity(entity), core_id] = FileRecord(number, tree)
        return ""


def form_of(
    context: Context,
    entity: Entity,
    core_id: int,
    record: FileRecord,
    *,
    row: Mapping[str, Json],
    drop: frozenset[str],
) -> dict[str, Json]:
    """The canonical form of what a line says, through the application's own parser and mapping.

    Args:
        context: of the run.
        entity: of the record.
        core_id: its id.
        record: the line.
        row: the form of its row, for what the line need not repeat.
        drop: fields of this entity that are not read, because no purpose is configured.

    Raises: RecordError with field and rule, never the value.
    """
    told = {name: value for name, value in record.fields.items() if name not in drop}
    required = {
        name: row[name] for name, f in fields_of(entity).items() if f.required and name in row
    }
    body = msgspec.json.encode({**required, **dict(_with_keys(entity, told)), "key": str(core_id)})
    parsed = context.connector.parse(str(entity), body)
    contract = DeliveryContract(dict.fromkeys(fields_of(entity), True))
    scope = Scope(str(entity), "adoptie")
    mapped = context.mapping.map(str(entity), parsed.record, contract=contract, scope=scope)
    for problem in (*parsed.problems, *mapped.problems):
        raise RecordError(problem.path, problem.rule)
    for name in parsed.unknown:
        raise RecordError(name, "onbekend veld")
    (made,) = mapped.records
    encoded = encode(made)
    check_bounds(made, encoded)
    form: dict[str, Json] = msgspec.json.decode(encoded)
    return {name: value for name, value in form.items() if name in told}


def _with_keys(entity: Entity, told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Ids of other records as the keys that they get."""
    for name, value in told.items():
        known = fields_of(entity).get(name)
        kind = None if known is None else known.kind
        if kind is Kind.REFERENCE and type(value) is int:
            yield name, str(value)
        elif kind is Kind.MEMBERS and isinstance(value, list):
            yield name, [str(v) if type(v) is int else v for v in value]
        else:
            yield name, value
