"""Finding a record by what a school says on the phone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.operators import Role
from mappings.canonical.fields import Entity
from sync_engine.actor import Actor
from sync_engine.errors import SyncError
from sync_engine.find import hub_key
from sync_engine.search import Match, _said, by_key, entity_of, search
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.unit.sync_engine.conftest import Make

ECK = f"https://ketenid.nl/pilot/{'b' * 128}"
BSN = "999990147"  # passes the test of eleven, and is given to nobody

PUPILS: dict[str, dict[str, Any]] = {
    "jan": {
        "achternaam": "Vries",
        "voorvoegsel": "de",
        "roepnaam": "Jan",
        "geboortedatum": "2012-03-04",
        "leerlingnummer": "1001",
        "bsn": BSN,
        "email": "jan@school.example",
        "mobiel": "+31612345678",
    },
    "mueller": {
        "achternaam": "Müller-Hôf",
        "roepnaam": "Zoë",
        "geboortedatum": "2012-03-04",
        "leerlingnummer": "1002",
        "eck_id": ECK,
    },
    "oud": {"achternaam": "Vries", "roepnaam": "Janneke", "geboortedatum": "2010-01-01"},
}


def school(made: Bench) -> Bench:
    source = made.sources["s0"]
    for key, values in PUPILS.items():
        source.put(Entity.LEERLING, key, **values)
    source.put(
        Entity.GROEP,
        "g",
        naam="2B",
        soort="stamgroep",
        schooljaar="2026/2027",
        leerlingen=["jan", "mueller"],
    )
    source.put(Entity.GROEP, "h", naam="2B", soort="stamgroep", schooljaar="2025/2026")
    made.sync()
    return made


def found(made: Bench, text: str, entity: Entity = Entity.LEERLING) -> list[Match]:
    return search(made.hub, entity, text, operator="balie")


def who(made: Bench, text: str) -> list[str]:
    return [match.name for match in found(made, text)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1001", "Jan de Vries"),
        (BSN, "Jan de Vries"),
        ("9999.90.147", "Jan de Vries"),
        ("jan@SCHOOL.example", "Jan de Vries"),
        ("06-12345678", "Jan de Vries"),
        ("+31612345678", "Jan de Vries"),
        ("Jan de Vries 4-3-2012", "Jan de Vries"),
        ("2012-03-04 vries", "Jan de Vries"),
        ("de Vries, Jan", "Jan de Vries"),
        (ECK, "Zoë Müller-Hôf"),
        ("muller", "Zoë Müller-Hôf"),
        ("zoe hof", "Zoë Müller-Hôf"),
        ("Muler 04-03-2012", "Zoë Müller-Hôf"),
        ("s0:oud", "Janneke Vries"),
    ],
)
def test_a_pupil_is_found_by_what_a_school_says(
    store: Store, tmp_path: Path, text: str, name: str
) -> None:
    made = school(bench(store, tmp_path))
    names = who(made, text)
    made.close()
    assert names == [name]


def test_who_fits_stands_in_a_list_that_tells_them_apart(make: Make) -> None:
    made = school(make())
    assert [(m.name, m.born, m.klas) for m in found(made, "vries")] == [
        ("Jan de Vries", "2012-03-04", "2B"),
        ("Janneke Vries", "2010-01-01", ""),
    ]
    assert who(made, "4-3-2012") == ["Jan de Vries", "Zoë Müller-Hôf"]


def test_a_search_stands_in_the_audit_trail_without_its_text(make: Make) -> None:
    made = school(make())
    found(made, "vries")
    found(made, "Jan de Vries 4-3-2012")
    with pytest.raises(SyncError):
        found(made, "Onbekend")
    rows = made.query("SELECT operator, subject, why FROM audit WHERE action = 'search'")
    assert rows == [
        ("balie", "leerling by name", "2 found"),
        ("balie", "leerling by name and birth date", hub_key(made.core(Entity.LEERLING, "jan"))),
        ("balie", "leerling by name", "0 found"),
    ]


@pytest.mark.parametrize("text", ["", "Onbekend", "123456782", "31-2-2012", "niemand@b.example"])
def test_nobody_is_found_without_saying_what_was_searched(make: Make, text: str) -> None:
    with pytest.raises(SyncError) as caught:
        found(school(make()), text)
    assert caught.value.advice
    assert not text or text not in str(caught.value) + caught.value.advice


def test_more_than_fit_a_list_ask_for_more_to_go_by(make: Make) -> None:
    made = make()
    for number in range(25):
        born = date(2010, 1, 1 + number).isoformat()
        made.sources["s0"].put(Entity.LEERLING, f"l{number}", achternaam="Smit", geboortedatum=born)
    made.sync()
    with pytest.raises(SyncError, match="more than 20"):
        found(made, "Smit")
    assert len(found(made, "Smit 10-1-2010")) == 1


def test_a_groep_is_meant_of_this_schooljaar(make: Make) -> None:
    made = school(make())
    with made.hub.store.work() as work:
        assert by_key(made.hub, work, Entity.GROEP, "2b") == [made.core(Entity.GROEP, "g")]
        with pytest.raises(SyncError) as caught:
            by_key(made.hub, work, Entity.GROEP, "2C")
    assert "2B" in caught.value.advice


def test_a_key_of_another_entity_says_so(make: Make) -> None:
    made = school(make())
    key = hub_key(made.core(Entity.GROEP, "g"))
    with made.hub.store.work() as work, pytest.raises(SyncError, match="key of a groep"):
        by_key(made.hub, work, Entity.LEERLING, key)


def test_an_entity_that_is_misspelled_names_the_nearest() -> None:
    assert entity_of("Verzorger-Relatie") is Entity.VERZORGER_RELATIE
    with pytest.raises(SyncError) as caught:
        entity_of("leering")
    assert "leerling" in caught.value.advice


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_a_birth_date_is_read_as_the_dutch_and_as_the_iso_write_it(born: date) -> None:
    for text in (f"{born.day}-{born.month}-{born.year} Jansen", f"Jansen {born.isoformat()}"):
        assert _said(text) == (born, ["jansen"])


def test_who_may_act_for_other_tenants_finds_nobody(make: Make) -> None:
    made = school(make())
    key = hub_key(made.core(Entity.LEERLING, "jan"))
    stranger = Actor("vreemde", Role.HELPDESK, frozenset({"ander"}))
    made.hub = replace(made.hub, actor=stranger)
    for text in (key, "s0:jan", "1001", BSN, "jan@school.example", "vries", "4-3-2012"):
        with pytest.raises(SyncError):
            found(made, text)
    with pytest.raises(SyncError):
        found(made, "2B", Entity.GROEP)
