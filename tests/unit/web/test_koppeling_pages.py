"""A koppeling in maintenance, off and on, and schools that come in: on the page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from config.sources import Ends, Expires
from sync_engine.onboarding import Standing, Step
from tests.support.hubs import Bench
from tests.unit.web.conftest import JAN, Visit, held, trail
from web.pages import joining


def states(bench: Bench) -> list[tuple[object, ...]]:
    return bench.query("SELECT maintenance_why, maintenance_until, off_why FROM koppeling_state")


def test_maintenance_begins_with_a_reason_and_ends(one: Bench, seated: Visit) -> None:
    held(one)
    desk = seated(one)
    assert "Zet in onderhoud" in desk.sees("/koppelingen/s0")
    path = "/koppelingen/s0/onderhoud"
    desk.does(path, why="leverancier werkt eraan", until="2026-10-07T12:00")
    ((why, until, _),) = states(one)
    assert why == "leverancier werkt eraan"
    assert datetime.fromisoformat(str(until)).replace(tzinfo=UTC).hour == 10  # noon in Amsterdam
    page = desk.sees("/koppelingen/s0")
    assert "leverancier werkt eraan" in page
    desk.does(f"{path}/einde")
    assert "Zet in onderhoud" in desk.sees("/koppelingen/s0")
    assert [line[1:] for line in trail(one)][-2:] == [
        ("source maintenance", "koppeling s0", "10.0.0.4"),
        ("source maintenance end", "koppeling s0", "10.0.0.4"),
    ]


def test_what_is_no_reason_or_no_moment_changes_nothing(one: Bench, seated: Visit) -> None:
    held(one)
    desk = seated(one)
    desk.does("/koppelingen/s0/onderhoud", status=409, why=" ")
    desk.does("/koppelingen/s0/onderhoud", status=409, why="iets", until="straks")
    desk.does("/koppelingen/s0/onderhoud", status=409, why="iets", until="2020-01-01T12:00")
    desk.does("/koppelingen/s0/uit", status=409, why="")
    desk.does("/koppelingen/anders/uit", status=409, why="iets")
    assert [row for row in states(one) if row[0] or row[2]] == []


@pytest.mark.parametrize("path", ["/koppelingen/s0", "/scholen/99XX"])
def test_what_ends_is_told_with_its_last_day(one: Bench, seated: Visit, path: str) -> None:
    held(one)
    ends = Expires(what=Ends.MANDATE, on=date(2027, 8, 1), label="verwerkersovereenkomst")
    sources = tuple(s.model_copy(update={"expires": (ends,)}) for s in one.hub.settings.source)
    one.hub = replace(one.hub, settings=one.hub.settings.model_copy(update={"source": sources}))
    page = seated(one).sees(path)
    assert "toestemming verwerkersovereenkomst, 1 aug 2027" in " ".join(page.split())


def test_off_and_on_again(one: Bench, seated: Visit) -> None:
    held(one)
    desk = seated(one)
    desk.does("/koppelingen/s0/uit", why="de school stopt")
    page = desk.sees("/koppelingen/s0")
    assert "de school stopt" in page
    assert "Zet aan" in page
    desk.does("/koppelingen/s0/aan")
    assert states(one)[0][2] == ""
    desk.seat.actor = JAN
    assert "Zet uit" not in desk.sees("/koppelingen/s0")
    desk.does("/koppelingen/s0/uit", status=403, why="mag niet")
    assert states(one)[0][2] == ""


def test_who_comes_in_sees_what_is_done_and_what_is_next(one: Bench, seated: Visit) -> None:
    held(one)
    page = seated(one).sees("/aansluiten")
    assert "eerste plan toegepast" in page
    assert "koppelhub source" in page
    assert set(joining.STEPS) == set(Step)
    assert set(joining.STANDINGS) == set(joining.SHAPES) == set(Standing)
