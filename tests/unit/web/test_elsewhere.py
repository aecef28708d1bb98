"""What is at no address: a page for a person, a problem for a program."""

from __future__ import annotations

import httpx
import pytest

from sync_engine.current import Current
from tests.support.hubs import Bench
from tests.support.served import served
from web.ops import application
from web.pages.desk import House
from web.pages.routes import routes


@pytest.mark.parametrize(("language", "title"), [("nl", "is er niet"), ("en", "is not there")])
def test_an_address_that_is_none_has_a_page_of_its_own(
    one: Bench, language: str, title: str
) -> None:
    with served(application({}, routes=routes(House(Current(one.hub))))) as url:
        answer = httpx.get(f"{url}/sch%3Cb%3Eolen", headers={"accept-language": language})
        other = httpx.post(f"{url}/trends", headers={"accept-language": language})
    assert (answer.status_code, other.status_code) == (404, 405)
    for page in (answer.text, other.text):
        assert title in page
        assert 'href="/"' in page
    assert "<b>" not in answer.text


def test_a_program_is_told_in_its_own_form(one: Bench) -> None:
    with served(application({}, routes=routes(House(Current(one.hub))))) as url:
        answer = httpx.get(f"{url}/v1/iets")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404
