"""What the helpdesk does on pages: read now, try again, take back, find, a file for a school."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fixtures.school.keys import synthetic_eckid
from mappings.canonical.fields import Entity
from sync_engine.actor import Actor
from sync_engine.current import Current
from sync_engine.options import Kind
from sync_engine.store.engine import Store
from tests.support.clockwork import Hands
from tests.support.hubs import Bench
from tests.support.people import enrol
from tests.support.pseudonyms import Facility, pseudo_bench
from tests.support.seat import Visitor, seated_house
from tests.unit.web.conftest import JAN, PETRA, Visit, trail
from web.pages.desk import House


@dataclass
class Served:
    """Pages of a process that carries out what they ask for, when a test says so."""

    desk: Visitor
    hands: Hands = field(default_factory=Hands)


@pytest.fixture
def served(one: Bench) -> Iterator[Served]:
    hands = Hands()
    with seated_house(House(Current(one.hub), dispatcher=hands), PETRA) as desk:
        yield Served(desk, hands)


def school(made: Bench) -> None:
    made.sources["s0"].put(
        Entity.LEERLING,
        "a",
        achternaam="Jansen",
        roepnaam="Kim",
        geboortedatum="2012-03-04",
        leerlingnummer="1001",
        bsn="999990019",
    )
    made.sync()


def test_a_koppeling_is_read_when_a_person_asks_and_the_page_waits_for_it(
    one: Bench, served: Served
) -> None:
    school(one)
    assert "Lees nu" in served.desk.sees("/koppelingen/s0")
    answer = served.desk.does("/koppelingen/s0/lees")
    assert answer.headers["location"] == "/koppelingen/s0?na=1"
    page = served.desk.sees("/koppelingen/s0?na=1")
    assert 'http-equiv="refresh"' in page
    assert "Lees nu" not in page
    assert [key.kind for key in served.hands.work(one.hub)] == ["hand"]
    page = served.desk.sees("/koppelingen/s0?na=1")
    assert 'http-equiv="refresh"' not in page
    assert one.query("SELECT operator, kind, state FROM run WHERE id = 2") == [
        ("petra", "full", "done")
    ]
    assert ("petra", "sync", "koppeling s0", "10.0.0.4") in trail(one)
    served.desk.seat.actor = JAN
    served.desk.does("/koppelingen/s0/lees", status=403)
    assert served.hands.held == []


def test_where_nobody_carries_out_runs_the_page_says_what_to_do(one: Bench, seated: Visit) -> None:
    school(one)
    answer = seated(one).does("/koppelingen/s0/lees", status=409)
    assert "koppelhub sync --source s0" in answer.text
    assert one.query("SELECT COUNT(*) FROM run") == [(1,)]


def test_the_quarantine_is_tried_again(one: Bench, seated: Visit) -> None:
    desk = seated(one)
    school(one)
    assert "niets in quarantaine" in desk.does("/koppelingen/s0/quarantaine", status=409).text
    one.sources["s0"].put(Entity.LEERLING, "b", achternaam=None)
    one.sync()
    assert "Probeer de quarantaine opnieuw" in desk.sees("/koppelingen/s0")
    assert "Probeer de quarantaine opnieuw" in desk.sees("/quarantaine?koppeling=s0")
    answer = desk.does("/koppelingen/s0/quarantaine")
    assert "opnieuw vertaald" in desk.sees(answer.headers["location"])
    assert ("petra", "quarantine retry", "koppeling s0", "10.0.0.4") in trail(one)


def test_a_decision_is_taken_back_after_a_look(two: Bench, seated: Visit) -> None:
    for name in ("s0", "s1"):
        two.sources[name].put(
            Entity.LEERLING, "a", achternaam="Jansen", roepnaam="Kim", geboortedatum="2012-03-04"
        )
        two.sync(name)
    ((case,),) = two.query("SELECT id FROM zaak WHERE state = 'open'")
    desk = seated(two)
    choice = re.findall(r'name="choice" value="(create[^"]*)"', desk.sees(f"/zaken/{case}"))[0]
    answer = desk.does(f"/zaken/{case}/beslissen", choice=choice)
    plan = answer.headers["location"]
    (shown,) = set(re.findall(r'name="shown" value="(\w+)"', desk.sees(plan)))
    desk.does(f"{plan}/goedkeuren", shown=shown, why="een ander")
    assert two.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    page = desk.sees("/besluiten")
    assert "een ander" in page
    (path,) = re.findall(r'action="(/besluiten/\d+/terugnemen)"', page)
    plan = desk.does(path).headers["location"]
    assert two.query("SELECT COUNT(*) FROM decision WHERE lifted_at IS NULL") == [(1,)]
    (shown,) = set(re.findall(r'name="shown" value="(\w+)"', desk.sees(plan)))
    desk.does(f"{plan}/goedkeuren", shown=shown, why="toch niet")
    assert two.query("SELECT COUNT(*) FROM decision WHERE lifted_at IS NULL") == [(0,)]
    assert "Er is nog niets beslist" in desk.sees("/besluiten")
    assert "teruggenomen" in desk.sees("/besluiten?alle=1")
    desk.does("/besluiten/99/terugnemen", status=409)
    desk.seat.actor = JAN
    desk.does(path, status=403)


def test_a_pupil_is_found_without_his_number_on_the_page(one: Bench, seated: Visit) -> None:
    school(one)
    desk = seated(one, JAN)
    key = f"K-{one.core(Entity.LEERLING, 'a')}"
    for text in ("kim jansen 4-3-2012", "1001"):
        page = desk.does("/zoek", status=200, tekst=text).text
        assert "Jansen" in page
        assert key in page
        assert "999990019" not in page
        assert text not in page  # what was typed stands nowhere
    assert "Niemand gevonden" in desk.does("/zoek", status=200, tekst="bestaat niet").text
    noted = [line for line in trail(one) if line[1] == "search"]
    assert len(noted) == 3
    assert "jansen" not in repr(noted).lower()
    desk.seat.actor = Actor("noor", JAN.role, frozenset({"elders"}))
    assert "Niemand gevonden" in desk.does("/zoek", status=200, tekst="kim jansen 4-3-2012").text


def test_what_a_school_can_mend_is_a_file_with_its_own_numbers(one: Bench, seated: Visit) -> None:
    school(one)
    one.sources["s0"].put(Entity.LEERLING, "=b", achternaam=None)
    one.sync()
    desk = seated(one)
    assert "Wat de school kan verbeteren" in desk.sees("/scholen/99XX")
    answer = desk.does("/scholen/99XX/weekbericht", status=200)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert 'filename="weekbericht-99XX-' in answer.headers["content-disposition"]
    head, *found = csv.reader(answer.content.decode("utf-8-sig").splitlines(), delimiter=";")
    assert head[0] == "waarom"
    by_key = {line[3]: line for line in found}
    assert by_key["a"][0] == "geen ECK iD"
    assert by_key["a"][4] == "1001"
    assert "'=b" in by_key  # no formula
    assert ("petra", "report weekly", "school 99XX", "10.0.0.4") in trail(one)
    desk.seat.actor = JAN
    desk.does("/scholen/99XX/weekbericht", status=403)
    assert one.query("SELECT kind FROM run ORDER BY id")[-1] == (str(Kind.FULL),)
    desk.seat.actor = replace(PETRA, tenants=frozenset({"elders"}))
    desk.does("/scholen/99XX/weekbericht", status=409)


def test_a_school_page_says_who_has_no_eck_id(
    sqlite_store: Store, tmp_path: Path, seated: Visit
) -> None:
    made = pseudo_bench(sqlite_store, tmp_path, Facility())
    las = made.sources["las"]
    enrol(las, "a", eck_id=synthetic_eckid(1, 1))
    enrol(las, "b")
    made.sync("las")
    page = " ".join(seated(made).sees("/scholen/99XX").split())
    assert "ECK iD: van 2 leerlingen heeft 1 er geen." in page
    assert "koppelhub eckid status --school 99XX" in page
    enrol(las, "b", eck_id=synthetic_eckid(1, 2))
    made.later()
    made.sync("las")
    page = " ".join(seated(made).sees("/scholen/99XX").split())
    assert "ECK iD: van 2 leerlingen heeft ieder er een." in page
    made.close()


def test_a_school_of_which_nothing_is_obtained_hears_nothing_of_it(
    one: Bench, seated: Visit
) -> None:
    assert "ECK iD:" not in seated(one).sees("/scholen/99XX")
