"""Pins as the helpdesk uses them: shown first, carried out at once, listed, and reported idle."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigurationError
from config.operators import Role
from mappings.canonical.fields import Entity
from mappings.mapping import Strength
from sync_engine import pins
from sync_engine.actor import Actor
from sync_engine.drift import drift
from sync_engine.errors import NoRightError, SyncError
from sync_engine.fold import Json
from sync_engine.history import explain_record
from sync_engine.options import Options
from sync_engine.outcome import RunReport
from sync_engine.pinned import PinRow, Preview, carry_out, list_pins, preview, read_value
from sync_engine.plans import read_plan
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from tests.support.hubs import Bench, bench
from tests.support.memory import MemoryMapping, MemorySource
from tests.unit.sync_engine.conftest import Make

LEERLING = Entity.LEERLING


def pupil(made: Bench, name: str = "Jan") -> int:
    made.sources["s0"].put(LEERLING, "l", achternaam="Jansen", roepnaam=name)
    made.sync()
    return made.core(LEERLING, "l")


def fix(made: Bench, core: int, value: Json, until: date | None = None) -> RunReport | None:
    pins.pin(
        made.hub,
        core,
        entity=LEERLING,
        field="roepnaam",
        value=value,
        reason="volgens de ouders",
        operator="balie",
        until=until,
    )
    return carry_out(made.hub, LEERLING, core, operator="balie")


def seen_first(made: Bench, core: int) -> Preview:
    return preview(made.hub, LEERLING, core, field="roepnaam", value="Johan", operator="balie")


def listed(made: Bench, **options: Any) -> list[PinRow]:
    return list_pins(made.hub, operator="balie", **options)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("roepnaam", " Johan ", "Johan"),
        ("roepnaam", "", None),
        ("geboortedatum", "4-3-2012", "2012-03-04"),
        ("geboortedatum", "2012-03-04", "2012-03-04"),
        ("adres_geheim", "ja", True),
        (
            "adres",
            "Dorpsstraat 12 a, 1234 AB Ons Dorp",
            {
                "straat": "Dorpsstraat",
                "huisnummer": "12",
                "toevoeging": "a",
                "postcode": "1234 AB",
                "woonplaats": "Ons Dorp",
            },
        ),
    ],
)
def test_a_value_is_read_as_people_type_it(field: str, text: str, value: Json) -> None:
    found = read_value(LEERLING, field, text)
    if isinstance(found, dict):
        found = {name: part for name, part in found.items() if part is not None}
    assert found == value


@pytest.mark.parametrize(
    ("field", "text"), [("geboortedatum", "31-2-2012"), ("adres_geheim", "misschien")]
)
def test_what_the_field_cannot_be_is_refused(field: str, text: str) -> None:
    with pytest.raises(ConfigurationError):
        read_value(LEERLING, field, text)


def test_a_field_that_is_misspelled_names_the_nearest() -> None:
    with pytest.raises(SyncError) as caught:
        read_value(LEERLING, "roepnam", "Jan")
    assert "Bedoelt u roepnaam" in caught.value.advice


def test_a_pin_is_carried_out_at_once_and_reads_nothing(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path)
    core = pupil(made)
    made.sources["s0"].said.clear()
    report = fix(made, core, "Johan")
    assert report is not None
    assert (report.applied, report.readings) == ({"leerling.change": 1}, [])
    assert made.query("SELECT roepnaam FROM leerling") == [("Johan",)]
    assert not made.sources["s0"].said
    assert made.sync().steps == {}
    made.close()


def test_only_what_was_pinned_is_changed_by_it(make: Make) -> None:
    made = make()
    core = pupil(made)
    source = made.sources["s0"]
    source.put(LEERLING, "wacht", achternaam="Nieuw")
    made.sync(plan_only=True)
    report = fix(made, core, "Johan")
    assert report is not None
    assert report.applied == {"leerling.change": 1}
    assert len(made.query("SELECT id FROM leerling")) == 1
    made.sync()
    assert len(made.query("SELECT id FROM leerling")) == 2


def test_what_waits_of_the_same_record_goes_on_waiting(make: Make) -> None:
    made = make()
    core = pupil(made)
    made.sources["s0"].put(LEERLING, "l", achternaam="Wacht", roepnaam="Jan")
    made.sync(plan_only=True)
    fix(made, core, "Johan")
    assert made.query("SELECT achternaam, roepnaam FROM leerling") == [("Jansen", "Johan")]


def test_a_pin_closes_no_case(make: Make) -> None:
    made = make(2)
    core = pupil(made)
    for number in (1, 2):
        made.sources["s1"].put(
            LEERLING, f"x{number}", achternaam="De", geboortedatum="2010-01-01", roepnaam="Een"
        )
    made.sources["s0"].put(
        LEERLING, "y", achternaam="De", geboortedatum="2010-01-01", roepnaam="Een"
    )
    made.sync("s1")
    made.sync("s0")
    before = made.cases()
    assert before
    fix(made, core, "Johan")
    assert made.cases() == before


def test_while_a_run_is_under_way_the_pin_waits_for_the_next(make: Make) -> None:
    made = make()
    core = pupil(made)
    row = made.hub.koppeling("s0")
    with made.hub.store.work() as work, lease(made.hub.store, f"koppeling-{row.id}", on=work):
        assert fix(made, core, "Johan") is None
    made.sync()
    assert made.query("SELECT roepnaam FROM leerling") == [("Johan",)]


def test_what_a_pin_would_do_is_shown_with_what_the_source_says(make: Make) -> None:
    made = make()
    seen = seen_first(made, pupil(made))
    assert (seen.now, seen.new, seen.sources, seen.insisted_by) == (
        "Jan",
        "Johan",
        {"s0": "Jan"},
        "",
    )


def test_a_source_that_insists_is_named_before_the_pin_is_set(make: Make) -> None:
    made = make(
        {"s0": MemorySource(tuple(Entity))},
        mappings=(MemoryMapping("memory", {LEERLING: {"roepnaam": Strength.STRONG}}),),
    )
    core = pupil(made)
    assert seen_first(made, core).insisted_by == "s0"
    fix(made, core, "Johan")
    (row,) = listed(made)
    assert not row.counts
    told = explain_record(made.hub, LEERLING, core, field="roepnaam", operator="balie")
    assert "telt niet: s0 staat op zijn veld" in told.fields[0].changes_when


def test_the_list_has_the_pin_and_what_the_source_says(make: Make) -> None:
    made = make()
    fix(made, pupil(made), "Johan", date(2026, 12, 31))
    (row,) = listed(made)
    assert (row.value, row.sources, row.until, row.idle) == (
        "Johan",
        {"s0": "Jan"},
        "2026-12-31",
        False,
    )
    assert (row.reason, row.operator, row.counts) == ("volgens de ouders", "balie", True)


def test_a_pin_that_no_longer_differs_is_idle(make: Make) -> None:
    made = make()
    fix(made, pupil(made), "Johan")
    assert listed(made, idle=True) == []
    pupil(made, "Johan")
    assert [row.field for row in listed(made, idle=True)] == ["roepnaam"]


def test_pins_that_end_soon_are_listed_by_how_soon(make: Make) -> None:
    made = make()
    fix(made, pupil(made), "Johan", date(2026, 10, 12))
    assert len(listed(made, expiring=7)) == 1
    assert listed(made, expiring=6) == []


def test_pins_are_listed_by_school(make: Make) -> None:
    source = MemorySource(tuple(Entity), brins={"hoofd": ("99XX00", "99XX")})
    made = make({"s0": source})
    fix(made, pupil(made), "Johan")
    assert len(listed(made, school="99XX")) == len(listed(made, school="99xx00")) == 1
    assert listed(made, school="99XX01") == []


def test_lifted_it_is_gone_from_list_and_core(make: Make) -> None:
    made = make()
    core = pupil(made)
    fix(made, core, "Johan")
    (row,) = listed(made)
    pins.lift(made.hub, row.id, operator="balie")
    carry_out(made.hub, LEERLING, core, operator="balie")
    assert listed(made) == []
    assert made.query("SELECT roepnaam FROM leerling") == [("Jan",)]


def test_explain_says_how_long_a_pin_holds_and_what_counts_after_it(make: Make) -> None:
    made = make()
    core = pupil(made)
    fix(made, core, "Johan", date(2026, 12, 31))
    told = explain_record(made.hub, LEERLING, core, field="roepnaam", operator="balie")
    (reason,) = told.fields
    assert reason.pin is not None
    assert (reason.pin.value, reason.pin.reason) == ("Johan", "volgens de ouders")
    assert "vastgezet tot en met 2026-12-31 door balie" in reason.changes_when
    assert "daarna geldt wat s0 zegt" in reason.changes_when
    assert [claim.value for claim in reason.claims] == ["Jan"]


def test_what_a_person_fixes_is_held_by_no_guard(make: Make) -> None:
    made = make()
    core = pupil(made)
    made.policy(guards={"change": {"number": 1, "share": None, "floor": 0}})
    report = fix(made, core, "Johan")
    assert report is not None
    assert report.applied == {"leerling.change": 1}


def test_who_only_looks_at_what_a_pin_would_do_is_in_the_audit_trail(make: Make) -> None:
    made = make()
    seen_first(made, pupil(made))
    assert made.query("SELECT operator, action FROM audit") == [("balie", "pin preview")]


def test_a_pin_shows_in_a_plan_and_in_what_differs(make: Make) -> None:
    made = make()
    core = pupil(made)
    fix(made, core, "Johan")
    made.sources["s0"].put(LEERLING, "l", achternaam="Anders", roepnaam="Jan")
    planned = made.sync(plan_only=True)
    assert planned.plan_id is not None
    (step,) = read_plan(made.hub, planned.plan_id, limit=9).steps
    assert step.pinned == ("roepnaam",)
    found = drift(made.hub, "s0", Options(dry=True), limit=9)
    assert [(row.field, row.value, row.sources) for row in found.pinned] == [
        ("roepnaam", "Johan", {"s0": "Jan"})
    ]


def test_a_secret_that_was_fixed_leaves_no_school(make: Make) -> None:
    made = make()
    made.sources["s0"].put(
        LEERLING, "l", achternaam="Jansen", mobiel="+31612345678", telefoon_geheim=True
    )
    made.sync()
    core = made.core(LEERLING, "l")
    pins.pin(
        made.hub,
        core,
        entity=LEERLING,
        field="mobiel",
        value="+31687654321",
        reason="x",
        operator="balie",
    )
    carry_out(made.hub, LEERLING, core, operator="balie")
    found = drift(made.hub, "s0", Options(dry=True), limit=9)
    assert [row.value for row in found.pinned] == ["(geheim)"]
    assert "87654321" not in repr(found)


def test_who_may_act_for_other_tenants_sees_and_lifts_no_pin(make: Make) -> None:
    made = make()
    fix(made, pupil(made), "Johan")
    (row,) = listed(made)
    stranger = Actor("vreemde", Role.HELPDESK, frozenset({"ander"}))
    made.hub = replace(made.hub, actor=stranger)
    assert listed(made) == []
    with pytest.raises(NoRightError):
        pins.lift(made.hub, row.id, operator="vreemde")
    assert made.query("SELECT 1 FROM pin WHERE lifted_at IS NULL")
