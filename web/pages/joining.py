"""Schools that are on their way into the hub: what is done, and what comes next."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sync_engine.onboarding import Standing, Step, ways
from web.pages.desk import Desk, Page
from web.pages.links import of_koppeling
from web.texts import marked

STEPS: Final = {
    Step.LINK: marked("gekoppeld"),
    Step.AGREEMENT: marked("overeenkomst vastgelegd"),
    Step.CHECK: marked("verbinding en rechten gecontroleerd"),
    Step.ADOPT: marked("overgenomen wat er al stond"),
    Step.PLAN: marked("eerste plan gemaakt"),
    Step.APPLY: marked("eerste plan toegepast"),
    Step.LIVE: marked("draait vanzelf"),
}
STANDINGS: Final = {
    Standing.DONE: marked("klaar"),
    Standing.NEXT: marked("nu"),
    Standing.LATER: marked("later"),
    Standing.OPTIONAL: marked("mag"),
}
SHAPES: Final = {
    Standing.DONE: "good",
    Standing.NEXT: "warning",
    Standing.LATER: "none",
    Standing.OPTIONAL: "none",
}


def joining(desk: Desk) -> Response:
    """Every koppeling that has a step to take; all of them where that is asked."""
    every = ways(desk.hub)
    whole = desk.asked("alle") == "1"
    return desk.show(
        "joining.html",
        ways=[way for way in every if whole or way.next is not None],
        whole=whole,
        steps=STEPS,
        standings=STANDINGS,
        shapes=SHAPES,
        of_koppeling=of_koppeling,
    )


PAGES: Final = (Page("/aansluiten", joining, "onboarding"),)
