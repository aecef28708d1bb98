from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from mappings.canonical.fields import Entity
from sync_engine.outcome import Outcome
from sync_engine.runs import Kind
from tests.support.hubs import Bench
from tests.support.memory import MemorySource
from tests.unit.sync_engine.conftest import Make

TEN = [f"l{number}" for number in range(10)]


def school(make: Make, keys: list[str] = TEN, **options: Any) -> Bench:
    bench = make(**options)
    for key in keys:
        bench.sources["s0"].put(Entity.LEERLING, key, achternaam="Jansen")
    bench.sync()
    return bench


def closed(bench: Bench) -> list[str]:
    rows = bench.query(
        "SELECT l.source_key FROM leerling c JOIN link l ON l.core_id = c.id "
        "WHERE c.geldig_tot IS NOT NULL ORDER BY l.source_key"
    )
    return [row[0] for row in rows]


def test_one_reading_without_a_record_closes_nothing(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].remove(Entity.LEERLING, "l0")
    bench.later()
    report = bench.sync()
    assert sum(reading.missing for reading in report.readings) == 1
    assert closed(bench) == []


@pytest.mark.parametrize(("hours", "gone"), [(5.9, []), (6, ["l0"])])
def test_two_complete_readings_six_hours_apart_close(
    make: Make, hours: float, gone: list[str]
) -> None:
    bench = school(make)
    bench.sources["s0"].remove(Entity.LEERLING, "l0")
    bench.later()
    bench.sync()
    bench.later(hours)
    report = bench.sync()
    assert closed(bench) == gone
    assert sum(reading.gone for reading in report.readings) == len(gone)


def test_a_closing_ends_after_the_last_complete_reading_that_held_it(make: Make) -> None:
    bench = school(make)
    bench.later(24)
    bench.sync()  # 6 October: the last that held it
    bench.sources["s0"].remove(Entity.LEERLING, "l0")
    for _ in range(3):
        bench.later(24)
        bench.sync()
    rows = bench.query("SELECT geldig_tot, tot_afgeleid FROM leerling WHERE geldig_tot IS NOT NULL")
    assert [(end, bool(inferred)) for end, inferred in rows] == [("2026-10-07", True)]


@pytest.mark.parametrize("whole_before", [True, False])
def test_what_only_broken_readings_held_ends_on_the_day_that_it_came(
    make: Make, whole_before: bool
) -> None:
    """Not before it began, and not on a day on which a complete reading missed it."""
    bench = make(sources={"s0": MemorySource(tuple(Entity), page_size=1)})
    source, place = bench.sources["s0"], (str(Entity.LEERLING), "hoofd")
    for key in ("a", "z"):
        source.put(Entity.LEERLING, key, achternaam="Jansen")
    if not whole_before:
        source.faults[place] = "error"
    bench.sync()  # 5 October
    bench.later(48)
    source.put(Entity.LEERLING, "m", achternaam="Bakker")
    source.faults[place] = "error"
    bench.sync()  # 7 October: it breaks off at the last page, `m` is not on it
    source.remove(Entity.LEERLING, "m")
    for _ in range(2):
        bench.later(24)
        bench.sync()
    rows = bench.query("SELECT geldig_tot FROM leerling WHERE achternaam = 'Bakker'")
    assert rows == [("2026-10-08",)]


def test_what_comes_back_in_between_starts_again(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.remove(Entity.LEERLING, "l0")
    bench.later()
    bench.sync()
    source.put(Entity.LEERLING, "l0", achternaam="Jansen")
    bench.later()
    bench.sync()
    source.remove(Entity.LEERLING, "l0")
    bench.later()
    bench.sync()
    assert closed(bench) == []


def test_a_record_that_comes_back_unchanged_is_reopened(make: Make) -> None:
    bench = school(make)
    before = bench.query("SELECT id, geldig_tot, tot_afgeleid FROM leerling ORDER BY id")
    bench.sources["s0"].remove(Entity.LEERLING, "l0")
    bench.settle()
    assert closed(bench) == ["l0"]
    bench.sources["s0"].put(Entity.LEERLING, "l0", achternaam="Jansen")
    report = bench.sync()
    assert report.steps == {"leerling.reopen": 1}
    assert bench.query("SELECT id, geldig_tot, tot_afgeleid FROM leerling ORDER BY id") == before


def test_an_incomplete_reading_closes_and_confirms_nothing(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.remove(Entity.LEERLING, "l0")
    bench.later()
    bench.sync()
    for _ in range(3):
        bench.later()
        source.faults["leerling", "hoofd"] = "error"
        assert bench.sync().outcome is Outcome.PARTIAL
        assert closed(bench) == []
    bench.later()
    bench.sync()
    assert closed(bench) == ["l0"]


def test_a_short_reading_is_read_again_before_anything_is_missed(make: Make) -> None:
    bench = school(make)
    for _ in range(3):
        bench.later()
        bench.sources["s0"].faults["leerling", "hoofd"] = "short"
        report = bench.sync()
        assert report.outcome is Outcome.DONE
        assert sum(reading.missing for reading in report.readings) == 0
    assert closed(bench) == []


def test_an_empty_answer_closes_nothing_however_often(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].records.clear()
    bench.settle(rounds=4)
    assert closed(bench) == []
    assert bench.reports[-1].outcome is not Outcome.DONE


@pytest.mark.parametrize(("left", "gone", "warned"), [(6, 4, True), (5, 0, True), (9, 1, False)])
def test_a_scope_that_shrinks_warns_and_by_half_closes_nothing(
    make: Make, left: int, gone: int, *, warned: bool
) -> None:
    bench = school(make)
    for key in TEN[left:]:
        bench.sources["s0"].remove(Entity.LEERLING, key)
    bench.policy(guards={"close": {"share": None, "number": 1000}})
    bench.settle(rounds=4)
    assert len(closed(bench)) == gone
    events = bench.query("SELECT DISTINCT kind FROM event WHERE kind = 'shrunk'")
    assert bool(events) == warned


def test_around_the_turn_of_the_schooljaar_absence_closes_nothing(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].remove(Entity.LEERLING, "l0")
    for day in (date(2027, 7, 25), date(2027, 8, 1), date(2027, 8, 20)):
        bench.clock.set(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
        bench.sync()
        assert closed(bench) == []
    bench.later(24)
    bench.sync()
    assert closed(bench) == ["l0"]


def test_a_tombstone_is_positive_and_closes_at_once(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].remove(Entity.LEERLING, "l0")
    bench.sync(kind=Kind.DELTA)
    assert closed(bench) == ["l0"]


def test_a_delta_that_does_not_name_a_record_says_nothing_of_it(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].put(Entity.LEERLING, "l1", achternaam="Anders")
    for _ in range(3):
        bench.later()
        bench.sync(kind=Kind.DELTA)
    assert closed(bench) == []


def test_a_look_up_that_does_not_find_a_record_says_nothing_of_it(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].remove(Entity.LEERLING, "l0")
    for _ in range(3):
        bench.later()
        bench.sync(kind=Kind.ONLY, resources=("leerling",), only=("l0",))
    assert closed(bench) == []


def test_gone_from_one_scope_is_not_gone(make: Make) -> None:
    source = MemorySource(tuple(Entity), scope_keys=("hoofd", "volgend"))
    bench = make({"s0": source})
    for scope in source.scope_keys:
        for key in TEN:
            source.put(Entity.LEERLING, key, scope, achternaam="Jansen")
    bench.sync()
    source.remove(Entity.LEERLING, "l0")
    bench.settle()
    assert closed(bench) == []
    source.remove(Entity.LEERLING, "l0", "volgend")
    bench.settle()
    assert closed(bench) == ["l0"]


def test_a_scope_that_is_read_no_longer_closes_nothing(make: Make) -> None:
    source = MemorySource(tuple(Entity), scope_keys=("hoofd", "volgend"))
    bench = make({"s0": source})
    source.put(Entity.LEERLING, "l0", "volgend", achternaam="Jansen")
    source.put(Entity.LEERLING, "l1", "hoofd", achternaam="Jansen")
    bench.sync()
    source.scope_keys = ("hoofd",)
    bench.settle()
    assert closed(bench) == []


def test_a_record_that_another_source_still_has_stays_open(make: Make) -> None:
    bench = make(2)
    eck = f"https://ketenid.nl/pilot/{'a' * 128}"
    for name, source in bench.sources.items():
        source.put(Entity.LEERLING, "l0", achternaam="Jansen", eck_id=eck)
        source.put(Entity.LEERLING, "l1", achternaam=f"Bakker {name}")
        bench.sync(name)
    bench.sources["s0"].remove(Entity.LEERLING, "l0")
    bench.settle()
    assert closed(bench) == []
    bench.sources["s1"].remove(Entity.LEERLING, "l0")
    bench.settle()
    assert set(closed(bench)) == {"l0"}


def test_policy_may_keep_what_disappears(make: Make) -> None:
    bench = school(make)
    bench.policy(reactions={"gone": "keep"})
    bench.sources["s0"].remove(Entity.LEERLING, "l0")
    bench.settle()
    assert closed(bench) == []


def test_what_went_before_it_reached_the_core_leaves_no_trace(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.put(Entity.INSCHRIJVING, "i", leerling="nooit")
    source.put(Entity.INSCHRIJVING, "j", leerling="l1")
    bench.sync()
    source.remove(Entity.INSCHRIJVING, "i")
    bench.settle()
    assert len(bench.query("SELECT id FROM inschrijving")) == 1
    assert bench.reports[-1].outcome is Outcome.DONE
    assert bench.reports[-1].waiting == 0


def test_a_member_who_left_gets_an_end_and_one_who_returns_a_new_row(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]

    def group(*members: str) -> None:
        source.put(Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=list(members))
        bench.sync()

    def rows() -> list[tuple[str | None, str | None, bool]]:
        found = bench.query(
            "SELECT geldig_van, geldig_tot, beeindigd FROM groepsdeelname ORDER BY id"
        )
        return [(start, end, bool(ended)) for start, end, ended in found]

    group("l0")
    assert rows() == [(None, None, False)]
    bench.later(48)
    group()
    assert rows() == [(None, "2026-10-06", True)]
    bench.later(48)
    group("l0")
    assert rows() == [(None, "2026-10-06", True), ("2026-10-09", None, False)]


def last_year(make: Make) -> Bench:
    """A hub with the stamgroepen of 2026/2027, and a source that has gone on to the next year."""
    bench = make()
    source = bench.sources["s0"]
    source.schooljaar = 2026
    for number in range(6):
        source.put(
            Entity.GROEP, f"oud{number}", naam=f"{number}A", soort="stamgroep", schooljaar=OLD
        )
    bench.sync()
    source.schooljaar = 2027
    for number in range(6):
        source.remove(Entity.GROEP, f"oud{number}")
        bench.later()
    return bench


OLD, NEW = "2026/2027", "2027/2028"


def test_last_years_groepen_that_are_missing_are_no_shrunken_source(make: Make) -> None:
    bench = last_year(make)
    for number in range(6):
        bench.sources["s0"].put(
            Entity.GROEP, f"nieuw{number}", naam=f"{number}A", soort="stamgroep", schooljaar=NEW
        )
    report = bench.sync()
    assert (report.outcome, report.events) == (Outcome.DONE, [])
    bench.later()
    assert bench.sync().steps == {"groep.close": 6}


def test_an_empty_answer_after_the_turn_closes_nothing_all_the_same(make: Make) -> None:
    bench = last_year(make)
    for _ in range(3):
        bench.later()
        assert "groep.close" not in bench.sync().steps


def test_this_years_groepen_that_are_missing_count_as_ever(make: Make) -> None:
    bench = last_year(make)
    for number in range(6):
        bench.sources["s0"].put(
            Entity.GROEP, f"nieuw{number}", naam=f"{number}A", soort="stamgroep", schooljaar=NEW
        )
    bench.sync()
    for number in range(4):
        bench.sources["s0"].remove(Entity.GROEP, f"nieuw{number}")
    bench.later()
    assert any("shrunk" in event for event in bench.sync().events)
