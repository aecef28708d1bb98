"""A school comes in, from nothing to live, as an administrator does it in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sync_engine import accounts
from sync_engine.passwords import Passwords
from tests.browser.sight import faint, overflow, small, unnamed
from tests.support.door import QUICK, WORDS
from tests.support.newcomer import BRIN, NAME, Newcomer, newcomer
from tests.support.served import served
from web.door import Door
from web.ops import installation

pytestmark = pytest.mark.browser


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Newcomer]:
    with newcomer(tmp_path / "huis") as made:
        yield made


@pytest.fixture
def page(chromium: Browser, new: Newcomer) -> Iterator[Page]:
    """The administrator has signed in; there is no script in his browser."""
    passwords = Passwords(QUICK)
    accounts.add(new.hub, passwords, "baas", WORDS)
    door = Door(new.hub, passwords=passwords)
    with served(installation(new.hub, {}, door=door, house=new.house)) as url:
        context = chromium.new_context(
            base_url=url, locale="nl-NL", viewport={"width": 360, "height": 740}
        )
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto("/aansluiten")
        page.get_by_label("Naam").fill("baas")
        page.get_by_label("Wachtwoord").fill(WORDS)
        page.keyboard.press("Enter")
        yield page
        context.close()


def fits(page: Page) -> None:
    """What is on the page can be read and pressed, on a phone."""
    assert (overflow(page), small(page), faint(page), unnamed(page)) == (0, [], [], [])


def test_from_nothing_to_live_in_a_browser(new: Newcomer, page: Page) -> None:
    page.get_by_role("link", name="Een school toevoegen").click()
    expect(page.get_by_label("Volledige naam")).to_be_visible()
    fits(page)
    page.get_by_label("BRIN").fill(BRIN)
    page.get_by_label("Naam van de school").fill(NAME)
    page.get_by_label("Korte naam").fill("demo")
    page.get_by_label("Volledige naam").fill("Stichting Voorbeeldonderwijs")
    page.get_by_role("button", name="Voeg toe").click()
    page.get_by_label("Systeem").select_option("somtoday")
    page.get_by_role("button", name="Kies").click()
    expect(page.get_by_label("Naam van de koppeling")).to_be_visible()
    fits(page)
    page.get_by_label("Naam van de koppeling").fill("som")
    page.get_by_text("Meer instellingen").click()
    for name, value in new.settings.items():
        page.locator(f'[name="{name}"]').fill(value)
    page.get_by_role("button", name="Zoek de organisatie op").click()
    expect(page.get_by_role("heading", name="Is dit de school?")).to_be_visible()
    expect(page.get_by_text(new.sandbox.school.uuid)).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Ja, koppel deze school").click()
    expect(page.get_by_text("ontbreekt")).to_be_visible()
    expect(page.get_by_text("install -D -m 0600")).to_be_visible()
    fits(page)
    new.put_secret()
    page.get_by_label("De overeenkomst, in woorden").fill("verwerkersovereenkomst 2026-12")
    page.get_by_label("Doel").fill("leerlingvolgsysteem")
    page.get_by_label("Dag van de overeenkomst").fill("2026-08-01")
    page.get_by_role("button", name="Leg vast").click()
    expect(page.get_by_text("staat er")).to_be_visible()
    page.get_by_role("button", name="Controleer verbinding en rechten").click()
    expect(page.get_by_text("Gecontroleerd door baas")).to_be_visible()
    page.get_by_role("button", name="Maak een plan").click()
    page.get_by_role("link", name="Bekijk plan").click()  # the page renews itself until it is there
    page.get_by_role("button", name="Keur ").click()
    expect(page.get_by_text("plan goedgekeurd")).to_be_visible()
    page.goto("/aansluiten")
    page.get_by_role("link", name="Ga verder met som").click()
    page.get_by_role("button", name="Zet live").click()
    expect(page.get_by_text("15 2 * * *")).to_be_visible()
    fits(page)
    page.get_by_role("link", name="Onderhoud, en aan of uit").click()
    page.get_by_label("Waarom").first.fill("leverancier werkt eraan")
    page.get_by_role("button", name="Zet in onderhoud").click()
    page.get_by_role("button", name="Beëindig het onderhoud").click()
    page.goto("/aansluiten")
    expect(page.get_by_text("Elke school is aangesloten")).to_be_visible()
    ((pupils,),) = new.rows("SELECT COUNT(*) FROM leerling")
    assert pupils > 0
