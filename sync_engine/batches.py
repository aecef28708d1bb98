"""Batches: persons who are asked about in one message, whose answer is fetched later.

Written before they are sent. The raw answer is kept encrypted until it was taken in, and at most
`ANSWER_KEPT`: what is older goes by the clock (`forget_answers`), when the koppeling looks for its
batches, and with every purge.
Closing forgets who they were and what was answered; that the batch was stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Final

import msgspec

from config.clock import Clock
from connectors.stores import Batch
from sync_engine.context import KoppelingRow
from sync_engine.errors import StoreError
from sync_engine.sealed import batch_context
from sync_engine.store.cipher import SALT_SIZE_BYTES, TenantCipher
from sync_engine.store.engine import Store
from sync_engine.store.values import instant
from sync_engine.store.work import Params, Row, Work

ANSWER_KEPT: Final = timedelta(hours=23, minutes=30)
"""How long a raw answer is kept that nobody took in: with what the clock needs, within a day."""
UNANSWERED_KEPT: Final = timedelta(days=7)
"""How long who stands in a batch is kept that nobody asks about any more."""
LOST: Final = "lost"
"""Outcome of a batch whose answer will not come any more; its persons are asked anew."""
EXPIRED: Final = "expired"
"""Outcome of one whose answer was kept for its whole time."""

_MADE, _SENT, _ANSWERED, _CLOSED = "made", "sent", "answered", "closed"
_CHANGED: Final = (
    "Deze aanvraag is intussen afgesloten: haar antwoord was te oud, of haar school ging naar een "
    "ander bestuur. De volgende run vraagt opnieuw."
)
_COLUMNS: Final = "id, kind, size, made_at, sent_at, reference, polls, next_at, state = 'answered'"


class StoreBatches:
    """The batches of one koppeling, in the store.

    Each call has a connection and a cipher of its own, as of `StoreVault`.

    Args:
        store: where they are.
        koppeling: whose.
        cipher: gives the tenant's cipher as its keys are now.
        clock: says when something was done.
    """

    def __init__(
        self,
        store: Store,
        koppeling: KoppelingRow,
        *,
        cipher: Callable[[], TenantCipher],
        clock: Clock,
    ) -> None:
        self._store, self._koppeling = store, koppeling
        self._cipher, self._clock = cipher, clock

    def make(self, kind: str, persons: Sequence[int]) -> Batch:
        """Write down a batch that is about to be sent."""
        now = self._clock.now()
        with self._store.work() as work, work.transaction():
            ((number,),) = work.execute(
                "INSERT INTO batch (koppeling_id, kind, state, size, polls, made_at) "
                "VALUES (?, ?, ?, ?, 0, ?) RETURNING id",
                (self._koppeling.id, kind, _MADE, len(persons), now),
            )
            places = [(number, place, person) for place, person in enumerate(persons, 1)]
            work.load("batch_person", ("batch_id", "place", "core_id"), places)
        return Batch(number, kind, tuple(persons), made_at=now)

    def sent(self, batch: Batch, *, reference: str, next_at: datetime) -> Batch:
        """It was accepted by the system, under this reference.

        Raises: StoreError if it was sent before, or is closed.
        """
        now = self._clock.now()
        self._change(
            batch,
            "state = ?, reference = ?, sent_at = ?, next_at = ?",
            (_SENT, reference, now, next_at),
            was=_MADE,
        )
        return replace(batch, reference=reference, sent_at=now, next_at=next_at)

    def polled(self, batch: Batch, *, next_at: datetime) -> Batch:
        """Its answer was not there yet. Raises: StoreError if it is not waited for."""
        self._change(batch, "polls = polls + 1, next_at = ?", (next_at,), was=_SENT)
        return replace(batch, polls=batch.polls + 1, next_at=next_at)

    def answered(self, batch: Batch, body: bytes) -> Batch:
        """Keep its raw answer, before anybody looks into it.

        Raises: StoreError if it is not waited for: an answer is kept once.
        """
        salt = token_bytes(SALT_SIZE_BYTES)
        context = batch_context(batch.number)
        sealed = self._cipher().person(salt).encrypt(body, context, compress=True)
        self._change(
            batch,
            "state = ?, salt = ?, answer = ?, answered_at = ?",
            (_ANSWERED, salt, sealed, self._clock.now()),
            was=_SENT,
        )
        return replace(batch, has_answer=True)

    def answer(self, batch: Batch) -> bytes:
        """The raw answer that was kept.

        Raises: LookupError if there is none, or it was kept for its whole time.
        """
        with self._store.work() as work:
            rows = work.execute(
                "SELECT salt, answer FROM batch WHERE id = ? AND koppeling_id = ? AND state = ? "
                "AND answered_at > ?",
                (batch.number, self._koppeling.id, _ANSWERED, self._clock.now() - ANSWER_KEPT),
            )
        if not rows:
            message = f"batch {batch.number}: no answer is kept"
            raise LookupError(message)
        salt, sealed = map(bytes, rows[0])
        return self._cipher().person(salt).decrypt(sealed, batch_context(batch.number))

    def close(self, batch: Batch, *, outcome: str, counts: Mapping[str, int]) -> None:
        """It is over: its answer and its persons are forgotten, that it was stays.

        Who closes it twice changes nothing.
        """
        with self._store.work() as work, work.transaction():
            close_as(
                work,
                "id = ? AND koppeling_id = ?",
                (batch.number, self._koppeling.id),
                outcome=outcome,
                now=self._clock.now(),
                counts=counts,
            )

    def waiting(self) -> Sequence[Batch]:
        """Those that are not closed, oldest first; what was kept too long is closed before.

        A person who is not there any more is 0 in it: the others keep their places.
        """
        with self._store.work() as work:
            if overdue(work, [self._koppeling.id], now=self._clock.now()):
                expire(work, [self._koppeling.id], now=self._clock.now())
            with work.snapshot():
                rows = work.execute(
                    f"SELECT {_COLUMNS} FROM batch WHERE koppeling_id = ? AND state <> 'closed' "
                    "ORDER BY id",
                    (self._koppeling.id,),
                )
                persons = _persons(work, rows)
        return [_batch(row, persons[row[0]]) for row in rows]

    def made_since(self, kind: str, at: datetime) -> int:
        """How many of a kind were sent since an instant, closed ones included."""
        with self._store.work() as work:
            rows = work.execute(
                "SELECT COUNT(*) FROM batch WHERE koppeling_id = ? AND kind = ? AND sent_at >= ?",
                (self._koppeling.id, kind, at),
            )
        return int(rows[0][0])

    def _change(self, batch: Batch, sets: str, params: Params, *, was: str) -> None:
        """Change its row, where it is in the state that it was in."""
        with self._store.work() as work, work.transaction():
            work.execute(
                f"UPDATE batch SET {sets} WHERE id = ? AND koppeling_id = ? AND state = ?",
                (*params, batch.number, self._koppeling.id, was),
            )
            if work.changes != 1:
                raise StoreError(f"batch {batch.number} is not {was} any more", advice=_CHANGED)


# -- for whoever keeps house -----------------------------------------------------------------------


def close_as(
    work: Work,
    where: str,
    params: Params = (),
    *,
    outcome: str,
    now: datetime,
    counts: Mapping[str, int] | None = None,
) -> int:
    """Close the open batches of a condition, in the transaction that is open; how many."""
    work.execute(
        "UPDATE batch SET state = 'closed', outcome = ?, counts = ?, closed_at = ?, "
        "next_at = NULL, salt = NULL, answer = NULL "
        f"WHERE state <> 'closed' AND ({where})",
        (outcome, msgspec.json.encode(counts or {}).decode(), now, *params),
    )
    closed = work.changes
    if closed:
        work.execute(
            "DELETE FROM batch_person WHERE batch_id NOT IN "
            "(SELECT b.id FROM batch b WHERE b.state <> 'closed')"
        )
    return closed


def _too_old(work: Work, koppelingen: Sequence[int], now: datetime) -> list[tuple[str, Params]]:
    """Conditions of open batches with an answer that was kept for its time, and of others."""
    own = f"state <> 'closed' AND {work.many('koppeling_id')}"
    numbers = work.values(koppelingen)
    return [
        (f"{own} AND state = 'answered' AND answered_at <= ?", (numbers, now - ANSWER_KEPT)),
        (f"{own} AND state <> 'answered' AND made_at <= ?", (numbers, now - UNANSWERED_KEPT)),
    ]


def overdue(work: Work, koppelingen: Sequence[int], *, now: datetime) -> int:
    """How many batches of these koppelingen hold what they may not hold any more."""
    return sum(
        int(work.execute(f"SELECT COUNT(*) FROM batch WHERE {where}", params)[0][0])
        for where, params in _too_old(work, koppelingen, now)
    )


def expire(work: Work, koppelingen: Sequence[int], *, now: datetime) -> int:
    """Close those, in a transaction of its own; how many."""
    (answers, answers_of), (others, others_of) = _too_old(work, koppelingen, now)
    with work.transaction():
        closed = close_as(work, answers, answers_of, outcome=EXPIRED, now=now)
        return closed + close_as(work, others, others_of, outcome=LOST, now=now)


def forget_answers(store: Store, *, now: datetime) -> int:
    """Close those of all koppelingen; how many."""
    with store.work() as work:
        rows = work.execute("SELECT DISTINCT koppeling_id FROM batch WHERE state <> 'closed'")
        koppelingen = [row[0] for row in rows]
        return expire(work, koppelingen, now=now) if overdue(work, koppelingen, now=now) else 0


def _persons(work: Work, rows: Sequence[Row]) -> dict[int, list[int]]:
    """Batch → who stands at each of its places."""
    found = {row[0]: [0] * row[2] for row in rows}
    for number, place, person in work.execute(
        f"SELECT batch_id, place, core_id FROM batch_person WHERE {work.many('batch_id')}",
        (work.values(list(found)),),
    ):
        found[number][place - 1] = person
    return found


def _batch(row: Row, persons: Sequence[int]) -> Batch:
    number, kind, _, made, sent, reference, polls, next_at, answered = row
    return Batch(
        number,
        kind,
        tuple(persons),
        made_at=instant(made),
        sent_at=None if sent is None else instant(sent),
        reference=reference,
        polls=polls,
        next_at=None if next_at is None else instant(next_at),
        has_answer=bool(answered),
    )
