"""The core tracking database told by source keys: hubs with other numbers compare equal.

Hub ids become the source keys that they are linked to; identifiers are opened; what tells runs
apart (`run_id`, tenant, blind index) is left out.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeAlias

from sqlmodel import SQLModel

from mappings.canonical.fields import Entity
from sync_engine.hub import Hub
from sync_engine.store.work import Work

CoreDump: TypeAlias = dict[str, set[tuple[Any, ...]]]

_OURS = frozenset({"tenant_id", "run_id", "blindindex", "uitgever"})
_OF_PERSONS = ("contactgegeven", "adres")


def core_dump(hub: Hub) -> CoreDump:
    """Table → rows, of one tenant."""
    with hub.store.work() as work:
        names = _names(work)
        dump = {str(entity): _rows(work, str(entity), names) for entity in Entity}
        dump |= {table: _rows(work, table, names) for table in (*_OF_PERSONS, "groepsdeelname")}
        dump["identificatie"] = _identifiers(hub, work, names)
        dump["link"] = set(work.execute("SELECT entity, source_key, rule FROM link"))
        return dump


def differences(left: CoreDump, right: CoreDump) -> dict[str, tuple[list[Any], list[Any]]]:
    """Table → (rows only left, rows only right); empty where both are equal."""
    return {
        table: (
            sorted(left[table] - right[table], key=repr),
            sorted(right[table] - left[table], key=repr),
        )
        for table in left
        if left[table] != right[table]
    }


def _names(work: Work) -> dict[int, str]:
    parts: dict[int, list[str]] = defaultdict(list)
    for entity, key, core in work.execute("SELECT entity, source_key, core_id FROM link"):
        parts[core].append(f"{entity}:{key}")
    return {core: "+".join(sorted(keys)) for core, keys in parts.items()}


def _rows(work: Work, table: str, names: dict[int, str]) -> set[tuple[Any, ...]]:
    columns = [c.name for c in SQLModel.metadata.tables[table].columns if c.name not in _OURS]
    if table == "groepsdeelname":
        columns.remove("id")
    rows = work.execute(f"SELECT {', '.join(columns)} FROM {table}")
    return {
        tuple(
            names.get(value, f"unknown {value}")
            if value is not None and (name == "id" or name.endswith("_id"))
            else value
            for name, value in zip(columns, row, strict=True)
        )
        for row in rows
    }


def _identifiers(hub: Hub, work: Work, names: dict[int, str]) -> set[tuple[Any, ...]]:
    (tenant,) = work.execute("SELECT id FROM tenant")[0]
    cipher = hub.cipher(tenant)
    rows = work.execute(
        "SELECT i.eigenaar_id, i.soort, i.waarde, s.salt FROM identificatie i "
        "JOIN core_salt s ON s.core_id = i.eigenaar_id"
    )
    return {
        (
            names[owner],
            kind,
            cipher.person(salt).decrypt(value, b"identificatie|%d|%s" % (owner, kind.encode())),
        )
        for owner, kind, value, salt in rows
    }
