"""Who looks like another: guardians by name, contact and child; staff as pupils are weighed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mappings.canonical.fields import Entity
from sync_engine import correlate, lookalikes
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench

ECK, OTHER = (f"https://ketenid.nl/pilot/{digit * 128}" for digit in "ab")
OUDER = {"achternaam": "Jansen", "voorletters": "J.M.", "email": "ouder@thuis.example"}
STAFF = {"achternaam": "Smit", "roepnaam": "Jan", "geboortedatum": "1980-01-01"}


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two sources on each of the two databases."""
    one = bench(store, tmp_path, sources=2)
    yield one
    one.close()


def family(made: Bench, name: str, ouder: dict[str, Any], *, eck: str = ECK) -> None:
    """A verzorger with one child, under keys of the source's own."""
    source = made.sources[name]
    source.put(Entity.LEERLING, f"l-{name}", achternaam="Jansen", eck_id=eck)
    source.put(Entity.VERZORGER, f"o-{name}", **ouder)
    relation = {"verzorger": f"o-{name}", "leerling": f"l-{name}"}
    source.put(Entity.VERZORGER_RELATIE, f"r-{name}", **relation)


def guardians(made: Bench) -> int:
    return int(made.query("SELECT COUNT(*) FROM verzorger")[0][0])


def test_a_guardian_with_that_name_contact_and_child_is_a_case_and_never_a_link(
    made: Bench,
) -> None:
    family(made, "s0", OUDER)
    family(made, "s1", OUDER)
    made.sync("s0")
    for _ in range(2):
        report = made.sync("s1")
        assert made.cases() == [("s1", "verzorger", "o-s1", "score")]
        assert report.waiting == 1  # the relation refers to who is in doubt
        assert guardians(made) == 1
        assert len(made.query("SELECT id FROM verzorger_relatie")) == 1
    detail = made.query("SELECT detail FROM zaak")[0][0]
    assert f'"core_id":{made.core(Entity.VERZORGER, "o-s0")}' in detail
    assert '"agrees":["achternaam","email","leerling"]' in detail
    assert "Jansen" not in detail
    assert "thuis" not in detail


@pytest.mark.parametrize(
    ("one", "other", "doubt"),
    [
        ({"email": None, "mobiel": "+31612345678"}, {"telefoon": "+31612345678"}, True),
        ({"voorletters": "J."}, {}, True),
        ({"voorletters": None}, {}, True),
        ({"achternaam": "JANSEN"}, {}, True),
        ({"voorletters": "K."}, {}, False),
        ({"roepnaam": "Jan"}, {"roepnaam": "Truus"}, False),
        ({"achternaam": "Mol"}, {}, False),
        ({"email": "ander@thuis.example"}, {}, False),
        ({"email": None}, {"email": None}, False),
    ],
)
def test_what_makes_guardians_alike(
    made: Bench, one: dict[str, Any], other: dict[str, Any], *, doubt: bool
) -> None:
    address = {"adres": {"straat": "Kade", "postcode": "1234AB"}}  # says nothing
    family(made, "s0", {**OUDER, **address, **one})
    family(made, "s1", {**OUDER, **address, **other})
    made.sync("s0")
    made.sync("s1")
    assert bool(made.cases()) is doubt
    assert guardians(made) == (1 if doubt else 2)


def test_guardians_of_other_children_are_others(made: Bench) -> None:
    family(made, "s0", OUDER)
    family(made, "s1", OUDER, eck=OTHER)
    made.sync("s0")
    made.sync("s1")
    assert not made.cases()
    assert guardians(made) == 2


def test_guardians_within_one_source_are_not_compared(made: Bench) -> None:
    for source in made.sources.values():
        source.put(Entity.VERZORGER, "derde", achternaam="Derde")
        made.sync("s1")
    family(made, "s0", OUDER)
    made.sources["s0"].put(Entity.VERZORGER, "tweede", **OUDER)
    relation = {"verzorger": "tweede", "leerling": "l-s0"}
    made.sources["s0"].put(Entity.VERZORGER_RELATIE, "r2", **relation)
    made.sync("s0")
    assert not made.cases()


def test_a_guardian_of_whom_the_source_has_another_record_is_no_candidate(made: Bench) -> None:
    family(made, "s0", OUDER)
    made.sync("s0")
    made.sources["s1"].put(Entity.VERZORGER, "al bekend", achternaam="Iemand")
    made.sync("s1")
    with made.hub.store.work() as work:
        work.execute(
            "UPDATE link SET core_id = ? WHERE source_key = 'al bekend'",
            (made.core(Entity.VERZORGER, "o-s0"),),
        )
    family(made, "s1", OUDER)
    made.sync("s1")
    assert not made.cases()


def test_when_the_doubt_goes_what_waited_follows(made: Bench) -> None:
    family(made, "s0", OUDER)
    family(made, "s1", OUDER)
    made.sync("s0")
    made.sync("s1")
    assert made.cases()
    made.sources["s1"].put(Entity.VERZORGER, "o-s1", **{**OUDER, "achternaam": "Bakker"})
    made.sync("s1")
    assert not made.cases()
    rows = made.query("SELECT verzorger_id FROM verzorger_relatie ORDER BY id")
    assert rows == [(made.core(Entity.VERZORGER, f"o-{n}", n),) for n in ("s0", "s1")]


def test_a_person_may_say_that_they_are_one(made: Bench) -> None:
    family(made, "s0", OUDER)
    family(made, "s1", OUDER)
    made.sync("s0")
    made.sync("s1")
    core_id = made.core(Entity.VERZORGER, "o-s0")
    with made.hub.store.work() as work:
        work.execute(
            "INSERT INTO decision (kind, koppeling_id, entity, source_key, core_id, operator, "
            "why, created_at) VALUES ('link', 2, 'verzorger', 'o-s1', ?, 't', 't', ?)",
            (core_id, made.clock.now()),
        )
    made.sync("s1")
    assert not made.cases()
    assert made.core(Entity.VERZORGER, "o-s1", "s1") == core_id
    assert len(made.query("SELECT id FROM verzorger_relatie")) == 1
    assert not made.sync("s1").steps


def test_a_child_that_is_merged_in_this_run_is_one_child(made: Bench) -> None:
    made.sources["s1"].put(Entity.LEERLING, "l-s1", achternaam="Jansen")
    made.sources["s1"].put(Entity.VERZORGER, "x", achternaam="Ander")
    made.sync("s1")
    family(made, "s0", OUDER)
    made.sync("s0")
    older, younger = made.core(Entity.LEERLING, "l-s1", "s1"), made.core(Entity.LEERLING, "l-s0")
    assert older < younger
    family(made, "s1", OUDER)  # and now s1 says whose number its pupil has
    made.sync("s1")
    assert made.query("SELECT core_id, survivor_id FROM alias") == [(younger, older)]
    assert made.cases() == [("s1", "verzorger", "o-s1", "score")]


def test_while_a_child_is_in_doubt_so_is_its_guardian(made: Bench) -> None:
    born = {"achternaam": "Jansen", "geboortedatum": "2012-03-04"}
    for name, source in made.sources.items():
        family(made, name, OUDER)
        source.put(Entity.LEERLING, f"l-{name}", **born)
        made.sync(name)
    doubts = [("s1", "leerling", "l-s1", "score"), ("s1", "verzorger", "o-s1", "score")]
    assert made.cases() == doubts
    with made.hub.store.work() as work:  # a person says that the child is another
        work.execute(
            "INSERT INTO decision (kind, koppeling_id, entity, source_key, operator, why, "
            "created_at) VALUES ('create', 2, 'leerling', 'l-s1', 't', 't', ?)",
            (made.clock.now(),),
        )
    made.sync("s1")
    assert not made.cases()
    assert (guardians(made), len(made.query("SELECT id FROM verzorger_relatie"))) == (2, 2)


def test_many_guardians_are_compared_in_batches(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookalikes, "BATCH", 2)
    monkeypatch.setattr(correlate, "BATCH", 2)
    for name, source in made.sources.items():
        for number in range(7):
            eck = f"https://ketenid.nl/pilot/{str(number) * 128}"
            source.put(Entity.LEERLING, f"l{number}-{name}", achternaam="Kind", eck_id=eck)
            contact = f"o{number}@thuis.example"
            key = f"o{number}-{name}"
            source.put(Entity.VERZORGER, key, achternaam="Jansen", email=contact)
            relation = {"verzorger": key, "leerling": f"l{number}-{name}"}
            source.put(Entity.VERZORGER_RELATIE, f"r{number}-{name}", **relation)
        made.sync(name)
    assert made.cases() == [("s1", "verzorger", f"o{n}-s1", "score") for n in range(7)]
    candidates = made.query("SELECT source_key, detail FROM zaak ORDER BY source_key")
    for number, (_, detail) in enumerate(candidates):
        assert f'"core_id":{made.core(Entity.VERZORGER, f"o{number}-s0")},' in detail


# -- staff -----------------------------------------------------------------------------------------


def employed(made: Bench, one: dict[str, Any], other: dict[str, Any]) -> int:
    """How many medewerkers there are when each of two sources has one."""
    made.sources["s0"].put(Entity.MEDEWERKER, "a", **one)
    made.sources["s1"].put(Entity.MEDEWERKER, "b", **other)
    made.sync("s0")
    made.sync("s1")
    return len(made.query("SELECT id FROM medewerker"))


def test_staff_that_look_the_same_are_a_case_and_never_a_link(made: Bench) -> None:
    assert employed(made, STAFF, STAFF) == 1
    assert made.cases() == [("s1", "medewerker", "b", "score")]
    detail = made.query("SELECT detail FROM zaak")[0][0]
    assert '"agrees":["geboortedatum","achternaam","roepnaam"]' in detail
    groep: dict[str, Any] = {"naam": "1A", "soort": "stamgroep", "docenten": ["b"]}
    made.sources["s1"].put(Entity.GROEP, "g", **groep)
    made.sync("s1")
    assert not made.query("SELECT id FROM groepsdeelname")  # kept open until it is decided
    made.sources["s1"].put(Entity.MEDEWERKER, "b", **{**STAFF, "geboortedatum": "1981-02-03"})
    made.sync("s1")
    assert not made.cases()
    members = made.query("SELECT persoon_id FROM groepsdeelname")
    assert members == [(made.core(Entity.MEDEWERKER, "b", "s1"),)]


@pytest.mark.parametrize(
    ("change", "cores", "doubt"),
    [
        ({"achternaam": "Smidt"}, 1, True),
        ({"roepnaam": None}, 1, True),
        ({"roepnaam": "Piet"}, 2, False),
        ({"achternaam": "Visser"}, 2, False),
        ({"geboortedatum": "1980-01-02"}, 2, False),
        ({"geboortedatum": None}, 2, False),
    ],
)
def test_what_makes_staff_alike(
    made: Bench, change: dict[str, Any], cores: int, *, doubt: bool
) -> None:
    assert employed(made, STAFF, STAFF | change) == cores
    assert bool(made.cases()) is doubt


def test_an_exact_key_answers_before_looks(made: Bench) -> None:
    assert employed(made, STAFF | {"eck_id": ECK}, STAFF | {"eck_id": ECK}) == 1
    assert not made.cases()
