"""Rows that stood in the core before the hub came, as the tracking application wrote them."""

from __future__ import annotations

from typing import Any

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.adoption_file import Lines
from tests.support.hubs import Bench

BEFORE = 0
"""The run that legacy rows name: none."""


def stand(made: Bench, entity: Entity, core_id: int, /, **columns: Any) -> int:
    """One row of an entity; of the tables beside it `email`, `mobiel`, `postcode` and `leden`."""
    parts = {name: columns.pop(name, None) for name in ("email", "mobiel", "postcode", "leden")}
    values = {"id": core_id, "tenant_id": 1, "run_id": BEFORE, "tot_afgeleid": False} | columns
    names = ", ".join(values)
    marks = ", ".join("?" for _ in values)
    made.query(f"INSERT INTO {entity} ({names}) VALUES ({marks})", *values.values())
    for kind in ("email", "mobiel"):
        if parts[kind] is not None:
            made.query(
                "INSERT INTO contactgegeven (eigenaar_id, soort, waarde, geheim, run_id) "
                "VALUES (?, ?, ?, false, 0)",
                core_id,
                kind,
                parts[kind],
            )
    if parts["postcode"] is not None:
        made.query(
            "INSERT INTO adres (eigenaar_id, soort, postcode, geheim, run_id) "
            "VALUES (?, 'woonadres', ?, false, 0)",
            core_id,
            parts["postcode"],
        )
    for member in parts["leden"] or ():
        made.query(
            "INSERT INTO groepsdeelname (groep_id, rol, persoon_id, tot_afgeleid, beeindigd, "
            "run_id) VALUES (?, 'leerling', ?, false, false, 0)",
            core_id,
            member,
        )
    return core_id


def lines(*records: dict[str, Any]) -> Lines:
    """A file of these records."""
    return Lines.read(msgspec.json.encode(record) for record in records)


CORE = (*map(str, Entity), "identificatie", "contactgegeven", "adres", "groepsdeelname")
"""Tables that an adoption of rows alone may not change."""


def core_rows(made: Bench) -> dict[str, list[Any]]:
    """Everything that stands in the core."""
    return {
        table: sorted(made.query(f"SELECT * FROM {table}"), key=repr)
        for table in CORE
        if made.query(f"SELECT 1 FROM {table} LIMIT 1")
    }
