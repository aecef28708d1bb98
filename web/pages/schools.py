"""The page of a school, and that of one koppeling: how fresh, what waits, the last runs, trends."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Final

from starlette.responses import Response

from config.errors import ConfigurationError
from sync_engine.alerts.weekly import COLUMNS, lines, weekly
from sync_engine.audit import note
from sync_engine.cells import rows
from sync_engine.health import KoppelingHealth, health
from sync_engine.history import RunView, list_runs
from sync_engine.pseudonyms import without_one
from sync_engine.rights import may_switch
from sync_engine.selection import Selection, select
from sync_engine.switches import Switch
from sync_engine.todo import Item, todo
from sync_engine.trends import trend_of
from web.pages import labels
from web.pages.asking import AGAIN, waits
from web.pages.desk import Desk, Page, act
from web.pages.drawn import of_runs
from web.pages.links import of_koppeling, page_of
from web.pages.switching import standing
from web.pages.systems import schools_of, title_of

_RUNS: Final = 5
"""Of each koppeling so many runs are listed."""


def school(desk: Desk) -> Response:
    """All koppelingen of one school."""
    brin = desk.name("brin").upper()
    names = [source.name for source in desk.hub.sources_of(brin)]
    found = next((each for each in schools_of(desk.hub) if each.brin == brin[:4]), None)
    title = brin if found is None else found.name
    under = brin if found is None else f"{brin}, {found.tenant}"
    waiting = _waiting(desk, school=brin)
    eck_ids = without_one(desk.hub, brin) if names else None
    return _shown(desk, title, under, names, waiting=waiting, brin=brin, eck_ids=eck_ids)


def koppeling(desk: Desk) -> Response:
    """One koppeling, whatever schools it serves."""
    source = desk.hub.source(desk.name("koppeling"))
    served = {number[:4] for one in _health(desk, [source.name]) for number in one.schools}
    schools = [each for each in schools_of(desk.hub) if each.brin in served]
    waiting = _waiting(desk, source=source.name)
    return _shown(
        desk,
        source.name,
        title_of(source.system),
        [source.name],
        waiting=waiting,
        serves=schools,
        switch=standing(desk, source.name),
        switches=may_switch(desk.hub, source.name),
    )


def weekly_file(desk: Desk) -> Response:
    """What the school can mend at the source, with its own numbers: a file for that school."""
    brin = desk.name("brin").upper()
    report = weekly(desk.hub, brin)
    text = StringIO()
    write = rows(text, COLUMNS)
    with desk.hub.store.work() as work:
        why = "met de nummers van de bron"
        subject = f"school {report.school}"
        operator = desk.operator
        note(desk.hub, work, operator=operator, action="report weekly", subject=subject, why=why)
        for line in lines(desk.hub, work, brin):
            write(line.cells)
    name = f"weekbericht-{report.school}-{report.week}.csv"
    return Response(
        text.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "no-store",
        },
    )


def _shown(
    desk: Desk,
    title: str,
    under: str,
    names: Sequence[str],
    *,
    waiting: Sequence[Item],
    serves: Sequence[object] = (),
    switch: Switch | None = None,
    brin: str = "",
    switches: bool = False,
    eck_ids: tuple[int, int] | None = None,
) -> Response:
    koppelingen = _health(desk, names)
    charts = {
        name: of_runs(desk.texts, trend_of(desk.hub, name).points, desk.now) for name in names
    }
    runs: list[RunView] = []
    for name in names:
        runs += list_runs(desk.hub, koppeling=name, limit=_RUNS)
    runs.sort(key=lambda run: -run.id)
    reading = switch is not None and waits(desk, runs[0] if runs else None)
    return desk.show(
        "school.html",
        heading=title,
        under=under,
        koppelingen=koppelingen,
        waiting=waiting,
        runs=runs,
        charts=charts,
        serves=serves,
        switch=switch,
        brin=brin,
        reading=reading,
        refresh=int(AGAIN.total_seconds()) if reading else 0,
        switches=switches,
        eck_ids=eck_ids,
        of_all=not desk.hub.actor.is_limited,
        in_maintenance=switch is not None and switch.in_maintenance(desk.now),
        labels=labels,
        title_of=title_of,
        page_of=page_of,
        of_koppeling=of_koppeling,
    )


def _health(desk: Desk, names: Sequence[str]) -> tuple[KoppelingHealth, ...]:
    return health(desk.hub, only=names).koppelingen if names else ()


def _waiting(desk: Desk, *, school: str | None = None, source: str | None = None) -> list[Item]:
    try:
        with desk.hub.store.work() as work:
            chosen = select(desk.hub, work, source=source, school=school)
    except ConfigurationError:  # nothing was ever read of it
        chosen = Selection({})
    return todo(desk.hub, chosen).items


PAGES: Final = (
    Page("/scholen/{brin}", school, "health"),
    Page("/koppelingen/{koppeling}", koppeling, "health"),
    act("/scholen/{brin}/weekbericht", weekly_file, "report weekly"),
)
