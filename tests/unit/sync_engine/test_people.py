"""Who is at a school, and whose PGN may be handed out for what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.stores import People, Pupil
from mappings.canonical.fields import Entity
from sync_engine import people as people_module
from sync_engine.actor import Actor
from sync_engine.hubkeys import hub_key
from sync_engine.options import Decision, Kind, Verdict
from sync_engine.rotation import rotate
from sync_engine.store.engine import Store
from tests.support.hubs import Bench
from tests.support.people import (
    HAVO,
    VMBO,
    bsn,
    enrol,
    onderwijsnummer,
    people_bench,
)


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    found = people_bench(store, tmp_path)
    yield found
    found.close()


def people(made: Bench) -> People:
    return made.hub.people(made.hub.source("eck"))


def at(made: Bench, vestiging: str = VMBO) -> dict[str, Pupil]:
    """Source key at `las` → the pupil."""
    keys: dict[int, str] = dict(
        made.query(
            "SELECT l.core_id, l.source_key FROM link l JOIN koppeling k ON k.id = l.koppeling_id "
            "WHERE l.entity = 'leerling' ORDER BY k.name DESC"
        )
    )
    return {keys[pupil.number]: pupil for pupil in people(made).pupils(vestiging)}


def looks(made: Bench) -> list[tuple[str, str, str]]:
    return [
        (row[0], row[1], row[2])
        for row in made.query(
            "SELECT operator, subject, why FROM audit WHERE action = 'pgn' ORDER BY id"
        )
    ]


def test_places_are_the_vestigingen_with_the_brin_of_their_instelling(made: Bench) -> None:
    made.sync("las")
    made.sync("anders")  # the same vestigingen, told twice
    assert [(p.vestiging, p.brin, p.name) for p in people(made).places()] == [
        (VMBO, "99XX", f"Naam {VMBO}"),
        (HAVO, "99XX", f"Naam {HAVO}"),
    ]


def test_pupils_are_those_who_are_or_were_at_the_vestiging(made: Bench) -> None:
    las = made.sources["las"]
    enrol(las, "nu", bsn=str(bsn(1).reveal()))
    enrol(las, "weg", last="2026-08-01")
    enrol(las, "straks_weg", last="2027-08-01")
    enrol(las, "weg_en_terug", last="2025-12-01")
    enrol(las, "weg_en_terug", first="2026-01-01", number="b")
    enrol(las, "nooit", first="2026-08-01", last="2026-08-01")
    enrol(las, "elders", HAVO)
    enrol(las, "beide", HAVO, last="2026-01-01")
    enrol(las, "beide", VMBO, first="2026-01-01")
    made.sync("las")
    there = at(made)
    assert {key: pupil.until for key, pupil in there.items()} == {
        "nu": None,
        "weg": date(2026, 7, 31),
        "straks_weg": None,
        "weg_en_terug": None,
        "beide": None,
    }
    assert {k: p.until for k, p in at(made, HAVO).items()} == {
        "elders": None,
        "beide": date(2025, 12, 31),
    }
    assert [p.number for p in there.values()] == sorted(p.number for p in there.values())
    assert all(p.key == hub_key(p.number) for p in there.values())
    assert at(made, "99XX09") == {}


@pytest.mark.assumed("eckid-pgn")
def test_a_bsn_goes_before_an_onderwijsnummer(made: Bench) -> None:
    las = made.sources["las"]
    enrol(las, "bsn", bsn=bsn(1).reveal())
    enrol(las, "beide", bsn=bsn(2).reveal(), onderwijsnummer=onderwijsnummer(2).reveal())
    enrol(las, "oud", onderwijsnummer=onderwijsnummer(3).reveal())
    enrol(las, "geen")
    made.sync("las")
    assert {key: pupil.pgn for key, pupil in at(made).items()} == {
        "bsn": bsn(1),
        "beide": bsn(2),
        "oud": onderwijsnummer(3),
        "geen": None,
    }


def test_what_another_purpose_brought_is_not_used(made: Bench) -> None:
    enrol(made.sources["las"], "a", onderwijsnummer=onderwijsnummer(1).reveal())
    enrol(made.sources["las"], "b", bsn=bsn(2).reveal())
    enrol(
        made.sources["anders"],
        "a",
        onderwijsnummer=onderwijsnummer(1).reveal(),
        bsn=bsn(1).reveal(),
    )
    enrol(made.sources["anders"], "c", bsn=bsn(3).reveal())
    made.sync("las")
    made.sync("anders")
    made.settle("las", "anders")
    assert made.core(Entity.LEERLING, "a", "anders") == made.core(Entity.LEERLING, "a", "las")
    # he has a BSN, and nobody may use it: the onderwijsnummer is not his PGN
    assert {key: pupil.pgn for key, pupil in at(made).items()} == {
        "a": None,
        "b": bsn(2),
        "c": None,
    }


def test_a_number_that_only_another_purpose_brought_is_not_used(made: Bench) -> None:
    """A person decided that it is one leerling, of whom two sources tell two numbers."""
    enrol(made.sources["las"], "a", bsn=bsn(1).reveal())
    made.sync("las")
    core = made.core(Entity.LEERLING, "a", "las")
    assert at(made)["a"].pgn == bsn(1)
    enrol(made.sources["anders"], "a", bsn=bsn(2).reveal())
    made.sync("anders")
    decision = Decision(Verdict.LINK, Entity.LEERLING, "a", core_id=core)
    made.sync("anders", kind=Kind.DECIDE, decision=decision, operator="els", why="dezelfde")
    made.settle("las", "anders")
    assert made.identifiers()[core, "bsn", 0] == bsn(2).reveal(), "the first by name is believed"
    assert [p.pgn for p in people(made).pupils(VMBO, keys=[hub_key(core)])] == [None]


def test_who_asks_without_the_purpose_gets_nobodys_number(store: Store, tmp_path: Path) -> None:
    made = people_bench(store, tmp_path, purpose="")
    enrol(made.sources["las"], "a", bsn=bsn(1).reveal())
    made.sync("las")
    assert [pupil.pgn for pupil in people(made).pupils(VMBO)] == [None]
    assert looks(made) == []
    made.close()


def test_only_the_pupils_who_are_asked_for(made: Bench) -> None:
    for number, key in enumerate("abc"):
        enrol(made.sources["las"], key, bsn=bsn(number).reveal())
    made.sync("las")
    every = at(made)
    wanted = [every["c"].key, every["a"].key, "K-ZZZZ", "onzin"]
    assert list(people(made).pupils(VMBO, keys=wanted)) == [every["a"], every["c"]]
    assert list(people(made).pupils(VMBO, keys=[])) == []


def test_who_was_merged_comes_once_under_the_older_number(made: Bench) -> None:
    las = made.sources["las"]
    enrol(las, "a", bsn=bsn(1).reveal())
    enrol(las, "b", HAVO)
    made.sync("las")
    older, younger = sorted(made.core(Entity.LEERLING, key, "las") for key in "ab")
    decision = Decision(Verdict.MERGE, Entity.LEERLING, core_id=older, other=younger)
    report = made.sync("las", kind=Kind.DECIDE, decision=decision, operator="els", why="dubbel")
    assert report.error == ""
    for vestiging in (VMBO, HAVO):
        (pupil,) = people(made).pupils(vestiging)
        assert pupil.number == older
    (pupil,) = people(made).pupils(VMBO, keys=[hub_key(younger)])
    assert pupil.number == older


def test_a_look_at_pgns_is_one_line_of_the_audit_trail(made: Bench) -> None:
    las = made.sources["las"]
    for number in range(7):
        enrol(las, f"l{number}", bsn=bsn(number).reveal())
    enrol(las, "zonder")
    enrol(las, "elders", HAVO, bsn=bsn(9).reveal())
    made.sync("las")
    list(people(made).pupils(VMBO))
    assert looks(made) == [("system", "koppeling eck", f"eckid, {VMBO}: 7 of 8 PGN")]
    (elders,) = people(made).pupils(HAVO)
    assert looks(made)[-1][2] == f"eckid, {HAVO}: 1 of 1 PGN: {elders.key}"
    digits = {bsn(number).reveal() for number in range(10)}
    assert not any(number in "".join(line) for line in looks(made) for number in digits)


def test_a_look_that_is_broken_off_is_in_the_trail_too(made: Bench) -> None:
    for number in range(3):
        enrol(made.sources["las"], f"l{number}", bsn=bsn(number).reveal())
    made.sync("las")
    pupils = people(made).pupils(VMBO)
    next(pupils)
    assert isinstance(pupils, Iterator)
    pupils.close()  # type: ignore[attr-defined] # a generator
    ((_, _, why),) = looks(made)
    assert why.startswith(f"eckid, {VMBO}: 3 of 3 PGN: K-")


def test_a_person_who_looks_is_named(made: Bench) -> None:
    enrol(made.sources["las"], "a", bsn=bsn(1).reveal())
    made.sync("las")
    made.hub = replace(made.hub, actor=Actor("els"))
    list(people(made).pupils(VMBO))
    assert [line[0] for line in looks(made)] == ["els"]


def test_a_school_of_any_size_is_read_in_parts(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_module, "_PUPILS", people_module._PUPILS.replace("500", "2"))
    for number in range(5):
        enrol(made.sources["las"], f"l{number}", bsn=bsn(number).reveal())
    made.sync("las")
    assert sorted(pupil.pgn.reveal() for pupil in people(made).pupils(VMBO) if pupil.pgn) == sorted(
        bsn(number).reveal() for number in range(5)
    )
    assert len(looks(made)) == 1


def test_a_number_is_in_no_representation(made: Bench) -> None:
    enrol(made.sources["las"], "a", bsn=bsn(1).reveal())
    made.sync("las")
    (pupil,) = people(made).pupils(VMBO)
    assert bsn(1).reveal() not in f"{pupil!r} {pupil} {pupil.pgn!r}"


def test_a_mark_is_equal_for_equal_texts_and_stays_when_keys_are_rotated(made: Bench) -> None:
    asked = people(made)
    mark = asked.mark("123456782")
    assert (len(mark), asked.mark("123456782"), asked.mark("123456783") == mark) == (
        32,
        mark,
        False,
    )
    rotate(made.hub, operator="els")
    assert people(made).mark("123456782") == mark


def test_teachers_have_an_address_and_a_place(made: Bench) -> None:
    las = made.sources["las"]
    persons: dict[str, dict[str, Any]] = {
        "hier": {"email": "hier@school.example", "hoofdvestiging": VMBO, "is_docent": True},
        "weg": {
            "email": "weg@school.example",
            "hoofdvestiging": VMBO,
            "is_docent": True,
            "geldig_tot": "2026-08-01",
        },
        "conciërge": {"email": "c@school.example", "hoofdvestiging": VMBO, "is_docent": False},
        "zonder": {"hoofdvestiging": VMBO, "is_docent": True},
        "geeft_les": {"email": "les@school.example", "hoofdvestiging": HAVO, "is_docent": True},
    }
    for key, values in persons.items():
        las.put(Entity.MEDEWERKER, key, achternaam=key, **values)
    las.put(
        Entity.GROEP,
        "g",
        naam="1a",
        soort="lesgroep",
        schooljaar="2026-2027",
        vestiging=VMBO,
        docenten=["geeft_les"],
    )
    made.sync("las")
    found = list(people(made).teachers(VMBO))
    assert [t.number for t in found] == sorted(t.number for t in found)
    assert {(t.email, t.brin, t.until) for t in found} == {
        ("hier@school.example", "99XX", None),
        ("weg@school.example", "99XX", date(2026, 7, 31)),
        ("les@school.example", "99XX", None),
    }
    assert [t.email for t in people(made).teachers(HAVO)] == ["les@school.example"]
    assert list(people(made).teachers(VMBO, keys=[found[0].key])) == [found[0]]
    assert "@" not in repr(found[0])
