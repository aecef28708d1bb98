"""Every page under its address."""

from __future__ import annotations

from typing import Final

from starlette.routing import Route

from web import rendering, texts
from web.pages import (
    asking,
    cases,
    enrolling,
    finding,
    joining,
    overview,
    plans,
    runs,
    schools,
    switching,
    trends,
    waiting,
)
from web.pages.desk import House, Page, route

PAGES: Final[tuple[Page, ...]] = (
    *overview.PAGES,
    *waiting.PAGES,
    *plans.PAGES,
    *cases.PAGES,
    *runs.PAGES,
    *trends.PAGES,
    *schools.PAGES,
    *switching.PAGES,
    *joining.PAGES,
    *enrolling.PAGES,
    *asking.PAGES,
    *finding.PAGES,
)


def routes(house: House) -> list[Route]:
    """The pages, the files beside them, and where a person chooses his language.

    The door stands before all of them but the files and the choice of a language.
    """
    return [*rendering.routes(), *texts.routes(), *(route(house, page) for page in PAGES)]
