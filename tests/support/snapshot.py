"""The core as it stands, to be laid beside itself at another moment."""

from __future__ import annotations

from typing import Any

from sqlmodel import SQLModel

from mappings.canonical.fields import Entity
from tests.support.hubs import Bench

_TABLES = (*map(str, Entity), "groepsdeelname", "contactgegeven", "adres")


def core(bench: Bench) -> dict[str, Any]:
    """The core tables, links, aliases and exact keys, without who wrote them last."""
    found: dict[str, Any] = {}
    for table in _TABLES:
        names = [c.name for c in SQLModel.metadata.tables[table].columns if c.name != "run_id"]
        found[table] = sorted(bench.query(f"SELECT {', '.join(names)} FROM {table}"), key=repr)
    found["identificatie"] = sorted(bench.identifiers().items())
    found["link"] = sorted(
        bench.query("SELECT koppeling_id, entity, source_key, core_id FROM link")
    )
    found["alias"] = sorted(bench.query("SELECT core_id, survivor_id FROM alias"))
    keys = bench.query(
        "SELECT digest, koppeling_id, source_key, entity, kind, core_id FROM match_key"
    )
    found["match_key"] = sorted((bytes(row[0]), *row[1:]) for row in keys)
    return found


def changed(
    before: dict[str, Any], after: dict[str, Any]
) -> dict[str, tuple[list[Any], list[Any]]]:
    """Table → rows that are gone and rows that came, where there are any."""
    return {
        name: (
            [row for row in rows if row not in after[name]],
            [row for row in after[name] if row not in rows],
        )
        for name, rows in before.items()
        if rows != after[name]
    }
