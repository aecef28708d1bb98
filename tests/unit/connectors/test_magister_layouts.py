"""The columns of our lists are those of the specification, and each of them is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.magister.assemble import SIMPLE
from connectors.magister.connector import MAGISTER
from connectors.magister.layouts import ALL, EXTRA_COLUMNS, PGN, Layout, missing_columns
from connectors.magister.manifest import MODELS
from connectors.protocols.parsing import field_paths
from fixtures.school.magister import LAYOUTS

SHEET = (Path(__file__).parents[3] / "docs" / "magister-layouts.md").read_text(encoding="utf-8")
LISTS = pytest.mark.parametrize("layout", ALL, ids=lambda layout: layout.name)


@LISTS
def test_a_list_has_the_columns_that_the_sandbox_made_of_the_specification(layout: Layout) -> None:
    assert layout.names == LAYOUTS[layout.name]


def test_every_list_of_the_specification_is_there() -> None:
    assert {layout.name for layout in ALL} == set(LAYOUTS)


@LISTS
def test_a_list_names_what_it_cannot_do_without(layout: Layout) -> None:
    assert set(layout.key) <= set(layout.required) | {"lesperiode"}
    assert missing_columns(layout, frozenset(layout.names)) == ()
    assert missing_columns(layout, frozenset()) == layout.required


def test_every_column_of_a_list_is_a_field_of_a_record() -> None:
    read = {
        "presentis-leerlingen": ("leerling", "aanmeldingen."),
        "presentis-pgn": ("leerling", "aanmeldingen."),
        "presentis-verzorgers": ("verzorger", "kinderen."),
        "presentis-groepen": ("groep", "leden."),
        "presentis-groepsleden": ("groep", "leden."),
        **{layout.name: (name, "") for name, (layout, _) in SIMPLE.items()},
    }
    for layout in ALL:
        if layout.name in read:
            resource, nested = read[layout.name]
            fields = {path.removeprefix(nested) for path in field_paths(MODELS[resource][0])}
            columns = {*layout.names, *EXTRA_COLUMNS.get(layout.name, ())}
            assert columns <= fields, layout.name


def test_personal_numbers_are_special_and_only_in_their_own_list() -> None:
    fields = MAGISTER.manifest.resource("leerling").fields
    assert {name for name, kind in fields.items() if kind == "special"} == {
        "bsn",
        "onderwijsnummer",
    }
    for layout in ALL:
        if layout is not PGN:
            assert not {"bsn", "onderwijsnummer"} & set(layout.names)


def test_every_sentence_of_rights_names_what_the_sheet_names() -> None:
    rights = " ".join(MAGISTER.manifest.rights)
    for name in ("8800", "Algemeen.Login", "GetActiveEmpoyees", "presentis-pgn"):
        assert name in rights
        assert name in SHEET
