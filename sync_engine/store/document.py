"""docs/core-database.md, written from the tables themselves; a test keeps the two equal."""

from __future__ import annotations

from inspect import getdoc

from sqlalchemy import Table
from sqlmodel import SQLModel

from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import fields_of
from sync_engine.store import core_tables

_HEAD = """# The core tracking database

Other programs may read these tables; only the hub writes them, but for `kern_inbox`, and only
migrations change them. Generated from `sync_engine/store/core_tables.py`.

Periods are half-open: `geldig_tot` is the first day after, empty is open. `tot_afgeleid` says that
the end follows from absence and not from the source. References are the `id` of another record.
Empty (NULL) is *empty or never delivered*; `koppelhub explain` tells which.
"""

_VIEWS = """
## Views

| view | holds |
|---|---|
| `klassenlijst` | who is in which groep, with names and period |
| `journal` | every applied change: run, record, operation, when, by whom; no values |
| `situatie` | the one situation of every source record in a scope, and its core record |

`klassenlijst` leaves out memberships that ended and groepen that disappeared from their source. A
view has no clock: it also holds what begins later or ended by the source's own date, so ask for the
day that you mean by `geldig_van` and `geldig_tot`.
"""

_COMMON = {
    "id": "the hub's number of the record, unique over all entities, never used again",
    "tenant_id": "the bevoegd gezag",
    "run_id": "the run that last changed the row",
    "geldig_van": "first day; empty is not known",
    "geldig_tot": "first day after; empty is open",
    "tot_afgeleid": "the end was inferred from absence",
    "beeindigd": "the person left the groep; the row is history",
    "groep_id": "the groep",
    "persoon_id": "the leerling or medewerker, by `rol`",
    "rol": "leerling, docent, eerste_mentor or tweede_mentor",
    "eigenaar_id": "the leerling, verzorger or medewerker",
    "soort": "which one of its kind",
    "uitgever": "the koppeling that issued it, or 0",
    "waarde": "the value; encrypted in `identificatie`",
    "herkomst": "`geleverd` by an administration, or `verkregen` by the hub itself",
    "keten": "id of the chain that an obtained ECK iD is for",
    "sector": "id of the sector that an obtained ECK iD is for",
    "blindindex": "keyed digest of the value, to find and compare it",
    "geheim": "secret: must not leave the school",
    "message_id": "the application's own id of the message; no personal data",
    "koppeling": "name of the koppeling in the configuration",
    "resource": "an entity, as its table is named",
    "key": "the application's key of the record; of what was adopted the `id`",
    "action": "`put`: this is the record now, whole; `delete`: it is gone",
    "body": "JSON object with the fields of the record; empty for a deletion",
    "fout": "why the hub refuses the row; leave it empty",
}

_KINDS = {
    Kind.TEXT: "text",
    Kind.DATE: "date",
    Kind.INTEGER: "whole number",
    Kind.NUMBER: "number",
    Kind.BOOLEAN: "yes or no",
    Kind.LIST: "JSON list",
}


def core_database_page() -> str:
    """The whole page, as Markdown."""
    parts = [_HEAD]
    for model in _models():
        parts.append(f"\n## {model.__tablename__}\n\n{getdoc(model)}\n")
        parts.append("| column | type | meaning |\n|---|---|---|")
        table: Table = SQLModel.metadata.tables[str(model.__tablename__)]
        parts += [
            f"| `{column.name}` | {str(column.type).lower()} | "
            f"{_meaning(str(model.__tablename__), column.name)} |"
            for column in table.columns
        ]
    return "\n".join(parts) + "\n" + _VIEWS


def _models() -> list[type[SQLModel]]:
    found = [
        value
        for value in vars(core_tables).values()
        if isinstance(value, type) and issubclass(value, SQLModel) and hasattr(value, "__table__")
    ]
    return sorted(found, key=lambda model: str(model.__tablename__))


def _meaning(table: str, column: str) -> str:
    if (table, column) == ("kern_inbox", "id"):
        return "order of the messages; given by the database"
    if column in _COMMON and column not in _own_fields(table):
        return _COMMON[column]
    description = _own_fields(table).get(column)
    if description is None:
        return column.replace("_", " ")
    if description.kind is Kind.REFERENCE:
        return f"reference to {description.target}"
    return _KINDS.get(description.kind, str(description.kind))


def _own_fields(table: str) -> dict[str, Field]:
    if table not in set(Entity):
        return {}
    return {
        f"{name}_id" if description.kind is Kind.REFERENCE else name: description
        for name, description in fields_of(Entity(table)).items()
        if description.kind not in {Kind.PERIOD_START, Kind.PERIOD_END}
    }
