"""Messages in the store: written with what they tell of, kept until they are delivered.

pending: to be delivered; refused: the receiver said no to this one, tried again later; sent;
failed: given up, listed until a person tries it again; dropped: its channel is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec

from sync_engine.store.values import instant
from sync_engine.store.work import Row, Work

ALERT: Final = "alert"
REPORT: Final = "report"
_COLUMNS: Final = (
    "id, kind, channel, title, body, state, created_at, next_at, sent_at, attempts, error"
)
_FIRST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=1)


class NoticeState(StrEnum):
    """What became of a message."""

    PENDING = "pending"
    REFUSED = "refused"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


WAITING: Final = (NoticeState.PENDING, NoticeState.REFUSED)


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one channel.

    Attributes:
        id: the same for every attempt.
        kind: alert or report.
        channel: name of a channel; of a report the BRIN whose contact gets it.
        document: what it says.
        error: why it is not delivered, or was not to everybody; no address, no text of others.
    """

    id: str
    kind: str
    channel: str
    title: str
    document: dict[str, Any]
    state: NoticeState
    created_at: datetime
    next_at: datetime | None
    sent_at: datetime | None
    attempts: int
    error: str

    @property
    def waits(self) -> bool:
        """Whether it is still to be delivered."""
        return self.state in WAITING


def notice_id(*parts: str) -> str:
    """The id of a message: that of the same parts is the same, in every process."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def post(
    work: Work, number: str, *, kind: str, channel: str, title: str, document: object, at: datetime
) -> bool:
    """Write a message in the transaction that is open; false where that id is there already."""
    work.execute(
        "INSERT INTO notification (id, kind, channel, title, body, state, created_at, next_at, "
        "attempts, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, '') ON CONFLICT (id) DO NOTHING",
        (
            *(number, kind, channel, title, msgspec.json.encode(document).decode()),
            *(str(NoticeState.PENDING), at, at),
        ),
    )
    return work.changes == 1


def waiting(work: Work) -> list[Notice]:
    """What is still to be delivered, the oldest first."""
    return _listed(work, f"WHERE {work.many('state')} ORDER BY created_at, id", [list(WAITING)])


def recent(work: Work, *, limit: int, undelivered: bool) -> list[Notice]:
    """Messages, the newest first.

    Args:
        work: of the hub.
        limit: at most so many.
        undelivered: only those that are to be delivered, or could not be.
    """
    condition, params = "", []
    if undelivered:
        condition = f"WHERE {work.many('state')} "
        params = [[*WAITING, NoticeState.FAILED]]
    return _listed(work, f"{condition}ORDER BY created_at DESC, id LIMIT {limit:d}", params)


def _listed(work: Work, rest: str, lists: Sequence[Sequence[str]]) -> list[Notice]:
    params = [work.values([str(item) for item in items]) for items in lists]
    rows = work.execute(f"SELECT {_COLUMNS} FROM notification {rest}", params)
    return [_read(row) for row in rows]


def begun(work: Work, notice: Notice, now: datetime) -> None:
    """An attempt begins: who is killed in it leaves the message to be tried again later."""
    after = min(_FIRST_WAIT * 2 ** min(notice.attempts, 10), _LONGEST_WAIT)
    work.execute(
        "UPDATE notification SET attempts = attempts + 1, next_at = ? WHERE id = ?",
        (now + after, notice.id),
    )


def sent(work: Work, notice: Notice, now: datetime, *, note: str) -> None:
    """It was delivered."""
    work.execute(
        "UPDATE notification SET state = ?, sent_at = ?, next_at = NULL, error = ? WHERE id = ?",
        (str(NoticeState.SENT), now, note, notice.id),
    )


def keep(work: Work, notice: Notice, document: object) -> None:
    """Another document of the same message: who is still to get it."""
    told = msgspec.json.encode(document).decode()
    work.execute("UPDATE notification SET body = ? WHERE id = ?", (told, notice.id))


def not_sent(work: Work, notice: Notice, state: NoticeState, *, error: str) -> None:
    """An attempt failed."""
    work.execute(
        "UPDATE notification SET state = ?, error = ? WHERE id = ?", (str(state), error, notice.id)
    )


def try_again(work: Work, now: datetime) -> int:
    """Let everything that is not delivered be tried now, also what was given up; how many."""
    states = [str(state) for state in (*WAITING, NoticeState.FAILED)]
    work.execute(
        f"UPDATE notification SET state = ?, next_at = ? WHERE {work.many('state')}",
        (str(NoticeState.PENDING), now, work.values(states)),
    )
    return work.changes


def forget(work: Work, before: datetime) -> None:
    """Remove what was delivered or dropped before that instant."""
    states = [str(NoticeState.SENT), str(NoticeState.DROPPED)]
    work.execute(
        f"DELETE FROM notification WHERE created_at < ? AND {work.many('state')}",
        (before, work.values(states)),
    )


def _read(row: Row) -> Notice:
    number, kind, channel, title, body, state, created, following, done, attempts, error = row
    return Notice(
        *(number, kind, channel, title, msgspec.json.decode(body)),
        state=NoticeState(state),
        created_at=instant(created),
        next_at=None if following is None else instant(following),
        sent_at=None if done is None else instant(done),
        attempts=attempts,
        error=error,
    )
