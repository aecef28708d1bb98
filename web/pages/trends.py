"""Trends: how long runs last, how much they read and change, day by day and run by run."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sync_engine.trends import trend_of, trend_of_days
from web.pages.desk import Desk, Page
from web.pages.drawn import duration, of_days, of_runs
from web.pages.links import of_koppeling
from web.pages.systems import schools_of, title_of

_MOST: Final = 12
"""So many koppelingen are drawn beside each other."""


def trends(desk: Desk) -> Response:
    """The days of what was chosen, then the runs of each koppeling of it."""
    school = desk.asked("school").upper()
    sources = desk.hub.sources_of(school) if school else desk.hub.sources()
    names = [source.name for source in sources]
    days = trend_of_days(desk.hub, names)
    drawn = [
        (source, of_runs(desk.texts, trend_of(desk.hub, source.name).points, desk.now))
        for source in sources[:_MOST]
        if school or len(sources) <= _MOST
    ]

    def lasted(seconds: float) -> str:
        return duration(desk.texts, seconds)

    return desk.show(
        "trends.html",
        days=days,
        charts=of_days(desk.texts, days),
        drawn=drawn,
        schools=schools_of(desk.hub),
        school=school,
        lasted=lasted,
        of_koppeling=of_koppeling,
        title_of=title_of,
    )


PAGES: Final = (Page("/trends", trends, "runs"),)
