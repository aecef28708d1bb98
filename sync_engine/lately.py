"""The last runs of each koppeling, in a few statements however many koppelingen and runs there are.

Only whole runs count: those that tried everything there is to read. A single pupil that was read
well says nothing of the night that failed, and whoever gave another command was told what came of
it. Each question has an index of its own (run_tables.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from sync_engine.condition import LastRun
from sync_engine.outcome import Outcome
from sync_engine.store.values import instant
from sync_engine.store.work import Work

RUNNING: Final = "running"
BROKEN_OFF: Final = "running"
"""What `LastRun.outcome` says of a run that broke off: its row was never closed."""
TOLERANCE: Final = timedelta(hours=1)
"""How long past its limit a run may go on (the plan and the apply) before it is called broken."""
BAD: Final = frozenset({str(Outcome.FAILED), str(Outcome.CANCELLED), BROKEN_OFF})


class _Counts(msgspec.Struct):
    """What a run wrote down, of which health shows something; a run of before said less."""

    read: int = 0
    unread: int = 0
    waits: int = 0
    applied: dict[str, int] = {}
    held: int = 0
    quarantine: int = 0
    records: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Lately:
    """The runs of one koppeling that health judges by.

    Attributes:
        last: the last whole run that is over.
        good_at, done_at: when the last good one and the last without any remark began.
        running_since: of the run of whatever kind that is under way.
        held_since: when the first run began of those that held something, night after night.
        situations: of the last whole run that counted them.
    """

    last: LastRun | None = None
    good_at: datetime | None = None
    done_at: datetime | None = None
    running_since: datetime | None = None
    held_since: datetime | None = None
    situations: Mapping[str, int] = field(default_factory=dict)

    @property
    def ended_badly(self) -> bool:
        """Whether the last whole run failed, was cancelled or broke off."""
        return self.last is not None and self.last.outcome in BAD


def lately(
    work: Work, koppelingen: Sequence[int], *, now: datetime, longest: timedelta
) -> dict[int, Lately]:
    """Koppeling id → its last runs.

    Args:
        work: of the hub.
        koppelingen: ids.
        now: this instant.
        longest: how long a run may take; one that is under way for much longer has broken off.
    """
    going, broken = _running(work, koppelingen, begun=now - longest - TOLERANCE)
    newest = _newest(work, koppelingen)
    for number, run_id in broken.items():
        newest[number]["last"] = max(newest[number].get("last", 0), run_id)
    held = [n for n, found in newest.items() if "held" in found]
    since = _held_since(work, held)
    rows = _rows(work, {run_id for found in newest.values() for run_id in found.values()})
    return {
        number: _lately(newest[number], rows, going.get(number), since.get(number))
        for number in koppelingen
    }


def _lately(
    found: Mapping[str, int],
    rows: Mapping[int, tuple[LastRun, Mapping[str, int]]],
    running: datetime | None,
    held: datetime | None,
) -> Lately:
    last = rows.get(found.get("last", 0))
    good = rows.get(found.get("good", 0))
    done = rows.get(found.get("done", 0))
    return Lately(
        last=last and last[0],
        good_at=good and good[0].started_at,
        done_at=done and done[0].started_at,
        running_since=running,
        held_since=held,
        situations=(last and last[1]) or (good and good[1]) or {},
    )


def _newest(work: Work, koppelingen: Sequence[int]) -> dict[int, dict[str, int]]:
    """Koppeling id → `last`, `good`, and of each outcome the newest whole run."""
    outcomes = [str(outcome) for outcome in Outcome]
    newest = ", ".join(
        "(SELECT MAX(r.id) FROM run r WHERE r.koppeling_id = k.id AND r.whole "
        f"AND r.state = '{outcome}')"
        for outcome in outcomes
    )
    found: dict[int, dict[str, int]] = {number: {} for number in koppelingen}
    for number, good, *each in work.execute(
        "SELECT k.id, (SELECT MAX(r.id) FROM run r WHERE r.koppeling_id = k.id AND r.good), "
        f"{newest} FROM koppeling k WHERE {work.many('k.id')}",
        (work.values(koppelingen),),
    ):
        named = zip(("good", *outcomes), (good, *each), strict=True)
        mine = {name: run_id for name, run_id in named if run_id is not None}
        found[number] = mine | ({"last": max(mine.values())} if mine else {})
    return found


def _running(
    work: Work, koppelingen: Sequence[int], *, begun: datetime
) -> tuple[dict[int, datetime], dict[int, int]]:
    """(koppeling id → since when it runs, koppeling id → the whole run that broke off)."""
    going: dict[int, datetime] = {}
    broken: dict[int, int] = {}
    for number, run_id, started, whole in work.execute(
        "SELECT koppeling_id, id, started_at, whole FROM run "
        f"WHERE state = 'running' AND {work.many('koppeling_id')} ORDER BY id",
        (work.values(koppelingen),),
    ):
        at = instant(started)
        if at > begun:
            going[number] = at
        elif whole:
            broken[number] = run_id
    return going, broken


def _held_since(work: Work, koppelingen: Sequence[int]) -> dict[int, datetime]:
    """When the first began of the runs that held something since one that held nothing."""
    if not koppelingen:
        return {}
    return {
        number: instant(since)
        for number, since in work.execute(
            "SELECT r.koppeling_id, MIN(r.started_at) FROM run r WHERE r.whole "
            f"AND r.state = 'held' AND {work.many('r.koppeling_id')} AND r.id > COALESCE("
            "(SELECT MAX(q.id) FROM run q WHERE q.koppeling_id = r.koppeling_id AND q.whole "
            "AND q.state IN ('done', 'partial')), 0) GROUP BY r.koppeling_id",
            (work.values(koppelingen),),
        )
    }


def _rows(work: Work, runs: Collection[int]) -> dict[int, tuple[LastRun, Mapping[str, int]]]:
    found: dict[int, tuple[LastRun, Mapping[str, int]]] = {}
    for number, kind, state, started, finished, told, error, advice in work.execute(
        "SELECT id, kind, state, started_at, finished_at, counts, error, advice FROM run "
        f"WHERE {work.many('id')}",
        (work.values(sorted(runs)),),
    ):
        counts = msgspec.json.decode(told, type=_Counts)
        made = LastRun(
            number,
            kind,
            state,
            instant(started),
            finished and instant(finished),
            read=counts.read,
            created=_sum(counts.applied, "create"),
            changed=_sum(counts.applied, "change", "reopen"),
            closed=_sum(counts.applied, "close"),
            held=counts.held,
            quarantined=counts.quarantine,
            error=error or "",
            advice=advice or "",
            unread=counts.unread,
            waits=counts.waits,
        )
        found[number] = (made, counts.records)
    return found


def _sum(steps: Mapping[str, int], *ops: str) -> int:
    return sum(count for name, count in steps.items() if name.rpartition(".")[2] in ops)
