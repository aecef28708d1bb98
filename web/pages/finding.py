"""Finding a pupil by what a school says on the phone; what is typed stands in no address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from config.operators import Role
from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.search import Match, search
from web.pages.desk import Desk, Page, act

_LONGEST: Final = 200


def ask(desk: Desk) -> Response:
    """The field to type in."""
    return _shown(desk)


def find(desk: Desk) -> Response:
    """Who it may be; the look is in the audit trail by its kind, never by what was typed."""
    text = desk.form.get("tekst", "")[:_LONGEST]
    try:
        found = search(desk.hub, Entity.LEERLING, text, operator=desk.operator)
    except SyncError as error:
        return _shown(desk, nobody=error.advice)
    return _shown(desk, found)


def _shown(desk: Desk, found: Sequence[Match] = (), *, nobody: str = "") -> Response:
    return desk.show("find.html", found=found, nobody=nobody)


PAGES: Final = (
    Page("/zoek", ask, "explain"),
    act("/zoek", find, "explain", least=Role.READ),
)
