"""UWLR asked for what changed, and asked group by group."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from lxml import etree

from config.clock import FixedClock
from connectors.base import Page
from connectors.errors import (
    CursorExpiredError,
)
from connectors.uwlr.connector import UwlrConnector
from fixtures.sandbox.uwlr import LG
from fixtures.school.changes import Changes
from fixtures.school.population import Leerling
from tests.contract.suite import keys, read
from tests.support.uwlr import scope, tell, truth
from tests.support.uwlr_harness import NOW, TODAY, UwlrHarness


@pytest.fixture
def harness(uwlr: UwlrHarness) -> UwlrHarness:
    return uwlr


# -- what changed ----------------------------------------------------------------------------------


@pytest.mark.assumed("uwlr-aanmaakdatum-as-cursor")
def test_no_changes_is_one_small_question_for_all_resources(harness: UwlrHarness) -> None:
    connector = harness.connect()
    cursor = _cursor(connector)
    harness.sandbox.forget_requests()
    for resource in ("leerkracht", "leerling", "groep", "samengestelde_groep"):
        reading = connector.delta(scope(resource), cursor=cursor)
        assert read(reading) == []
        assert reading.completeness.complete
    assert len(harness.sandbox.requests) == 1


def test_a_change_is_followed_by_a_whole_reading_of_that_answer(harness: UwlrHarness) -> None:
    connector = harness.connect()
    cursor = _cursor(connector)
    school = harness.sandbox.school
    pupil = school.keys("leerling", 0, peil=school.peil("HUIDIG"), offset=1, amount=1)[0]
    assert isinstance(pupil, Leerling)
    Changes(school).patch(school.uuid_of("leerling", pupil), roepnaam="Anders")
    harness.sandbox.forget_requests()
    for resource in ("leerling", "groep"):
        with pytest.raises(CursorExpiredError):
            read(connector.delta(scope(resource), cursor=cursor))
        reading = connector.snapshot(scope(resource))
        pages = read(reading)
        assert keys(pages) == truth(harness.sandbox, resource)
        assert reading.completeness.complete
        assert pages[-1].cursor
        assert pages[-1].cursor > cursor
    assert len(harness.sandbox.requests) == 1
    assert read(connector.delta(scope("leerling"), cursor=str(pages[-1].cursor))) == []


def test_who_left_is_told_by_a_whole_reading(harness: UwlrHarness) -> None:
    connector = harness.connect()
    cursor = _cursor(connector)
    before = truth(harness.sandbox, "leerling")
    Changes(harness.sandbox.school).set_shown("leerling", 0, position=3, shown=False)
    try:
        with pytest.raises(CursorExpiredError):
            read(connector.delta(scope(), cursor=cursor))
        assert len(keys(read(connector.snapshot(scope())))) == len(before) - 1
    finally:
        Changes(harness.sandbox.school).set_shown("leerling", 0, position=3, shown=True)


@pytest.mark.parametrize("cursor", ["gisteren", "", "2026-11-02"])
def test_a_cursor_that_is_no_moment_is_not_asked_by(harness: UwlrHarness, cursor: str) -> None:
    with pytest.raises(CursorExpiredError):
        read(harness.connect().delta(scope(), cursor=cursor))
    assert harness.sandbox.requests == []


def test_an_answer_from_the_future_gives_no_cursor(harness: UwlrHarness) -> None:
    harness.clock = FixedClock(NOW - timedelta(days=1))
    pages = read(harness.connect().snapshot(scope()))
    assert pages[-1].cursor is None


def _cursor(connector: UwlrConnector) -> str:
    pages = read(connector.snapshot(scope()))
    assert pages[-1].cursor
    return pages[-1].cursor


# -- staged ----------------------------------------------------------------------------------------


@pytest.mark.assumed("uwlr-staged-everybody")
@pytest.mark.parametrize("size", ["1", "20"])
@pytest.mark.parametrize("version", ["2.2", "2.3"])
def test_group_by_group_gives_what_one_answer_gives(
    harness: UwlrHarness, size: str, version: str
) -> None:
    tell(harness.sandbox, keyless=version == "2.3")
    whole = harness.connect(xsdversie=version)
    staged = harness.connect(xsdversie=version, mode="staged", groups_per_call=size)
    for one in whole.scopes(today=TODAY):
        ours, theirs = staged.snapshot(one), whole.snapshot(one)
        assert _content(ours) == _content(theirs)
        assert ours.completeness.complete, ours.completeness.reason
        assert ours.contract.fields == theirs.contract.fields


def _content(reading: Iterable[Page]) -> dict[str, bytes]:
    return {key: body for page in reading for key, body in zip(page.keys, page.bodies, strict=True)}


def test_persons_of_no_group_are_asked_too(harness: UwlrHarness) -> None:
    heard: list[bytes] = []
    harness.sandbox.uwlr.heard = heard.append
    read(harness.connect(mode="staged").snapshot(scope()))
    asked = [etree.fromstring(body).find(f".//{{{LG}}}groepen") for body in heard]
    keyless = [g for listed in asked if listed is not None for g in listed if g.get("key") is None]
    assert [etree.QName(group).localname for group in keyless] == ["groep", "groep"]


def test_groups_that_change_while_they_are_read_are_not_complete(harness: UwlrHarness) -> None:
    school, seen = harness.sandbox.school, [0]

    def rename(_body: bytes) -> None:
        seen[0] += 1
        if seen[0] == 3:
            tell(harness.sandbox, single_digits=True)  # the groups are told otherwise from now on

    harness.sandbox.uwlr.heard = rename
    reading = harness.connect(mode="staged").snapshot(scope())
    assert read(reading)
    assert not reading.completeness.complete
    assert "changed while" in reading.completeness.reason
    assert school.count("leerling", 0, peil=school.peil("HUIDIG"))


def test_staged_calls_ask_no_changes(harness: UwlrHarness) -> None:
    with pytest.raises(CursorExpiredError):
        read(harness.connect(mode="staged").delta(scope(), cursor="2026-11-02T01:00:00Z"))
    assert harness.sandbox.requests == []
