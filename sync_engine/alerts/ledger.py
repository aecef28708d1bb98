"""Incidents in the store: which go on, and what a judgement made of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Final

import msgspec

from sync_engine.alerts.incidents import Cause, Ending, Event, Incident, Judgement, Sign
from sync_engine.condition import State
from sync_engine.store.values import instant
from sync_engine.store.work import Row, Work

_COLUMNS: Final = (
    *("rule", "cause", "subject", "state", "worst", "signs", "first_at", "gone_since"),
    *("closed_at", "ending", "told", "told_at", "told_size", "tells"),
)
_LISTED: Final = ", ".join(_COLUMNS)
_SIGNS: Final = msgspec.json.Decoder(tuple[Sign, ...])


def going_on(work: Work, *, rule: str | None = None) -> list[Incident]:
    """The incidents that are not over, the oldest first; of one rule, or of all."""
    condition, params = ("", ()) if rule is None else ("AND rule = ? ", (rule,))
    rows = work.execute(
        f"SELECT id, {_LISTED} FROM incident WHERE closed_at IS NULL {condition}ORDER BY id", params
    )
    return [_read(row) for row in rows]


def ended(work: Work, *, limit: int) -> list[Incident]:
    """The incidents that are over, the last first."""
    rows = work.execute(
        f"SELECT id, {_LISTED} FROM incident WHERE closed_at IS NOT NULL "
        f"ORDER BY closed_at DESC, id DESC LIMIT {limit:d}"
    )
    return [_read(row) for row in rows]


def write(work: Work, judgement: Judgement, before: Collection[Incident]) -> tuple[Event, ...]:
    """Write what became of the incidents, in the transaction that is open; its events, numbered.

    Args:
        work: of the hub.
        judgement: on the incidents of one rule.
        before: those incidents as they were.
    """
    known = {incident.id: incident for incident in before}
    numbers: dict[tuple[str, str], int] = {}
    for incident in judgement.incidents:
        if incident.id == 0:
            numbers[incident.cause, incident.subject] = _insert(work, incident)
        elif incident != known.get(incident.id):
            _update(work, incident)
    return tuple(
        replace(event, incident=replace(event.incident, id=number))
        if (number := numbers.get((event.incident.cause, event.incident.subject)))
        else event
        for event in judgement.events
    )


def drop(work: Work, rules: Collection[str], now: datetime) -> None:
    """End the incidents of rules that the configuration does not have any more; nobody is told."""
    for incident in going_on(work):
        if incident.rule not in rules:
            _update(work, replace(incident, closed_at=now, ending=Ending.DROPPED))


def forget(work: Work, before: datetime) -> None:
    """Remove what was over before that instant."""
    work.execute("DELETE FROM incident WHERE closed_at < ?", (before,))


def _insert(work: Work, incident: Incident) -> int:
    marks = ", ".join("?" for _ in _COLUMNS)
    rows = work.execute(
        f"INSERT INTO incident ({_LISTED}) VALUES ({marks}) RETURNING id", _values(incident)
    )
    return int(rows[0][0])


def _update(work: Work, incident: Incident) -> None:
    changes = ", ".join(f"{column} = ?" for column in _COLUMNS)
    work.execute(f"UPDATE incident SET {changes} WHERE id = ?", (*_values(incident), incident.id))


def _values(incident: Incident) -> tuple[object, ...]:
    signs = msgspec.json.encode(incident.signs).decode()
    return (
        *(incident.rule, str(incident.cause), incident.subject, str(incident.state)),
        *(str(incident.worst), signs, incident.first_at, incident.gone_since),
        *(incident.closed_at, None if incident.ending is None else str(incident.ending)),
        *(None if incident.told is None else str(incident.told), incident.told_at),
        *(incident.told_size, incident.tells),
    )


def _read(row: Row) -> Incident:
    number, rule, cause, subject, state, worst, signs, first, gone, closed, *rest = row
    ending, told, told_at, told_size, tells = rest
    return Incident(
        rule=rule,
        cause=Cause(cause),
        subject=subject,
        state=State(state),
        worst=State(worst),
        signs=_SIGNS.decode(signs),
        first_at=instant(first),
        id=number,
        gone_since=None if gone is None else instant(gone),
        closed_at=None if closed is None else instant(closed),
        ending=None if ending is None else Ending(ending),
        told=None if told is None else State(told),
        told_at=None if told_at is None else instant(told_at),
        told_size=told_size,
        tells=tells,
    )
