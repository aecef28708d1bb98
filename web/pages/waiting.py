"""What waits for a person, over all koppelingen; and what could not be read, for the school."""

from __future__ import annotations

from itertools import islice
from typing import Final

from starlette.responses import Response

from sync_engine.audit import note
from sync_engine.quarantine import WARNING, listed
from sync_engine.selection import koppelingen_of, select
from sync_engine.todo import todo
from web.pages import labels
from web.pages.desk import Desk, Page
from web.pages.links import of_koppeling, page_of

_SHOWN: Final = 200


def waiting(desk: Desk) -> Response:
    """All that waits, the most pressing first."""
    source, school = desk.asked("koppeling"), desk.asked("school")
    with desk.hub.store.work() as work:
        known = sorted(koppelingen_of(desk.hub, work).values())
        chosen = select(desk.hub, work, source=source or None, school=school or None)
    found = todo(desk.hub, chosen)
    return desk.show(
        "todo.html",
        todo=found,
        known=known,
        source=source,
        school=school,
        labels=labels,
        page_of=page_of,
        of_koppeling=of_koppeling,
    )


def quarantine(desk: Desk) -> Response:
    """Records and fields that break a rule: which, since when, and what the school is to do."""
    source, school = desk.asked("koppeling"), desk.asked("school")
    with desk.hub.store.work() as work:
        known = sorted(koppelingen_of(desk.hub, work).values())
        chosen = select(desk.hub, work, source=source or None, school=school or None)
        found = list(islice(listed(desk.hub, work, chosen), _SHOWN + 1))
        named = chosen.names if source or school else sorted({one.koppeling for one in found})
        for name in named:
            subject = f"koppeling {name}"
            note(desk.hub, work, operator=desk.operator, action="quarantine list", subject=subject)
    return desk.show(
        "quarantine.html",
        broken=found[:_SHOWN],
        more=len(found) > _SHOWN,
        light=WARNING,
        known=known,
        source=source,
        school=school,
        of_koppeling=of_koppeling,
    )


PAGES: Final = (
    Page("/wacht", waiting, "todo"),
    Page("/quarantaine", quarantine, "quarantine list"),
)
