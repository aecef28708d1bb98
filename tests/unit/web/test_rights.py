"""A page needs the role of the command that does the same, and whatever changes is a form."""

from __future__ import annotations

import pytest

from config.operators import Role
from console.roles import OF_ALL_TENANTS, least_of
from web.pages.desk import Page
from web.pages.routes import PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.method} {page.path}")
def test_a_page_needs_what_its_command_needs(page: Page) -> None:
    assert page.least is least_of(page.command)
    assert page.of_all == (page.command in OF_ALL_TENANTS)
    looks = page.command in {"connectors check", "explain"}  # asks, and changes nothing
    assert (page.method == "GET") == (page.least is Role.READ) or looks


def test_every_page_has_an_address_of_its_own() -> None:
    assert len({(page.method, page.path) for page in PAGES}) == len(PAGES)
