"""What engine and connectors say in English is Dutch on a Dutch page, and English on another."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import pytest

from connectors.base import Layer
from mappings.canonical.fields import Entity
from sync_engine import matching
from tests.support.hubs import Bench
from tests.unit.web.conftest import Visit
from web import words
from web.texts import Language, catalogue
from web.words import broken, plainly, spoken

DUTCH, ENGLISH = (catalogue(language).gettext for language in Language)


def is_dutch(text: str) -> bool:
    return "<span" not in spoken(DUTCH, text)


@pytest.mark.parametrize("system", ["magister", "uwlr", "eckid"])
def test_every_layer_that_passes_has_a_dutch_word(system: str) -> None:
    passed: Mapping[Layer, str] = import_module(f"connectors.{system}.check")._PASSED
    assert passed
    for text in passed.values():
        assert is_dutch(text), text
        assert spoken(ENGLISH, text) == text


@pytest.mark.parametrize(
    ("english", "dutch"),
    [
        ("exact: bsn", "dezelfde bsn"),
        ("two values of eck_id", "twee verschillende waarden van eck_id"),
        (f"{matching.EXCHANGED} bsn", "ruilde met een ander record van bsn"),
        ("Somtoday is reached", "Somtoday is bereikbaar"),
        ("3 vestigingen answer", "3 vestigingen antwoorden"),
        ("POST token: ConnectError", "POST token: er is geen verbinding"),
        ("the time of this run was up", "de tijd van deze run was om"),
    ],
)
def test_a_sentence_keeps_what_stands_in_it(english: str, dutch: str) -> None:
    assert spoken(DUTCH, english) == dutch
    assert "<span" not in spoken(ENGLISH, english)


def test_what_nobody_translated_is_marked_and_escaped() -> None:
    assert spoken(DUTCH, "<b> & so") == '<span lang="en">&lt;b&gt; &amp; so</span>'
    assert spoken(DUTCH, "exact: <b>").startswith("<span")
    assert spoken(DUTCH, "vestigingen that refuse pupils: <b>").endswith("&lt;b&gt;")


def test_a_dutch_sentence_says_no_technical_name() -> None:
    told = "run 30 is mislukt: GET Algemeen.Login: ConnectError. De webservice is niet bereikbaar."
    assert plainly(told) == (
        "run 30 is mislukt: GET Algemeen.Login: er is geen verbinding. "
        "De webservice is niet bereikbaar."
    )
    assert plainly("ConnectErrors") == "ConnectErrors"
    assert broken("leerling.geboortedatum: must be a date that exists") == (
        "leerling.geboortedatum moet een datum zijn die bestaat"
    )


def test_every_sentence_fits_its_own_form() -> None:
    """One that can never match, or that another one takes first, is of no use."""
    forms = [form for form, _ in words._SENTENCES]
    assert len(set(forms)) == len(forms)
    for place, (form, dutch) in enumerate(words._TABLE):
        names = set(form.groupindex)
        assert names == {name for name in names if f"%({name})s" in dutch}, form.pattern
        plain = not names and not set("().?+*") & set(form.pattern)
        if plain:
            first = next(
                n for n, (other, _) in enumerate(words._TABLE) if other.fullmatch(form.pattern)
            )
            assert first == place, form.pattern


def test_a_case_says_its_rule_in_the_language_of_the_page(two: Bench, seated: Visit) -> None:
    for name, number in (("s0", "1"), ("s1", "2")):
        two.sources[name].put(
            *(Entity.LEERLING, "a"), achternaam="Jansen", bsn="999990019", eck_id=None
        )
        two.sources[name].put(
            *(Entity.LEERLING, "a"),
            achternaam="Jansen",
            bsn="999990019",
            onderwijsnummer=None,
            eck_id=f"https://ketenid.nl/201703/{int(number):0128x}",
        )
        two.sync(name)
    rows = two.query("SELECT id, rule FROM zaak WHERE state = 'open'")
    ((case, rule),) = rows
    assert rule == "two values of eck_id"
    desk = seated(two)
    assert "twee verschillende waarden van eck_id" in desk.sees(f"/zaken/{case}")
    desk.client.headers["accept-language"] = "en"
    assert "two values of eck_id" in desk.sees(f"/zaken/{case}")
