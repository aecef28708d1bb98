"""Settle: what a target said of a message becomes what the hub knows, in one transaction.

A confirmed form is kept in the exchange of its object, with what the target calls it. A refusal
makes the message undeliverable, unless another waits for the same object: that goes instead.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Final

from connectors.targets import Answered, Verdict
from sync_engine.context import Target
from sync_engine.exchanges import encode_detail
from sync_engine.outbox.forms import ABSENT, PRESENT, REFERENCE, RUN, opened
from sync_engine.outbox.states import UNDER_WAY, State, listed
from sync_engine.sealed import exchange_context
from sync_engine.store.cipher import SALT_SIZE_BYTES, TenantCipher
from sync_engine.store.dialect import Dialect
from sync_engine.store.work import Work

ASKED_AGAIN: Final = timedelta(minutes=5)
"""Until a target is asked again what became of a message that it took."""
BY_ITSELF: Final = "system"


class Settler:
    """Writes down what one target said.

    Args:
        work: of the hub.
        cipher: of the tenant.
        target: who said it.
    """

    def __init__(self, work: Work, cipher: TenantCipher, target: Target) -> None:
        self._work, self._cipher, self._target = work, cipher, target

    @property
    def _alone(self) -> str:
        """Nobody judges the object meanwhile (making.py); SQLite has one writer anyhow."""
        return " FOR UPDATE" if self._work.dialect is Dialect.POSTGRESQL else ""

    def settle(self, said: Answered, *, now: datetime) -> State | None:
        """What one answer makes of its message; None where it is under way no more.

        A target may say twice what it said, and of what it was not asked.
        """
        with self._work.transaction():
            rows = self._work.execute(
                "SELECT message_id, action, run_id, salt, body, id, core_id, entity, reference "
                f"FROM outbox WHERE koppeling_id = ? AND message_id = ? "
                f"AND state IN ({listed(UNDER_WAY)}){self._alone}",
                (self._target.koppeling.id, said.message_id),
            )
            if not rows:
                return None
            *message, number, core_id, entity, known = rows[0]
            match said.verdict:
                case Verdict.CONFIRMED:
                    body = opened(self._cipher, tuple(message))
                    self._confirm(
                        (entity, core_id),
                        body,
                        message_id=said.message_id,
                        run=message[2],
                        reference=said.reference or known,
                        now=now,
                    )
                    return self._over(number, State.CONFIRMED, said, now)
                case Verdict.REFUSED:
                    return self._refuse(number, core_id, said, now)
                case Verdict.TAKEN:
                    return self._later(number, State.TAKEN, said, now + ASKED_AGAIN)
                case Verdict.NEVER_SEEN:
                    return self._later(number, State.SENT, said, None)

    def _confirm(
        self,
        of: tuple[str, int],
        body: bytes | None,
        *,
        message_id: str,
        run: int,
        reference: str,
        now: datetime,
    ) -> None:
        """Keep the form that the target has now."""
        work, target = self._work, self._target
        entity, core_id = of
        detail = encode_detail({RUN: run} | ({REFERENCE: reference} if reference else {}))
        state = ABSENT if body is None else PRESENT
        rows = work.execute(
            "INSERT INTO exchange (koppeling_id, entity, core_id, kind, state, revision, detail, "
            "message_id, changed_at, operator) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?) "
            "ON CONFLICT (koppeling_id, entity, core_id, kind) DO UPDATE SET "
            "state = excluded.state, revision = exchange.revision + 1, detail = excluded.detail, "
            "message_id = excluded.message_id, changed_at = excluded.changed_at, "
            "operator = excluded.operator, salt = NULL, body = NULL RETURNING id",
            (
                *(target.koppeling.id, entity, core_id, target.kind, state, detail),
                *(message_id, now, BY_ITSELF),
            ),
        )
        if body is None:
            return
        number, salt = int(rows[0][0]), token_bytes(SALT_SIZE_BYTES)
        person = self._cipher.person(salt)
        sealed = person.encrypt(body, exchange_context(number), compress=True)
        work.execute("UPDATE exchange SET salt = ?, body = ? WHERE id = ?", (salt, sealed, number))

    def _over(self, number: int, state: State, said: Answered, now: datetime) -> State:
        self._work.execute(
            "UPDATE outbox SET state = ?, salt = NULL, body = ?, next_at = NULL, settled_at = ?, "
            "code = ?, error = ?, reference = ? WHERE id = ?",
            (str(state), b"", now, said.code, said.rule, said.reference, number),
        )
        return state

    def _refuse(self, number: int, core_id: int, said: Answered, now: datetime) -> State:
        """The object is as it was; what waits for it is judged again by that."""
        waits = self._work.execute(
            "UPDATE outbox SET stale = TRUE WHERE koppeling_id = ? AND resource = ? "
            "AND core_id = ? AND state IN ('due', 'ready', 'asks') RETURNING id",
            (self._target.koppeling.id, self._target.resource, core_id),
        )
        if waits:
            return self._over(number, State.WITHDRAWN, said, now)
        self._work.execute(
            "UPDATE outbox SET state = ?, next_at = NULL, settled_at = ?, code = ?, error = ? "
            "WHERE id = ?",
            (str(State.UNDELIVERABLE), now, said.code, said.rule, number),
        )
        return State.UNDELIVERABLE

    def _later(self, number: int, state: State, said: Answered, at: datetime | None) -> State:
        self._work.execute(
            "UPDATE outbox SET state = ?, next_at = ?, reference = CASE WHEN ? = '' "
            "THEN reference ELSE ? END WHERE id = ?",
            (str(state), at, said.reference, said.reference, number),
        )
        return state

    def ask_about(self, message_id: str, *, state: State, at: datetime | None) -> None:
        """A message that was sent goes on as this, not before then."""
        with self._work.transaction():
            self._work.execute(
                "UPDATE outbox SET state = ?, next_at = ? WHERE koppeling_id = ? "
                f"AND message_id = ? AND state IN ({listed(UNDER_WAY)})",
                (str(state), at, self._target.koppeling.id, message_id),
            )
