"""Pages to look at: overview, school, runs, what waits; whose they are, and what goes wrong."""

from __future__ import annotations

import re

import pytest

from config.operators import Role
from mappings.canonical.fields import Entity
from sync_engine.actor import Actor
from tests.support.hubs import Bench
from tests.support.seat import CSRF
from tests.unit.web.conftest import Visit, held, open_pupils, trail
from web.pages import routes
from web.rendering import ticked

ELSEWHERE = Actor("noor", Role.HELPDESK, frozenset({"elders"}))
LOOKS = ("/", "/wacht", "/plannen", "/zaken", "/runs", "/trends", "/quarantaine")
OTHERS = "/aansluiten", "/aansluiten/nieuw", "/zoek", "/besluiten"


def test_every_page_is_shown_in_both_languages_and_holds_no_script_or_style(
    one: Bench, seated: Visit
) -> None:
    plan = held(one)
    desk = seated(one)
    koppeling = ("/koppelingen/s0", "/aansluiten/koppelingen/s0")
    school = ("/scholen/99XX", "/aansluiten/scholen/99XX")
    pages = (*LOOKS, *OTHERS, f"/plannen/{plan}", "/runs/1", *school, *koppeling)
    assert {page.path for page in routes.PAGES if page.method == "GET"} == {
        *LOOKS,
        *OTHERS,
        "/aansluiten/scholen/{brin}",
        "/aansluiten/koppelingen/{koppeling}",
        "/plannen/{id:int}",
        "/zaken/{id:int}",
        "/runs/{id:int}",
        "/scholen/{brin}",
        "/koppelingen/{koppeling}",
    }
    for language in ("nl", "en"):
        desk.client.headers["accept-language"] = language
        for path in pages:
            page = desk.sees(path)
            assert f'<html lang="{language}">' in page, path
            assert "<script" not in page
            assert "<style" not in page
            assert " style=" not in page
            assert " onclick=" not in page
            assert page.count("<h1") == 1, path


def test_the_overview_says_what_is_wrong_and_leads_there(one: Bench, seated: Visit) -> None:
    held(one)
    desk = seated(one)
    page = desk.sees("/")
    assert 'href="/koppelingen/s0"' in page
    assert 'href="/scholen/99XX"' in page
    assert "vastgehouden" in page
    assert "Geen school voldoet" in desk.sees("/?school=onbekend")
    assert 'http-equiv="refresh"' not in page
    assert 'http-equiv="refresh" content="60"' in desk.sees("/?ververs=1")
    assert "/plannen/" in desk.sees("/koppelingen/s0")


def test_a_run_tells_its_timeline_and_what_it_changed(one: Bench, seated: Visit) -> None:
    held(one)
    desk = seated(one)
    page = desk.sees("/runs/1")
    assert "gelezen 12, nieuw 12, gewijzigd 0, weg 0" in page
    assert "Bekijk wat terugdraaien doet" in page
    assert "/runs/1" in desk.sees("/runs")


def test_a_run_is_undone_after_a_look_at_what_that_does(one: Bench, seated: Visit) -> None:
    one.sources["s0"].put(Entity.LEERLING, "a", achternaam="Oud")
    one.sync()
    one.sources["s0"].put(Entity.LEERLING, "a", achternaam="Nieuw")
    run = one.sync().run_id
    desk = seated(one)
    answer = desk.does(f"/runs/{run}/terugdraaien")
    assert one.query("SELECT achternaam FROM leerling") == [("Nieuw",)]
    page = desk.sees(answer.headers["location"])
    version = page.partition('name="shown" value="')[2].partition('"')[0]
    desk.does(f"{answer.headers['location']}/goedkeuren", shown=version, why="was niet goed")
    assert one.query("SELECT achternaam FROM leerling") == [("Oud",)]
    assert ("petra", "run undo", f"run {run}", "10.0.0.4") in trail(one)


def test_of_another_board_nothing_is_there(one: Bench, seated: Visit) -> None:
    plan = held(one)
    desk = seated(one, ELSEWHERE)
    for path in ("/", "/plannen", "/plannen?alle=1", "/runs", "/wacht", "/zaken", "/trends"):
        page = desk.sees(path)
        assert "s0" not in page, path
        assert "99XX" not in page, path
    for path in (f"/plannen/{plan}", "/runs/1", "/scholen/99XX", "/koppelingen/s0"):
        assert "Dit is er niet" in desk.sees(path, status=404)
    desk.does(f"/plannen/{plan}/goedkeuren", status=409, shown="x")
    assert open_pupils(one) == 12


def test_who_has_no_role_or_did_not_come_in_sees_nothing(one: Bench, seated: Visit) -> None:
    held(one)
    desk = seated(one, Actor("vreemd", None))
    for path in (*LOOKS, "/plannen/1", "/scholen/99XX"):
        assert "s0" not in desk.sees(path, status=403), path
    desk.seat.actor = None
    for path in (*LOOKS, "/plannen/1", "/scholen/99XX"):
        assert "s0" not in desk.sees(path, status=403), path


def test_what_is_not_there_is_said_with_what_to_do(one: Bench, seated: Visit) -> None:
    held(one)
    desk = seated(one)
    for path in ("/plannen/999", "/runs/999", "/zaken/999", "/scholen/12AB", "/koppelingen/nee"):
        page = desk.sees(path, status=404)
        assert "Dit is er niet" in page
    assert desk.client.get("/plannen/abc").status_code == 404
    assert desk.client.get("/runs?koppeling=nee").status_code == 404


def test_a_form_that_is_too_large_or_none_is_refused_unread(one: Bench, seated: Visit) -> None:
    plan = held(one)
    desk = seated(one)
    path = f"/plannen/{plan}/weigeren"
    for sent in (
        {"data": {"why": "x" * 70_000}},
        {"data": {f"veld{n}": "x" for n in range(60)}},
        {"json": {"why": "x"}},
        {
            "content": b"\xff\xfe=1",
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
    ):
        answer = desk.client.post(path, **sent)
        assert answer.status_code == 400
        assert "niet te lezen" in answer.text
    assert one.query("SELECT state FROM plan WHERE id = ?", plan) == [("held",)]


def test_a_language_is_chosen_and_kept(one: Bench, seated: Visit) -> None:
    held(one)
    desk = seated(one)
    answer = desk.client.get("/taal/en?terug=/wacht")
    assert (answer.status_code, answer.headers["location"]) == (303, "/wacht")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "What waits for a person" in desk.sees("/wacht")
    assert desk.client.get("/taal/en?terug=//elders.example").headers["location"] == "/"


def test_files_are_served_without_a_person_and_kept_by_their_content(
    one: Bench, seated: Visit
) -> None:
    desk = seated(one, None)
    answer = desk.client.get("/static/koppelhub.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert desk.client.get("/static/../texts.py").status_code == 404


def test_what_breaks_in_the_middle_is_told_without_what_broke(
    one: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seated: Visit
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Jansen, geboren 2012-03-04")

    monkeypatch.setattr("web.pages.runs.list_runs", broken)
    page = seated(one).sees("/runs", status=500)
    assert "Er ging iets mis" in page
    assert "Jansen" not in page
    assert "Jansen" not in caplog.text
    assert "a page failed: RuntimeError at test_look_pages.py:" in caplog.text


def test_every_form_that_changes_something_carries_the_token(one: Bench, seated: Visit) -> None:
    held(one)
    page = seated(one).sees("/runs/1")
    forms, tokens = page.count('method="post"'), page.count(f'name="_csrf" value="{CSRF}"')
    assert forms == tokens > 0


def test_no_log_line_and_no_address_holds_what_is_of_a_pupil(
    one: Bench, caplog: pytest.LogCaptureFixture, seated: Visit
) -> None:
    caplog.set_level("DEBUG")
    plan = held(one)
    desk = seated(one)
    for path in (*LOOKS, f"/plannen/{plan}", "/scholen/99XX"):
        page = desk.sees(path)
        links = re.findall(r'(?:href|action)="([^"]*)"', page)
        assert links
        assert not [link for link in links if "Naam" in link or "l0" in link], path
    desk.does(f"/plannen/{plan}/weigeren", status=409, shown="x", why="Naam0 is ziek")
    assert "Naam" not in caplog.text


def test_what_the_engine_puts_between_ticks_is_code_and_all_of_it_is_escaped() -> None:
    assert ticked("Zie `koppelhub runs` <b>") == "Zie <code>koppelhub runs</code> &lt;b&gt;"
    assert ticked("`<i>`") == "<code>&lt;i&gt;</code>"
    assert ticked("een ` alleen <b>") == "een ` alleen &lt;b&gt;"
