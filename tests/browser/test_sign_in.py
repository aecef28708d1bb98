"""Signing in with a real browser: what it sends of itself, keeps and forbids."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from config.operators import Operator, Role
from fixtures.sandbox.oidc import IssuerSandbox, Person
from sync_engine.store.engine import Store
from tests.support.door import WORDS, House, house

pytestmark = pytest.mark.browser

MAIL = "baas@school.example"
SECRET = "KOPPELHUB_TEST_OIDC_SECRET"
OPERATORS = (Operator(name="baas", role=Role.ADMIN), Operator(name=MAIL, role=Role.ADMIN))


@pytest.fixture(scope="module")
def gate(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A door at `localhost`, and an issuer at 127.0.0.1: to a browser, another site."""
    folder = tmp_path_factory.mktemp("poort")
    shutil.copyfile(_sqlite_template, folder / "hub.db")
    with (
        pytest.MonkeyPatch.context() as patch,
        Store.open(f"sqlite:///{folder / 'hub.db'}") as store,
        IssuerSandbox([Person(MAIL, "baas")]) as sandbox,
    ):
        patch.setenv(SECRET, sandbox.client.client_secret)
        oidc = {"issuer": sandbox.url, "client_id": "koppelhub", "client_secret": {"env": SECRET}}
        with house(store, folder, operator=OPERATORS, oidc=oidc) as home:
            home.url = home.url.replace("127.0.0.1", "localhost")
            sandbox.issuer.now = home.clock.now
            sandbox.issuer.redirect_uris.add(f"{home.url}/inloggen/terug")
            yield home


@pytest.fixture
def page(chromium: Browser, gate: House) -> Iterator[Page]:
    """A browser of somebody who is not signed in."""
    gate.begin()
    context = chromium.new_context(base_url=gate.url, locale="nl-NL")
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    yield opened
    context.close()


def told_on(page: Page) -> dict[str, str]:
    """Who is signed in, as the page at the end of the way says."""
    page.wait_for_url(lambda url: "inloggen" not in url)
    told: dict[str, str] = json.loads(page.locator("pre").inner_text())
    return told


def test_somebody_signs_in_by_keyboard_and_wrong_first(page: Page, gate: House) -> None:
    page.goto("/school/99XX")
    expect(page).to_have_title("Inloggen - Koppelhub")
    page.get_by_label("Naam").focus()
    page.keyboard.type("baas")
    page.keyboard.press("Tab")
    page.keyboard.type("niet dit wachtwoord")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("horen niet bij elkaar")
    assert page.get_by_label("Naam").input_value() == ""
    page.get_by_label("Naam").fill("baas")
    page.get_by_label("Wachtwoord").fill(WORDS)
    page.get_by_role("button", name="Inloggen").press("Enter")
    assert told_on(page)["name"] == "baas"
    kept = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert set(kept) == {"koppelhub"}
    assert (kept["koppelhub"]["httpOnly"], kept["koppelhub"]["sameSite"]) == (True, "Lax")
    assert page.evaluate("document.cookie") == ""


def test_somebody_signs_in_at_an_issuer_of_another_site(page: Page, gate: House) -> None:
    page.goto("/school/99XX")
    page.get_by_role("link", name="Inloggen met schoolaccount").click()
    page.get_by_role("button", name="baas").click()
    assert told_on(page)["name"] == MAIL
    assert [line[:3] for line in gate.trail()] == [(MAIL, "sign-in", "via oidc")]


def test_another_site_cannot_send_a_form_or_show_a_page_of_ours(page: Page, gate: House) -> None:
    page.goto("/inloggen")
    page.get_by_label("Naam").fill("baas")
    page.get_by_label("Wachtwoord").fill(WORDS)
    page.get_by_role("button", name="Inloggen").click()
    token = told_on(page)["csrf"]
    elsewhere = gate.url.replace("localhost", "127.0.0.1")
    form = (
        f'<form method="post" action="{gate.url}/wijzig"><input name="_csrf" value="{token}">'
        f'<button>ga</button></form><iframe src="{gate.url}/inloggen"></iframe>'
    )
    page.route(
        f"{elsewhere}/vreemd", lambda route: route.fulfill(body=form, content_type="text/html")
    )
    page.goto(f"{elsewhere}/vreemd")
    assert page.frame_locator("iframe").get_by_label("Naam").count() == 0
    page.get_by_role("button", name="ga").click()
    expect(page.get_by_role("alert")).to_contain_text("niet vanaf een pagina van Koppelhub")
    assert gate.changed == []


def test_a_browser_tells_a_page_that_renews_itself_from_a_person(page: Page, gate: House) -> None:
    page.goto("/inloggen?next=/ververs")
    page.get_by_label("Naam").fill("baas")
    page.get_by_label("Wachtwoord").fill(WORDS)
    page.get_by_role("button", name="Inloggen").click()
    page.wait_for_url("**/school/99XX")
    assert told_on(page)["user"] == ""
    page.goto("/school/99XX")
    assert told_on(page)["user"] == "?1"
