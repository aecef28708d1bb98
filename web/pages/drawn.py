"""The charts of the pages: duration, volume and changes, run by run or day by day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from sync_engine.trends import DAYS, RUNS, DayPoint, RunPoint
from web.pages.charts import Chart, bars
from web.pages.labels import OUTCOMES
from web.texts import Texts

_BAD: Final = frozenset({"failed", "cancelled", "partial"})
Point = TypeVar("Point", RunPoint, DayPoint)


def of_runs(texts: Texts, points: Sequence[RunPoint], now: datetime) -> tuple[Chart, ...]:
    """Three charts of the last runs of a koppeling, oldest first; none where there is no run."""

    def when(point: RunPoint) -> str:
        outcome = texts.gettext(OUTCOMES.get(point.state, point.state))
        return f"{texts.moment(point.started_at, now)}, {outcome}"

    return _three(texts, points, when, lambda point: point.state in _BAD, slots=RUNS)


def of_days(texts: Texts, points: Sequence[DayPoint]) -> tuple[Chart, ...]:
    """Three charts of the last days, and how many runs there were."""

    def when(point: DayPoint) -> str:
        failed = texts.ngettext("%(num)s mislukt", "%(num)s mislukt", point.failed)
        return f"{texts.day(point.day)}, {failed % {'num': point.failed}}"

    def is_odd(point: DayPoint) -> bool:
        return point.failed > 0

    runs = _chart(
        texts,
        texts.gettext("Runs per dag"),
        points,
        lambda point: float(point.runs),
        texts.number,
        when,
        is_odd,
        slots=DAYS,
    )
    longest = texts.gettext("Langste run")
    return (runs, *_three(texts, points, when, is_odd, slots=DAYS, lasted=longest))


def _three(
    texts: Texts,
    points: Sequence[Point],
    when: Callable[[Point], str],
    is_odd: Callable[[Point], bool],
    *,
    slots: int,
    lasted: str = "",
) -> tuple[Chart, ...]:
    if not points:
        return ()

    def chart(title: str, value: Callable[[Point], float], say: Callable[[float], str]) -> Chart:
        return _chart(texts, title, points, value, say, when, is_odd, slots=slots)

    return (
        chart(
            lasted or texts.gettext("Duur"),
            lambda point: point.seconds,
            lambda n: duration(texts, n),
        ),
        chart(texts.gettext("Gelezen"), lambda point: float(point.read), texts.number),
        chart(texts.gettext("Gewijzigd"), lambda point: float(point.changed), texts.number),
    )


def duration(texts: Texts, seconds: float) -> str:
    """12 seconden, 3 minuten."""
    return texts.lasted(timedelta(seconds=round(seconds)))


def _chart(
    texts: Texts,
    title: str,
    points: Sequence[Point],
    value: Callable[[Point], float],
    say: Callable[[float], str],
    when: Callable[[Point], str],
    is_odd: Callable[[Point], bool],
    *,
    slots: int,
) -> Chart:
    values = [value(point) for point in points]
    words = [f"{when(point)}: {say(number)}" for point, number in zip(points, values, strict=True)]
    told = texts.gettext("%(title)s: nu %(now)s, meest %(most)s, minst %(least)s") % {
        "title": title,
        "now": say(values[-1]),
        "most": say(max(values)),
        "least": say(min(values)),
    }
    ends = [when(point).partition(",")[0] for point in (points[0], points[-1])]
    drawn = bars(values, words, [is_odd(point) for point in points], slots=slots)
    return Chart(title, say(values[-1]), told, drawn, ends[0], ends[1])
