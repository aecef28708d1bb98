"""Every page, for somebody who may act for one school of a board of two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from config.operators import Role
from sync_engine.actor import named_actor
from sync_engine.find import hub_key
from sync_engine.plans import head_of
from sync_engine.store.engine import Store
from tests.support.pair import Pair, pair
from tests.support.seat import CSRF, Visitor, visit
from web.pages.routes import PAGES

_LISTS: Final = (
    *("/", "/wacht", "/plannen", "/zaken", "/runs", "/trends", "/aansluiten", "/aansluiten/nieuw"),
    *("/zoek", "/besluiten"),
)
_CHOSEN: Final = ("?school=98XX", "?koppeling=kanarie-las", "?stand=all&meer=1&alle=1&alles=1")


@pytest.fixture
def two(sqlite_store: Store, tmp_path: Path) -> Iterator[Pair]:
    with pair(sqlite_store, tmp_path) as made:
        yield made


@pytest.fixture
def mies(two: Pair) -> Iterator[Visitor]:
    """Helpdesk of one school."""
    with visit(two.hub, named_actor(two.hub.settings, "mies", origin="10.0.0.6")) as visitor:
        yield visitor


def addresses(numbers: dict[str, int], *, brin: str, koppeling: str) -> Iterator[tuple[str, str]]:
    """(method, address) of every page that names something, with what is of one school."""
    told = {
        "/plannen": numbers["plan"],
        "/zaken": numbers["case"],
        "/runs": numbers["run"],
        "/besluiten": numbers["act"],
    }
    for page in PAGES:
        if page.method == "GET" and "{" not in page.path:
            continue
        number = told.get(re.sub(r"/\{.*", "", page.path), 0)
        path = page.path.replace("{id:int}", str(number)).replace("{brin}", brin)
        yield page.method, path.replace("{koppeling}", koppeling)


def test_every_page_is_walked_here(two: Pair) -> None:
    named = [path for _, path in addresses(two.mine, brin="99XX", koppeling="eigen")]
    lists = {page.path for page in PAGES if page.method == "GET" and "{" not in page.path}
    assert lists == {*_LISTS, "/quarantaine"}
    assert len(named) + len(lists) == len(PAGES)


def test_lists_hold_nothing_of_another_school(two: Pair, mies: Visitor) -> None:
    for path in (*_LISTS, "/quarantaine"):
        for chosen in ("", *_CHOSEN):
            text = mies.client.get(path + chosen).text
            told = text.replace("kanarie-las", "") if "kanarie-las" in chosen else text
            assert two.leaks(told) == [], path + chosen


def test_pages_of_his_own_school_are_shown(two: Pair, mies: Visitor) -> None:
    for method, path in addresses(two.mine, brin="99XX", koppeling="eigen"):
        if method == "GET":
            assert two.leaks(mies.sees(path)) == [], path
    for path in (f"/plannen/{two.mine['both']}?alles=1", f"/zaken/{two.mine['hidden']}"):
        assert two.leaks(mies.sees(path)) == [], path
    assert "andere school" in mies.sees(f"/zaken/{two.mine['hidden']}")


def test_pages_of_another_school_are_not_there_and_nothing_is_done_there(
    two: Pair, mies: Visitor
) -> None:
    before = two.of_other()
    form = {"_csrf": CSRF, "choice": "ignore", "to": "mies", "note": "proef", "why": "proef"}
    for method, path in addresses(two.other, brin="98XX", koppeling="kanarie-las"):
        if path == "/zoek":
            continue  # names nothing; see below
        answer = mies.client.request(method, path, data=form if method == "POST" else None)
        whole = path.startswith("/aansluiten/") and method == "POST"  # is of an administrator
        assert answer.status_code in ({403, 404, 409} if whole else {404, 409}), path
        assert two.leaks(answer.text.replace("kanarie-las", "")) == [], path  # he named it
    assert two.of_other() == before


def test_a_search_finds_nobody_of_another_school(two: Pair, mies: Visitor) -> None:
    found = mies.does("/zoek", status=200, tekst="Jansen").text
    assert "Jansen merel" in found
    assert two.leaks(found) == []
    for typed in ("geel", "2013-01-01 Jansen", "0200", hub_key(two.other["leerling"])):
        told = mies.does("/zoek", status=200, tekst=typed).text
        assert two.leaks(told.replace(typed, "")) == [], typed


def test_what_touches_another_school_too_is_refused(two: Pair, mies: Visitor) -> None:
    before = two.of_other()
    for path in (f"/plannen/{two.mine['both']}", f"/runs/{two.mine['last']}", "/koppelingen/samen"):
        assert '<form method="post" action="/' not in _page(mies.sees(path)), path  # not offered
    for path in (
        f"/plannen/{two.mine['plan']}",
        "/koppelingen/eigen",
        f"/zaken/{two.mine['case']}",
    ):
        assert '<form method="post" action="/' in _page(mies.sees(path)), path
    shown = head_of(two.seen_by("mies"), two.mine["both"]).version
    for path, form in (
        (f"/plannen/{two.mine['both']}/goedkeuren", {"shown": shown}),
        (f"/plannen/{two.mine['both']}/weigeren", {"shown": shown, "why": "klopt niet zo"}),
        (f"/runs/{two.mine['last']}/terugdraaien", {}),
        ("/koppelingen/samen/uit", {"why": "proef"}),
        ("/koppelingen/samen/onderhoud", {"why": "proef"}),
    ):
        text = mies.does(path, status=403, **form).text
        assert "98XX" in text, path
    mies.does("/koppelingen/eigen/uit", why="proef")
    assert two.of_other() == before


def _page(text: str) -> str:
    """What stands between the head and the foot of a page."""
    return text.partition("<main")[2]


def test_a_role_counts_for_the_school_that_it_is_for(two: Pair) -> None:
    """Who reads a board whole and is helpdesk of one school, sees all and changes that school."""
    mia = named_actor(two.hub.settings, "mia", origin="10.0.0.7")
    assert (mia.role, mia.acting(Role.HELPDESK).tenants) == (Role.HELPDESK, frozenset())
    with visit(two.hub, mia) as visitor:
        for path in (f"/zaken/{two.other['case']}", f"/plannen/{two.other['plan']}"):
            assert '<form method="post" action="/' not in _page(visitor.sees(path)), path
        assert '<form method="post" action="/' in _page(visitor.sees(f"/zaken/{two.mine['case']}"))
        refused = visitor.does(f"/zaken/{two.other['case']}/notitie", status=409, note="x").text
        assert f"there is no case {two.other['case']}" in refused
        assert "helpdesk voor school 99XX01" in refused
        visitor.does(f"/zaken/{two.mine['case']}/notitie", note="x")
