"""The ops page as a person uses it: by keyboard, on a phone, in the dark, without script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.house import House
from tests.browser.sight import faint, overflow, small, tab_to, unnamed
from tests.support.door import WORDS
from tests.support.town import MAIN

pytestmark = pytest.mark.browser


def looks(home: House) -> list[str]:
    """Every page, each with something on it."""
    case = home.rows("SELECT MAX(id) FROM zaak WHERE state = 'open'")[0][0]
    plan = home.rows("SELECT MAX(plan_id) FROM step")[0][0]
    run = home.rows("SELECT MAX(id) FROM run")[0][0]
    return [
        *("/", "/wacht", "/plannen?alle=1", "/zaken", "/runs", "/trends", "/quarantaine"),
        *("/aansluiten?alle=1", "/aansluiten/nieuw", "/aansluiten/scholen/98XX?systeem=somtoday"),
        *(f"/aansluiten/koppelingen/{MAIN}", "/zoek", "/besluiten", "/wachtwoord", "/nergens"),
        *(f"/plannen/{plan}", f"/zaken/{case}", f"/runs/{run}", "/scholen/99XX"),
        *(f"/koppelingen/{MAIN}", "/plannen/9999", "/?school=niets"),
    ]


def test_no_page_scrolls_sideways_on_a_phone_and_everything_can_be_pressed(
    visit: Visit, home: House
) -> None:
    page = visit("/", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for path in looks(home):
        page.goto(path)
        assert overflow(page) <= 0, path
        assert small(page) == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_and_everything_has_a_name(
    visit: Visit, home: House, scheme: str
) -> None:
    page = visit("/", color_scheme=scheme)
    for path in looks(home):
        page.goto(path)
        assert faint(page) == [], path
        assert unnamed(page) == [], path
    page = visit("/inloggen", who="", color_scheme=scheme)
    assert faint(page) == []
    assert unnamed(page) == []


def test_states_are_told_by_shape_and_word_and_not_by_colour_alone(
    visit: Visit, home: House
) -> None:
    page = visit("/")
    cells = page.locator(".matrix .cell")
    assert cells.count() >= 2
    for number in range(cells.count()):
        cell = cells.nth(number)
        shape = cell.locator("use").first.get_attribute("href")
        assert shape in {"#good", "#warning", "#critical"}
        assert cell.inner_text().strip()


def test_english_is_chosen_with_a_link_and_stays(visit: Visit, home: House) -> None:
    page: Page = visit("/zaken?stand=all")
    page.get_by_role("link", name="English").click()
    expect(page).to_have_url(f"{home.url}/zaken?stand=all")
    expect(page.get_by_role("heading", name="Cases")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    assert page.locator("html").get_attribute("lang") == "en"
    page.get_by_role("link", name="Nederlands").click()
    expect(page.get_by_role("heading", name="Overzicht")).to_be_visible()


def test_on_paper_stands_what_there_is_and_nothing_to_press(visit: Visit, home: House) -> None:
    page = visit("/scholen/99XX")
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="Praktijkschool Het Voorbeeld")).to_be_visible()
    assert page.locator("button:visible, nav:visible, form:visible").count() == 0


def test_a_held_plan_is_found_and_approved_by_keyboard_alone(visit: Visit, home: House) -> None:
    plan = home.plan()
    page = visit("/", who="")
    tab_to(page, "Naar de inhoud")  # the first stop passes the menu by
    tab_to(page, "Naam")
    page.keyboard.type("petra")
    tab_to(page, "Wachtwoord")
    page.keyboard.type(WORDS)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overzicht")).to_be_visible()
    tab_to(page, "Wat wacht")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Wat wacht - Koppelhub")
    tab_to(page, f"Bekijk: plan {plan}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Plan {plan}")).to_be_visible()
    tab_to(page, "Keur ")
    page.keyboard.press("Enter")
    expect(page.get_by_text("plan goedgekeurd")).to_be_visible()
    assert home.rows("SELECT state, decided_by FROM plan WHERE id = ?", plan) == [
        ("approved", "petra")
    ]
    tab_to(page, "Afmelden")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Inloggen")).to_be_visible()
    page.goto(f"/plannen/{plan}")
    expect(page.get_by_role("heading", name="Inloggen")).to_be_visible()


def test_a_case_is_decided_after_a_look_without_any_script(visit: Visit, home: House) -> None:
    case = int(str(home.rows("SELECT MIN(id) FROM zaak WHERE state = 'open'")[0][0]))
    page = visit(f"/zaken/{case}", java_script_enabled=False)
    page.get_by_label("Wat u nagevraagd hebt").fill("De school zegt: zo bedoeld.")
    page.get_by_role("button", name="Schrijf op").click()
    expect(page.get_by_text("De school zegt: zo bedoeld.")).to_be_visible()
    page.get_by_role("radio", name="Dit is dezelfde").first.check()
    page.get_by_role("button", name="Bekijk wat dit doet").click()
    expect(page.get_by_text("in zijn geheel, of helemaal niet")).to_be_visible()
    page.get_by_label("Reden").fill("zo bedoeld volgens de school")
    page.get_by_role("button", name="Doe dit").click()
    expect(page.get_by_text("beslissing", exact=False).first).to_be_visible()
    assert home.rows("SELECT operator, case_id FROM decision") == [("petra", case)]
