"""Debian's Chromium, driven as a person drives it, before the pages of a hub that has run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.browser.house import House, house

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser of this machine. Without one these tests are skipped, and fail in CI.

    It ends with its module: while it runs, an event loop runs in this thread.
    """
    found = shutil.which("chromium")
    if found is None:
        message = "there is no chromium here: `apt-get install chromium`"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two schools that have run for four nights; one for the whole module."""
    with house(tmp_path_factory.mktemp("huis") / "installatie") as made:
        yield made


@pytest.fixture
def visit(chromium: Browser, home: House) -> Iterator[Visit]:
    """Opens a browser at a page; at the end nothing may have gone wrong in it."""
    with ExitStack() as ends:
        troubles: list[str] = []

        def opened(path: str = "/", *, who: str = "petra", **options: object) -> Page:
            wanted: dict[str, object] = {
                "viewport": {"width": 1280, "height": 860},
                "locale": "nl-NL",
                "timezone_id": "Europe/Amsterdam",
                "base_url": home.url,
            }
            context: BrowserContext = chromium.new_context(**(wanted | options))  # type: ignore[arg-type] # of Playwright, by name
            ends.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("console", lambda said: troubles.extend(_trouble(said)))
            page.on("pageerror", lambda error: troubles.append(str(error)))
            if who:
                context.add_cookies(home.signed_in(who))  # type: ignore[arg-type] # a TypedDict of it
            page.goto(path)
            return page

        yield opened
    assert troubles == []


def _trouble(said: ConsoleMessage) -> list[str]:
    """What the browser complains of: the policy that a page breaks, a file that is not there.

    That a page itself is not there is what a test asked for.
    """
    asked_for = "status of 404" in said.text and "/static/" not in str(said.location)
    return [] if said.type not in {"error", "warning"} or asked_for else [said.text]
