"""The page about the core database says what the tables are."""

from __future__ import annotations

from pathlib import Path

from sqlmodel import SQLModel

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.store import tables  # noqa: F401 - declares the tables
from sync_engine.store.document import core_database_page

ROOT = Path(__file__).parents[3]


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs/core-database.md").read_text(encoding="utf-8") == core_database_page()


def test_every_canonical_field_has_its_column_or_part_table() -> None:
    for entity in Entity:
        columns = SQLModel.metadata.tables[str(entity)].columns
        for name, description in fields_of(entity).items():
            if description.kind is Kind.REFERENCE:
                assert f"{name}_id" in columns
            elif description.kind in {
                Kind.TEXT,
                Kind.DATE,
                Kind.INTEGER,
                Kind.NUMBER,
                Kind.BOOLEAN,
                Kind.LIST,
            }:
                assert name in columns, f"{entity}.{name}"
