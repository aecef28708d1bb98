"""A koppeling in maintenance, off and on again, by a person on its page."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from starlette.responses import Response

from config.clock import zone
from sync_engine.errors import SyncError
from sync_engine.switches import (
    Switch,
    begin_maintenance,
    end_maintenance,
    read_switch,
    switch_off,
    switch_on,
)
from web.pages.desk import Desk, act
from web.pages.links import of_koppeling

_MOST_WHY: Final = 500


def standing(desk: Desk, name: str) -> Switch:
    """How a koppeling stands now. Raises: ConfigurationError if it is not his."""
    row = desk.hub.koppeling(name)
    with desk.hub.store.work() as work:
        return read_switch(work, row.id)


def maintain(desk: Desk) -> Response:
    """Keep everybody from its source, until a moment where one is given."""
    name = desk.name("koppeling")
    until = _until(desk)
    begin_maintenance(desk.hub, [name], operator=desk.operator, why=_why(desk), until=until)
    return desk.go(of_koppeling(name))


def go_on(desk: Desk) -> Response:
    """The maintenance is over."""
    name = desk.name("koppeling")
    end_maintenance(desk.hub, [name], operator=desk.operator)
    return desk.go(of_koppeling(name))


def off(desk: Desk) -> Response:
    """The clock does not run it any more."""
    name = desk.name("koppeling")
    switch_off(desk.hub, [name], operator=desk.operator, why=_why(desk))
    return desk.go(of_koppeling(name))


def on(desk: Desk) -> Response:
    """The clock runs it again."""
    name = desk.name("koppeling")
    switch_on(desk.hub, [name], operator=desk.operator, why=_why(desk))
    return desk.go(of_koppeling(name))


def _why(desk: Desk) -> str:
    return " ".join(desk.form.get("why", "").split())[:_MOST_WHY]


def _until(desk: Desk) -> datetime | None:
    """The local moment that was given; None for none. Raises: SyncError if it is no moment."""
    text = desk.form.get("until", "")
    if not text:
        return None
    try:
        local = datetime.strptime(text, "%Y-%m-%dT%H:%M")  # noqa: DTZ007 - given its zone below
    except ValueError:
        raise SyncError(
            "the end of the maintenance is no moment",
            advice="Kies een dag en een tijd, of laat het leeg.",
        ) from None
    return local.replace(tzinfo=zone(desk.hub.settings.timezone))


PAGES: Final = (
    act("/koppelingen/{koppeling}/onderhoud", maintain, "source maintenance"),
    act("/koppelingen/{koppeling}/onderhoud/einde", go_on, "source maintenance"),
    act("/koppelingen/{koppeling}/uit", off, "source off"),
    act("/koppelingen/{koppeling}/aan", on, "source on"),
)
