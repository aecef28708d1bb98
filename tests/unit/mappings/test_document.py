"""The generated pages of `docs/` are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.base import Manifest
from connectors.eckid.manifest import MANIFEST as ECKID
from connectors.magister.manifest import MANIFEST as MAGISTER
from connectors.somtoday.manifest import MANIFEST as SOMTODAY
from connectors.uwlr.manifest import MANIFEST as UWLR
from mappings import eckid, magister, somtoday, uwlr
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from mappings.document import canonical_page, mapping_page
from mappings.magister.notes import NOTES as MAGISTER_NOTES
from mappings.somtoday.notes import NOTES as SOMTODAY_NOTES
from mappings.tabular import TabularMapping

DOCS = Path(__file__).parents[3] / "docs"

PAGES = {
    "canonical-schema.md": canonical_page(),
    "mapping-eckid.md": mapping_page(eckid.MAPPING, title="ECK iD", notes=eckid.NOTES),
    "mapping-magister.md": mapping_page(magister.MAPPING, title="Magister", notes=MAGISTER_NOTES),
    "mapping-somtoday.md": mapping_page(somtoday.MAPPING, title="Somtoday", notes=SOMTODAY_NOTES),
    "mapping-uwlr.md": mapping_page(uwlr.MAPPING, title="UWLR", notes=uwlr.NOTES),
}
SYSTEMS = pytest.mark.parametrize(
    ("mapping", "manifest"),
    [
        (eckid.MAPPING, ECKID),
        (magister.MAPPING, MAGISTER),
        (somtoday.MAPPING, SOMTODAY),
        (uwlr.MAPPING, UWLR),
    ],
    ids=["eckid", "magister", "somtoday", "uwlr"],
)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """Write the page anew when this fails: the text is what `PAGES` holds."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]


@pytest.mark.parametrize("entity", list(Entity))
def test_every_field_of_the_schema_is_documented(entity: Entity) -> None:
    section = PAGES["canonical-schema.md"].split(f"## {entity}\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(fields_of(entity))


@SYSTEMS
def test_every_row_of_the_mapping_is_documented(
    mapping: TabularMapping, manifest: Manifest
) -> None:
    page = PAGES[f"mapping-{manifest.system}.md"]
    assert page.count("\n| `") == len(mapping.describe())


@SYSTEMS
def test_every_source_of_a_row_is_a_field_of_the_connector(
    mapping: TabularMapping, manifest: Manifest
) -> None:
    known = {resource.name: set(resource.fields) for resource in manifest.resources}
    for row in mapping.describe():
        for path in row.source:
            assert path.startswith("@") or path in known[row.resource], (row.resource, path)


@SYSTEMS
def test_every_resource_of_the_connector_is_mapped(
    mapping: TabularMapping, manifest: Manifest
) -> None:
    assert set(mapping.resources) == {resource.name for resource in manifest.resources}


def test_every_dutch_word_of_the_schema_stands_in_the_glossary() -> None:
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8").lower()
    parts = {"verzorger_relatie": "relatiesoort", "bevoegd_gezag": "bevoegd gezag"}
    for entity in Entity:
        assert parts.get(entity, str(entity)) in glossary
