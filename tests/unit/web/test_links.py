"""From what the engine says to type, to the page that does the same."""

from __future__ import annotations

import pytest

from web.pages.links import address, of_koppeling, page_of


@pytest.mark.parametrize(
    ("command", "page"),
    [
        ("koppelhub plan show 12", "/plannen/12"),
        ("koppelhub plan approve 12", "/plannen/12"),
        ("koppelhub run show 34", "/runs/34"),
        ("koppelhub case show 7", "/zaken/7"),
        ("koppelhub case list --source las --kind score", "/zaken?koppeling=las&soort=score"),
        ("koppelhub quarantine list --source las", "/quarantaine?koppeling=las"),
        ("koppelhub todo --school 99XX", "/wacht?school=99XX"),
        ("koppelhub pin lift 3", ""),
        ("koppelhub sync --source las", ""),
        ("", ""),
    ],
)
def test_a_command_leads_to_its_page(command: str, page: str) -> None:
    assert page_of(command) == page


def test_what_is_chosen_is_written_as_an_address_takes_it() -> None:
    assert address("/", {"school": "a&b=c", "stand": ""}) == "/?school=a%26b%3Dc"
    assert of_koppeling("a/b") == "/koppelingen/a%2Fb"
