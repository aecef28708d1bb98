"""The first page: what is wrong now, over all schools and systems, worst first."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sync_engine.health import State, health
from web.pages import labels
from web.pages.desk import Desk, Page
from web.pages.links import address, page_of
from web.pages.matrix import lay_out
from web.pages.systems import schools_of, title_of

_REFRESH_SECONDS: Final = 60
_STATES: Final = tuple(str(state) for state in (State.CRITICAL, State.WARNING, State.GOOD))

_WORDS: Final = {**labels.TROUBLES, **labels.STATES, "busy": labels.OUTCOMES["running"]}


def overview(desk: Desk) -> Response:
    """The matrix, with what was chosen on it."""
    state = desk.asked("stand") if desk.asked("stand") in _STATES else ""
    kind = desk.asked("wat") if desk.asked("wat") in labels.TROUBLES else ""
    text, follows = desk.asked("school"), desk.asked("ververs") == "1"
    found = health(desk.hub)
    matrix = lay_out(found, schools_of(desk.hub), state=state, text=text, kind=kind)
    chosen = {"stand": state, "school": text, "wat": kind, "ververs": "1" if follows else ""}

    def link(**other: str) -> str:
        return address("/", chosen | other)

    words = {name: desk.texts.gettext(word) for name, word in _WORDS.items()}
    return desk.show(
        "overview.html",
        words=words,
        health=found,
        matrix=matrix,
        chosen=chosen,
        link=link,
        title_of=title_of,
        labels=labels,
        page_of=page_of,
        refresh=_REFRESH_SECONDS if follows else 0,
    )


PAGES: Final = (Page("/", overview, "health"),)
