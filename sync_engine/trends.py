"""How long runs last, how much they read and change, run by run and day by day; only counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from config.clock import local_date
from sync_engine.hub import Hub
from sync_engine.selection import koppelingen_of
from sync_engine.store.values import instant
from sync_engine.store.work import Row, Work

RUNS: Final = 30
DAYS: Final = 14

_COLUMNS: Final = (
    "SELECT r.id, r.state, r.started_at, r.finished_at, d.read, d.changed FROM run r "
    "JOIN (SELECT run_id, SUM(read) AS read, SUM(added + changed + gone) AS changed "
    "FROM reading WHERE {which} GROUP BY run_id) d ON d.run_id = r.id"
)


@dataclass(frozen=True, slots=True)
class RunPoint:
    """One run that read its source and is over.

    Attributes:
        state: its outcome.
        seconds: from its start to its end.
        changed: records that came, changed or went, of those that it read.
    """

    run_id: int
    state: str
    started_at: datetime
    seconds: float
    read: int
    changed: int


@dataclass(slots=True)
class DayPoint:
    """All runs of one local day together; `seconds` is of the longest of them."""

    day: date
    runs: int = 0
    failed: int = 0
    seconds: float = 0.0
    read: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Trend:
    """The last runs of one koppeling, oldest first."""

    koppeling: str
    points: list[RunPoint] = field(default_factory=list)


def trend_of(hub: Hub, koppeling: str, *, runs: int = RUNS) -> Trend:
    """The last runs of a koppeling that read anything.

    Raises: ConfigurationError if there is none that the actor may see.
    """
    with hub.store.work() as work:
        mine = work.values(list(koppelingen_of(hub, work, only=koppeling)))
        last = work.execute(
            f"SELECT r.id FROM run r WHERE {work.many('r.koppeling_id')} AND r.finished_at "
            "IS NOT NULL AND EXISTS (SELECT 1 FROM reading d WHERE d.run_id = r.id) "
            f"ORDER BY r.id DESC LIMIT {runs:d}",
            (mine,),
        )
        numbers = [row[0] for row in last]
        if not numbers:
            return Trend(koppeling)
        columns = _COLUMNS.format(which=work.many("run_id"))
        rows = work.execute(f"{columns} ORDER BY r.id", (work.values(numbers),))
    return Trend(koppeling, [_point(row) for row in rows])


def trend_of_days(hub: Hub, koppelingen: Sequence[str], *, days: int = DAYS) -> list[DayPoint]:
    """Each of the last days, today included, with what these koppelingen did on it."""
    today = local_date(hub.clock.now(), hub.settings.timezone)
    first = today - timedelta(days=days - 1)
    found = {first + timedelta(days=n): DayPoint(first + timedelta(days=n)) for n in range(days)}
    with hub.store.work() as work:
        chosen = [
            number for number, name in koppelingen_of(hub, work).items() if name in set(koppelingen)
        ]
        for point in _since(work, chosen, hub.clock.now() - timedelta(days=days + 1)):
            at = found.get(local_date(point.started_at, hub.settings.timezone))
            if at is None:
                continue
            at.runs += 1
            at.failed += point.state in {"failed", "cancelled"}
            at.seconds = max(at.seconds, point.seconds)
            at.read += point.read
            at.changed += point.changed
    return list(found.values())


def _since(work: Work, koppelingen: Sequence[int], since: datetime) -> Iterator[RunPoint]:
    first = work.execute("SELECT MIN(id) FROM run WHERE started_at >= ?", (since,))[0][0]
    if first is None:
        return
    for row in work.rows(
        f"{_COLUMNS.format(which='run_id >= ?')} WHERE {work.many('r.koppeling_id')} "
        "AND r.finished_at IS NOT NULL ORDER BY r.id",
        (first, work.values(koppelingen)),
    ):
        yield _point(row)


def _point(row: Row) -> RunPoint:
    number, state, started, finished, read, changed = row
    begun = instant(started)
    seconds = (instant(finished) - begun).total_seconds()
    return RunPoint(number, state, begun, seconds, int(read), int(changed))
