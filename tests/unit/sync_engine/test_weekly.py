"""The weekly report of a school: what it counts, of whom, and when it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.alerts import Alerts, Weekday
from config.clock import zone
from config.errors import ConfigurationError
from connectors.eckid.records import RULES, Vraag
from fixtures.school.keys import synthetic_bsn, synthetic_eckid
from mappings.canonical.fields import Entity
from sync_engine.alerts import notices
from sync_engine.alerts import weekly as weekly_module
from sync_engine.alerts.letter import letter
from sync_engine.alerts.post import _due, post_report, post_reports
from sync_engine.alerts.weekly import Line, Weekly, lines, weekly
from sync_engine.rules import advice
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource
from tests.unit.sync_engine.test_alerts import BASE

GROOT, KLEIN = "99XX00", "99XX01"
MONDAY = datetime(2026, 11, 30, 6, 30, tzinfo=UTC)  # half past seven at school
CONFIGURATION = """
[database]
url = "sqlite:///unused.db"
[keys]
file = "keys.json"
[[tenant]]
name = "bestuur"
title = "Bestuur"
[[tenant.school]]
brin = "99XX"
name = "School"
contact = "administratie@school.example"
[[tenant.school]]
brin = "99YY"
name = "Nieuwe school"
contact = "administratie@nieuw.example"
[[source]]
name = "s0"
system = "memory"
tenant = "bestuur"
"""


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two vestigingen of one school, and a school of which nothing was ever read."""
    source = MemorySource(
        tuple(Entity),
        scope_keys=("groot", "klein"),
        brins={"groot": (GROOT, "99XX"), "klein": (KLEIN, "99XX")},
    )
    for scope, size in (("groot", 6), ("klein", 3)):
        for number in range(size):
            eck_id = {} if number == 0 else {"eck_id": _eck_id(scope, number)}
            source.put(
                Entity.LEERLING,
                f"{scope}{number}",
                scope=scope,
                achternaam=f"Naam{number}",
                leerlingnummer=f"{ord(scope[0])}{number}",
                **eck_id,
            )
    found = bench(store, tmp_path, sources={"s0": source}, configuration=CONFIGURATION)
    found.clock.set(MONDAY - timedelta(hours=6))
    alerts = Alerts.model_validate(BASE)
    settings = found.hub.settings.model_copy(update={"alerts": alerts})
    found.hub = replace(found.hub, settings=settings)
    yield found
    found.close()


def _eck_id(scope: str, number: int) -> str:
    return synthetic_eckid(1, ord(scope[0]) * 100 + number)


def listed(made: Bench, school: str) -> list[Line]:
    with made.hub.store.work() as work:
        return list(lines(made.hub, work, school))


def counted(report: Weekly) -> tuple[int, int, int]:
    return (report.leerlingen, report.without_eck_id, report.in_doubt)


def test_a_school_and_each_vestiging_are_counted(made: Bench) -> None:
    assert made.sync().error == ""
    assert counted(weekly(made.hub, "99XX")) == (9, 2, 0)
    assert counted(weekly(made.hub, GROOT)) == (6, 1, 0)
    assert counted(weekly(made.hub, KLEIN)) == (3, 1, 0)
    (line,) = listed(made, KLEIN)
    assert (line.source_key, line.leerlingnummer, line.field) == ("klein0", "1070", "eckId")


def test_a_school_whose_eck_ids_the_hub_obtains_is_told_what_it_can_do(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.sync()
    assert not weekly(made.hub, KLEIN).obtains
    monkeypatch.setattr(weekly_module, "obtaining", lambda *_: [made.hub.source("s0")])
    report = weekly(made.hub, KLEIN)
    text = letter(report, zone="Europe/Amsterdam")["text"]
    assert (report.obtains, "Koppelhub vraagt ze zelf aan" in text) == (True, True)
    (line,) = listed(made, KLEIN)
    assert line.todo.startswith("Niet verkrijgbaar: geen PGN.")
    made.sources["s0"].put(
        Entity.LEERLING, "klein0", scope="klein", achternaam="Naam0", bsn=synthetic_bsn(1)
    )
    made.later()
    made.sync()
    (line,) = listed(made, KLEIN)
    assert line.todo.endswith("u hoeft niets te doen.")


@pytest.mark.parametrize("vraag", [Vraag.PGN, Vraag.GEWEIGERD])
def test_what_a_school_must_do_about_an_eck_id_is_said_in_dutch(vraag: Vraag) -> None:
    path, rule, *_ = RULES[vraag]
    told = advice("ECK iD (Nummervoorziening)", path, rule)
    assert rule not in told
    assert "Verbeter in ECK iD" not in told
    assert told.startswith(f"{path}: is ")


def test_who_left_is_counted_no_more(made: Bench) -> None:
    made.sync()
    made.sources["s0"].remove(Entity.LEERLING, "klein0", scope="klein")
    for _ in range(2):
        made.later()
        made.sync()
    made.later(24)
    assert counted(weekly(made.hub, KLEIN)) == (2, 0, 0)


def test_who_is_in_doubt_is_counted_and_listed_by_his_own_number(made: Bench) -> None:
    made.policy(reactions={"unmatched": "case"})
    made.sync()
    report = weekly(made.hub, GROOT)
    assert counted(report) == (0, 0, 6)
    assert report.cases == {"nieuw; een mens beslist": 6}
    told = listed(made, GROOT)
    assert [line.source_key for line in told] == [f"groot{number}" for number in range(6)]
    assert {line.what for line in told} == {"twijfel: nieuw; een mens beslist"}
    text = letter(report, zone="Europe/Amsterdam")["text"]
    assert "6 zaken open, waarvan 6 over leerlingen" in text


def test_a_school_in_which_all_is_well_hears_that(made: Bench) -> None:
    source = made.sources["s0"]
    for scope in ("groot", "klein"):
        record = source.here(Entity.LEERLING, scope)[f"{scope}0"]
        record["eck_id"] = _eck_id(scope, 0)
    made.sync()
    report = weekly(made.hub, "99XX")
    assert report.is_clean
    told = letter(report, zone="Europe/Amsterdam")
    assert told["title"] == "Weekbericht School: niets te doen"
    assert "u hoeft niets te doen" in told["text"]


def test_a_school_without_any_eck_id_is_told_that_the_source_brings_none(made: Bench) -> None:
    for scope in ("groot", "klein"):
        for record in made.sources["s0"].here(Entity.LEERLING, scope).values():
            record.pop("eck_id", None)
    made.sync()
    assert "geen enkele leerling" in letter(weekly(made.hub, "99XX"), zone="UTC")["text"]


# -- sending ---------------------------------------------------------------------------------------


def posted(made: Bench) -> list[str]:
    with made.hub.store.work() as work:
        return sorted(one.channel for one in notices.waiting(work))


def test_reports_go_at_their_hour_once_a_week_and_one_that_fails_stops_no_other(
    made: Bench,
) -> None:
    made.sync()
    assert post_reports(made.hub) == 0  # it is half past one
    made.clock.set(MONDAY)
    assert post_reports(made.hub) == 1  # of the new school nothing was read yet
    assert post_reports(made.hub) == 0
    assert posted(made) == ["99XX"]
    made.clock.advance(timedelta(days=7))
    assert post_reports(made.hub) == 1
    assert posted(made) == ["99XX", "99XX"]


def test_a_monday_that_was_missed_is_caught_up_for_two_days(made: Bench) -> None:
    made.sync()
    made.clock.set(MONDAY + timedelta(hours=49))
    assert post_reports(made.hub) == 0
    made.clock.set(MONDAY + timedelta(hours=47))
    assert post_reports(made.hub) == 1


def test_sending_by_hand_counts_as_the_report_of_the_week(made: Bench) -> None:
    made.sync()
    assert post_report(made.hub, weekly(made.hub, "99XX"))
    made.clock.set(MONDAY)
    assert post_reports(made.hub) == 0
    with pytest.raises(ConfigurationError):
        weekly(made.hub, "99ZZ")


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-30T07:29", "2026-11-23T07:30"),
        ("2026-11-30T07:30", "2026-11-30T07:30"),
        ("2026-12-06T23:59", "2026-11-30T07:30"),
        ("2026-10-26T07:30", "2026-10-26T07:30"),  # the first Monday after the clock went back
        ("2026-10-25T07:30", "2026-10-19T07:30"),
    ],
)
def test_when_reports_are_due_is_said_by_the_clock_on_the_wall(now: str, due: str) -> None:
    here = zone("Europe/Amsterdam")
    at = datetime.fromisoformat(now).replace(tzinfo=here).astimezone(UTC)
    found = _due(at, Weekday.MON, "07:30", "Europe/Amsterdam")
    assert found.astimezone(here).replace(tzinfo=None) == datetime.fromisoformat(due)
