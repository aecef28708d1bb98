"""The generated pages of `docs/` are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.somtoday.manifest import MANIFEST
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from mappings.document import canonical_page, mapping_page
from mappings.somtoday import MAPPING
from mappings.somtoday.notes import NOTES

DOCS = Path(__file__).parents[3] / "docs"

PAGES = {
    "canonical-schema.md": canonical_page(),
    "mapping-somtoday.md": mapping_page(MAPPING, title="Somtoday", notes=NOTES),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """Write the page anew when this fails: the text is what `PAGES` holds."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]


@pytest.mark.parametrize("entity", list(Entity))
def test_every_field_of_the_schema_is_documented(entity: Entity) -> None:
    section = PAGES["canonical-schema.md"].split(f"## {entity}\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(fields_of(entity))


def test_every_row_of_the_mapping_is_documented() -> None:
    assert PAGES["mapping-somtoday.md"].count("\n| `") == len(MAPPING.describe())


def test_every_source_of_a_row_is_a_field_of_the_connector() -> None:
    known = {resource.name: set(resource.fields) for resource in MANIFEST.resources}
    for row in MAPPING.describe():
        for path in row.source:
            assert path.startswith("@") or path in known[row.resource], (row.resource, path)


def test_every_resource_of_the_connector_is_mapped() -> None:
    assert set(MAPPING.resources) == {resource.name for resource in MANIFEST.resources}


def test_every_dutch_word_of_the_schema_stands_in_the_glossary() -> None:
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8").lower()
    parts = {"verzorger_relatie": "relatiesoort", "bevoegd_gezag": "bevoegd gezag"}
    for entity in Entity:
        assert parts.get(entity, str(entity)) in glossary
