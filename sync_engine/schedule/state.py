"""How far the clock is: the rows of `schedule_state`, one for each kind of run of a koppeling.

What is due is written down before it is handed out. Whoever is killed between the two, or at any
moment until it is settled, leaves a row that says that it still must be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sync_engine.store.values import instant
from sync_engine.store.work import Row, Work

OF_THE_HUB: Final = 0
"""The koppeling id of duties: they are of the installation itself."""


class Key(NamedTuple):
    """What has a schedule: a kind of run of a koppeling, or a duty, whose koppeling is empty."""

    koppeling: str
    kind: str


class Place(NamedTuple):
    """The key of a row."""

    koppeling_id: int
    kind: str


@dataclass(frozen=True, slots=True)
class State:
    """Where one of them stands.

    Attributes:
        due_at: the last due instant that was handed out.
        settled_due: the last one that was carried out to its end.
        tries: failures since it was handed out.
        retry_at: before this it is not tried again.
        waits_for: why it waits; empty where it failed or does not wait.
        outcome: how the last one ended, and when.
        error: of the last one that failed; what `advice` says is for the helpdesk.
    """

    due_at: datetime
    settled_due: datetime | None = None
    tries: int = 0
    retry_at: datetime | None = None
    waits_for: str = ""
    outcome: str = ""
    ended_at: datetime | None = None
    error: str = ""
    advice: str = ""

    @property
    def is_open(self) -> bool:
        """Whether what was handed out must still be carried out."""
        return self.settled_due is None or self.settled_due < self.due_at


_COLUMNS: Final = (
    "due_at, settled_due, tries, retry_at, waits_for, outcome, ended_at, error, advice"
)


def read_states(work: Work) -> dict[Place, State]:
    """Every row."""
    rows = work.execute(f"SELECT koppeling_id, kind, {_COLUMNS} FROM schedule_state")
    return {Place(row[0], row[1]): _state(row[2:]) for row in rows}


def read_state(work: Work, place: Place) -> State | None:
    """One row."""
    rows = work.execute(
        f"SELECT {_COLUMNS} FROM schedule_state WHERE koppeling_id = ? AND kind = ?", place
    )
    return _state(rows[0]) if rows else None


def _state(row: Row) -> State:
    due, settled, tries, retry, waits, outcome, ended, error, advice = row
    return State(
        instant(due),
        None if settled is None else instant(settled),
        tries,
        None if retry is None else instant(retry),
        waits,
        outcome,
        None if ended is None else instant(ended),
        error or "",
        advice or "",
    )


def begin(work: Work, places: Sequence[Place], *, now: datetime) -> None:
    """What has a schedule from now on: nothing of before is caught up."""
    work.insert_new(
        "schedule_state",
        ("koppeling_id", "kind", "due_at", "settled_due", "tries", "waits_for", "outcome"),
        [(*place, now, now, 0, "", "") for place in places],
    )


def forget_ahead(work: Work, *, now: datetime) -> None:
    """What a clock that was wrong handed out ahead of time is over, and due again in its time."""
    work.execute(
        "UPDATE schedule_state SET due_at = ?, settled_due = ?, tries = 0, retry_at = NULL, "
        "waits_for = '' WHERE due_at > ?",
        (now, now, now),
    )


def hand_out(work: Work, place: Place, due: datetime) -> None:
    """That instant must be carried out now; what was open of before is answered by it."""
    work.execute(
        "UPDATE schedule_state SET due_at = ?, tries = 0, retry_at = NULL, waits_for = '' "
        "WHERE koppeling_id = ? AND kind = ? AND due_at < ?",
        (due, *place, due),
    )


def postpone(
    work: Work,
    place: Place,
    *,
    until: datetime,
    waits_for: str = "",
    tries: int = 0,
    error: str = "",
    advice: str = "",
) -> None:
    """It is tried again at that instant."""
    work.execute(
        "UPDATE schedule_state SET retry_at = ?, waits_for = ?, tries = ?, error = ?, advice = ? "
        "WHERE koppeling_id = ? AND kind = ?",
        (until, waits_for, tries, error or None, advice or None, *place),
    )


def settle(
    work: Work,
    place: Place,
    due: datetime,
    *,
    outcome: str,
    now: datetime,
    error: str = "",
    advice: str = "",
) -> None:
    """That instant was carried out to its end, well or badly."""
    work.execute(
        "UPDATE schedule_state SET settled_due = ?, tries = 0, retry_at = NULL, waits_for = '', "
        "outcome = ?, ended_at = ?, error = ?, advice = ? WHERE koppeling_id = ? AND kind = ? "
        "AND (settled_due IS NULL OR settled_due < ?)",
        (due, outcome, now, error or None, advice or None, *place, due),
    )
