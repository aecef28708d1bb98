"""One overview of all that waits, and what to type for each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.clock import local_date, local_minute
from mappings.canonical.fields import Entity
from sync_engine import pins
from sync_engine.find import hub_key
from sync_engine.runs import Kind
from sync_engine.store.engine import Store
from sync_engine.store.values import instant
from tests.support.desk import Desk, desk_of
from tests.support.hubs import START, bench

FEW = {"close": {"share": None, "number": 3, "floor": 0}}


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[Desk]:
    """Two sources on each database, with eight pupils that nothing is wrong with."""
    made = bench(store, tmp_path, sources=2)
    made.policy(guards=FEW)
    for number in range(8):
        made.sources["s0"].put(Entity.LEERLING, f"l{number}", achternaam=f"Naam{number}")
    made.sources["s1"].put(Entity.VAK, "v", naam="Nederlands")
    made.sync("s0")
    made.sync("s1")
    with desk_of(made) as found:
        yield found
    made.close()


def items(desk: Desk, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk("todo", *options, "--json").data["items"]
    return found


def test_where_nothing_waits_it_says_so(desk: Desk) -> None:
    assert desk("todo").out == "Er wacht niets.\n"
    assert desk("todo", "--json").data == {"counts": {}, "items": []}


def test_a_held_plan_is_there_with_its_reason_until_it_is_approved(desk: Desk) -> None:
    for number in range(3):
        desk.bench.sources["s0"].remove(Entity.LEERLING, f"l{number}")
    desk.bench.settle("s0", rounds=2)
    plan = desk.bench.reports[-1].plan_id
    (item, *rest) = items(desk)
    assert (item["kind"], item["koppeling"]) == ("plan", "s0")
    assert "3 wijzigingen wachten" in item["what"]
    assert item["command"] == f"koppelhub plan show {plan}"
    assert not [other for other in rest if other["kind"] == "plan"]
    assert desk("plan", "approve", str(plan), "--yes").code == 0
    assert not [item for item in items(desk) if item["kind"] == "plan"]


def test_cases_and_quarantine_are_counted_each_with_its_command(desk: Desk) -> None:
    born: Any = {"achternaam": "Canarie", "roepnaam": "Noor", "geboortedatum": "2012-03-04"}
    desk.bench.sources["s0"].put(Entity.LEERLING, "a", **born)
    desk.bench.sources["s0"].put(Entity.LEERLING, "k", achternaam="Kapot", kapot=True)
    desk.bench.sync("s0")
    desk.bench.sources["s1"].put(Entity.LEERLING, "x", **born)
    desk.bench.sync("s1")
    found = {(item["kind"], item["koppeling"]): item for item in items(desk)}
    assert found["quarantine", "s0"]["command"] == "koppelhub quarantine list --source s0"
    case = found["case", "s1"]
    assert case["count"] == 1
    assert desk(*case["command"].split()[1:]).code == 0
    assert desk("todo", "--json").data["counts"] == {"case": 1, "quarantine": 1}
    assert {item["koppeling"] for item in items(desk, "--source", "s1")} == {"s1"}
    assert "Canarie" not in desk("todo").out


def test_a_run_that_failed_and_a_part_that_shrank_are_told(desk: Desk) -> None:
    source = desk.bench.sources["s0"]
    for number in range(1, 8):
        source.remove(Entity.LEERLING, f"l{number}")
    desk.bench.sync("s0")
    (shrunk,) = (item for item in items(desk) if item["kind"] == "event")
    assert "veel minder" in shrunk["what"]
    assert shrunk["command"].startswith("koppelhub run show ")
    for entity in Entity:
        source.faults[str(entity), "hoofd"] = "error"
    desk.bench.sync("s0")
    (failed,) = (item for item in items(desk) if item["kind"] == "run")
    assert "laatste run mislukt" in failed["what"]


def test_an_act_that_could_not_be_done_is_no_run_that_failed(desk: Desk) -> None:
    desk.bench.sync("s0", dry=True)
    refused = desk("run", "undo", str(desk.bench.reports[-1].run_id), "--yes")
    assert "niets om ongedaan te maken" in refused.out + refused.err  # he was told, there and then
    assert [item for item in items(desk) if item["kind"] == "run"] == []


def test_pins_that_end_soon_or_no_longer_differ_are_told(desk: Desk) -> None:
    made = desk.bench
    person: Any = {"entity": Entity.LEERLING, "reason": "test", "operator": "test"}
    today = local_date(made.clock.now())
    cores = [made.core(Entity.LEERLING, f"l{number}") for number in range(3)]
    pins.pin(made.hub, cores[0], field="roepnaam", value="X", **person)
    until = today + timedelta(days=5)
    soon = pins.pin(made.hub, cores[1], field="roepnaam", value="Y", until=until, **person)
    idle = pins.pin(made.hub, cores[2], field="achternaam", value="Naam2", **person)
    made.sync("s0")
    found = {item["command"]: item["what"] for item in items(desk)}
    assert set(found) == {f"koppelhub pin lift {soon}", f"koppelhub pin lift {idle}"}
    assert "houdt op" in found[f"koppelhub pin lift {soon}"]
    assert hub_key(cores[2]) in found[f"koppelhub pin lift {idle}"]
    assert items(desk, "--source", "s1") == []


def test_what_was_refused_is_counted(desk: Desk) -> None:
    with desk.bench.hub.store.work() as work:
        work.execute("UPDATE shadow SET refused_fp = received_fp WHERE source_key = 'l1'")
    (item,) = items(desk)
    assert (item["kind"], item["count"]) == ("refused", 1)


def test_it_looks_at_the_school_that_is_asked_for(desk: Desk) -> None:
    assert desk("todo", "--school", "99XX").code == 0
    wrong = desk("todo", "--school", "99XY")
    assert (wrong.code, "99XX" in wrong.err) == (2, True)


def test_a_plan_waits_until_the_time_on_the_clock_of_the_schools(desk: Desk) -> None:
    for number in range(3):
        desk.bench.sources["s0"].remove(Entity.LEERLING, f"l{number}")
    desk.bench.settle("s0", rounds=2)
    plan = desk("plan", "list", "--json").data[0]
    until = local_minute(instant(plan["expires_at"]))
    assert until != plan["expires_at"][:16]
    assert f"wachten tot {until}" in items(desk)[0]["what"]
    assert until in desk("plan", "list").out
    assert f"geldig tot {until}" in desk("plan", "show", str(plan["id"])).out


def test_what_is_refused_or_in_quarantine_waits_since_a_day(desk: Desk) -> None:
    made = desk.bench
    made.sources["s0"].put(Entity.LEERLING, "l0", achternaam="Anders")
    run = made.sync("s0").run_id
    made.later(48)
    made.sources["s1"].put(Entity.VAK, "w", kapot=True)
    made.sync("s1")
    made.later(24)
    made.sync("s0", kind=Kind.UNDO, undone=run, operator="balie")
    made.settle("s0", "s1", rounds=2)
    found = {item["kind"]: item for item in items(desk)}
    assert found["quarantine"]["what"] == "1 record kan niet gelezen worden"
    assert instant(found["quarantine"]["since"]) == START + timedelta(days=2)
    assert found["refused"]["what"].startswith("van 1 record is wat de bron zegt ")
    assert instant(found["refused"]["since"]) == START + timedelta(days=3)
    told = desk("todo").out
    for day in (START + timedelta(days=2), START + timedelta(days=3)):
        assert local_date(day).isoformat() in told
