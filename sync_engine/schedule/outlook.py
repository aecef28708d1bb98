"""What the clock has in store for a koppeling: when it is due, what it waits for, what failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from config.sources import Source
from sync_engine.hub import Hub
from sync_engine.options import Kind
from sync_engine.schedule.due import next_due, offset_of
from sync_engine.schedule.state import Place, State


@dataclass(frozen=True, slots=True)
class Outlook:
    """Of one koppeling.

    Attributes:
        due: when it runs next; in the past where it is due already and has not begun.
        after: the first time that it was due after an instant that was asked for.
        waits_for: why what is due does not begin; empty where nothing holds it back.
        until: when it is tried again.
        error, advice: why what was due last could not even begin, or failed.
        failed_at: when that was.
    """

    due: datetime | None = None
    after: datetime | None = None
    waits_for: str = ""
    until: datetime | None = None
    error: str = ""
    advice: str = ""
    failed_at: datetime | None = None


def outlook(
    hub: Hub,
    source: Source,
    number: int,
    states: Mapping[Place, State],
    *,
    now: datetime,
    since: datetime | None,
) -> Outlook:
    """What the clock has in store for a koppeling.

    Args:
        hub: the installation.
        source: the koppeling.
        number: its id.
        states: how far the clock is, of all.
        now: this instant.
        since: whose first due time after it is asked for.
    """
    kinds = [
        kind
        for kind, schedule in ((Kind.FULL, source.schedule), (Kind.DELTA, source.delta_schedule))
        if schedule is not None
    ]
    if not kinds:
        return Outlook()
    mine = {kind: states.get(Place(number, str(kind))) for kind in kinds}
    still_open = [state for state in mine.values() if state is not None and state.is_open]
    held = min((s for s in still_open if s.waits_for), key=lambda s: s.due_at, default=None)
    failed = [
        state
        for state in mine.values()
        if state is not None and state.outcome == "failed" and state.ended_at and state.error
    ]
    last = max(failed, key=lambda state: str(state.ended_at), default=None)
    upcoming = [_next(hub, source, kind, after=now) for kind in kinds]
    return Outlook(
        due=min((state.retry_at or state.due_at for state in still_open), default=min(upcoming)),
        after=None if since is None else min(_next(hub, source, k, after=since) for k in kinds),
        waits_for="" if held is None else held.waits_for,
        until=None if held is None else held.retry_at,
        error="" if last is None else last.error,
        advice="" if last is None else last.advice,
        failed_at=None if last is None else last.ended_at,
    )


def _next(hub: Hub, source: Source, kind: Kind, *, after: datetime) -> datetime:
    schedule = source.delta_schedule if kind is Kind.DELTA else source.schedule
    assert schedule is not None  # noqa: S101 - only kinds that have one are asked for
    return next_due(
        schedule,
        after=after,
        zone=hub.settings.timezone,
        offset=offset_of(source.name, hub.settings.scheduling.jitter),
        blackout=hub.settings.blackout_of(source),
    )
