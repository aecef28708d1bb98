"""The pages of `docs/` that are made from the schema and the mapping tables, as text.

Pure: each function gives the page; a test says when the file in `docs/` is not it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from mappings.canonical.fields import Adres, Entity, Field, Kind, VerkregenEckId
from mappings.canonical.schema import RECORDS, fields_of
from mappings.mapping import DescribedRow, Strength, TabledMapping

_KINDS = {
    Kind.TEXT: "text",
    Kind.DATE: "date",
    Kind.INTEGER: "whole number",
    Kind.NUMBER: "number",
    Kind.BOOLEAN: "true or false",
    Kind.LIST: "list",
    Kind.PERIOD_START: "first day (inclusive)",
    Kind.PERIOD_END: "first day after (half-open)",
    Kind.REFERENCE: "reference",
    Kind.MEMBERS: "members",
    Kind.IDENTIFIER: "identifier (encrypted)",
    Kind.PSEUDONYM: "pseudonym that the hub obtained (encrypted)",
    Kind.CONTACT: "contact",
    Kind.ADDRESS: "address",
}


def canonical_page() -> str:
    """`docs/canonical-schema.md`: every entity with its fields."""
    lines = [
        "# The canonical schema",
        "",
        "Made from `mappings/canonical/` by `mappings.document.canonical_page`; do not edit.",
        "",
        "Every field has three states: *not delivered* (the source says nothing of it), *empty*",
        "and a value. A reference is a source key of the same koppeling. The entities stand in the",
        "order in which the engine folds them; Dutch terms are explained in `glossary.md`.",
    ]
    for entity in Entity:
        lines += ["", f"## {entity}", "", _doc(RECORDS[entity]), ""]
        rows = [
            (f"`{name}`", _kind(field), _remarks(field))
            for name, field in fields_of(entity).items()
        ]
        lines += _table(("field", "kind", "remarks"), rows)
    for title, value in (("an address", Adres), ("an ECK iD that was obtained", VerkregenEckId)):
        lines += ["", f"## Parts of {title}", "", _doc(value), ""]
        lines.append(", ".join(f"`{name}`" for name in value.__struct_fields__) + ".")
    return "\n".join(lines) + "\n"


def _doc(thing: type) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")


def _kind(field: Field) -> str:
    target = f" to {field.target}" if field.kind is Kind.REFERENCE else ""
    target = f" ({field.target})" if field.kind is Kind.MEMBERS else target
    return _KINDS[field.kind] + target


def _remarks(field: Field) -> str:
    remarks = ["required"] if field.required else []
    if field.role:
        remarks.append(f"role `{field.role}`")
    if field.hidden_by:
        remarks.append(f"hidden by `{field.hidden_by}`")
    return "; ".join(remarks)


def mapping_page(mapping: TabledMapping, *, title: str, notes: Sequence[str] = ()) -> str:
    """`docs/mapping-<system>.md`: every row of a mapping, by resource and entity.

    Args:
        mapping: the mapping.
        title: what people call the system.
        notes: decisions that no single row shows.
    """
    lines = [
        f"# {title} → canonical schema",
        "",
        f"Mapping `{mapping.system}`, version `{mapping.version}`. Made from its tables by",
        "`mappings.document.mapping_page`; do not edit.",
        "",
        "A field that the school does not share is *not delivered* and changes nothing; one that",
        "is shared and absent is *empty*. `@name` is what is known around the record: vestiging",
        "and schooljaar of the scope, or the record that holds the list. Where two rows have one",
        "field, the first that is delivered counts. Strong: wins from a value fixed by hand.",
    ]
    if notes:
        lines += ["", "## Decisions", "", *(f"- {note}" for note in notes)]
    for (resource, entity, part), rows in groupby(
        mapping.describe(), key=lambda row: (row.resource, row.entity, row.list)
    ):
        where = f", from `{part}`" if part else ""
        lines += ["", f"## {resource} → {entity}{where}", ""]
        lines += _table(("field", "source", "how", "remarks"), map(_described, rows))
    return "\n".join(lines) + "\n"


def _described(row: DescribedRow) -> tuple[str, ...]:
    remarks = ["required"] if row.required else []
    if row.strength is not Strength.NORMAL:
        remarks.append(str(row.strength))
    if row.condition:
        remarks.append(row.condition)
    source = ", ".join(f"`{path}`" for path in row.source)
    return f"`{row.target}`", source, f"`{row.function}`: {row.meaning}", "; ".join(remarks)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
