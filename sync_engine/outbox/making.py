"""Make: what differs between what a target should have and what it has becomes a message.

Under the lock of the tenant, some hundreds of objects at once, each batch in a transaction of its
own: what is not made yet is still due, and the next delivery makes it. What a target has is what it
confirmed last (`exchange`), or what is under way to it: that is not taken back, the next message
follows it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from secrets import token_bytes
from typing import Final
from uuid import uuid4

from config.clock import local_date
from config.errors import RecordError
from connectors.base import Action
from sync_engine.context import Target
from sync_engine.hub import Hub
from sync_engine.outbox.forms import Form, Forms
from sync_engine.outbox.message_cases import keep_message_cases
from sync_engine.outbox.states import UNDER_WAY, WAITING, State, listed
from sync_engine.outbox.touching import mark
from sync_engine.sealed import outbox_context
from sync_engine.store.cipher import SALT_SIZE_BYTES, TenantCipher
from sync_engine.store.dialect import Dialect
from sync_engine.store.work import Work

BATCH: Final = 200
"""Objects that are made at once."""

UNMADE: Final = "mapping"
"""Code of what our own mapping cannot make a message of."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Stale:
    number: int
    core_id: int
    state: State
    message_id: str
    run_id: int
    undone: int | None


def make_due(hub: Hub, work: Work, target: Target) -> int:
    """Make what is due for a target, and see to its cases; how many objects were looked at.

    The lock of the tenant is held, and no transaction is open.
    """
    now = hub.clock.now()
    maker = Maker(
        work,
        hub.cipher(target.koppeling.tenant_id),
        target,
        now=now,
        today=local_date(now, hub.settings.timezone),
    )
    looked = maker.make()
    with work.transaction():
        keep_message_cases(work, target, now=now)
    return looked


class Maker:
    """Makes the messages of one target.

    Args:
        work: of the hub.
        cipher: of the tenant.
        target: for whom.
        now: this instant.
        today: the local day for which objects are asked.
    """

    def __init__(
        self, work: Work, cipher: TenantCipher, target: Target, *, now: datetime, today: date
    ) -> None:
        self._work, self._cipher, self._target = work, cipher, target
        self._now, self._today = now, today
        self._forms = Forms(work, cipher, target)
        self._newest = 0

    def make(self) -> int:
        """Make all that is due; how many objects were looked at. The tenant's lock is held."""
        self._renew()
        self._newest = self._newest_run()
        looked = 0
        while stale := self._stale():
            self._some(stale)
            looked += len(stale)
        return looked

    def _renew(self) -> None:
        """Once a day, and for another mapping, every object is looked at.

        What a target should have depends on the day (who comes of age, who leaves), and a mapping
        may have changed with a release.
        """
        target, work = self._target, self._work
        made = f"{target.resource} {target.outward.version} {self._today.isoformat()}"
        with work.transaction():
            work.execute(
                "UPDATE koppeling SET outward = ? WHERE id = ? AND outward <> ?",
                (made, target.koppeling.id, made),
            )
            if not work.changes:
                return
            every = (
                f"SELECT e.id AS core_id FROM {target.outward.entity} e WHERE e.tenant_id = ? "
                "UNION SELECT x.core_id FROM exchange x WHERE x.koppeling_id = ? AND x.kind = ?"
            )
            mark(
                work,
                target,
                every,
                (target.koppeling.tenant_id, target.koppeling.id, target.kind),
                run_id=0,
                at=self._now,
            )

    def _newest_run(self) -> int:
        """What is made now holds the changes of every run until this one."""
        rows = self._work.execute(
            "SELECT MAX(r.id) FROM run r JOIN koppeling k ON k.id = r.koppeling_id "
            "WHERE k.tenant_id = ?",
            (self._target.koppeling.tenant_id,),
        )
        return int(rows[0][0] or 0)

    def _stale(self) -> list[_Stale]:
        rows = self._work.execute(
            "SELECT id, core_id, state, message_id, run_id, undone FROM outbox "
            f"WHERE koppeling_id = ? AND resource = ? AND state IN ({listed(WAITING)}) AND stale "
            f"ORDER BY id LIMIT {BATCH}",
            (self._target.koppeling.id, self._target.resource),
        )
        return [_Stale(n, core, State(state), *rest) for n, core, state, *rest in rows]

    def _some(self, stale: Sequence[_Stale]) -> None:
        work, forms = self._work, self._forms
        cores = [one.core_id for one in stale]
        wanted = forms.wanted(cores, on=self._today)
        with work.transaction():
            self._hold(cores)
            has = forms.confirmed(cores) | forms.messages(cores, UNDER_WAY)
            waiting = forms.messages(cores, WAITING)
            refused = forms.messages(cores, (State.UNDELIVERABLE,))
            declined = forms.messages(cores, (State.DECLINED,))
            for one in stale:
                found = wanted.get(one.core_id)
                if isinstance(found, RecordError):
                    self._unmade(one, found, refused.get(one.core_id))
                    continue
                self._judge(
                    one,
                    found,
                    has=has.get(one.core_id),
                    waiting=waiting.get(one.core_id),
                    refused=refused.get(one.core_id),
                    declined=declined.get(one.core_id),
                )

    def _hold(self, cores: Sequence[int]) -> None:
        """What is under way is settled before this or after it; SQLite has one writer anyhow."""
        work = self._work
        if work.dialect is Dialect.POSTGRESQL:
            work.execute(
                "SELECT id FROM outbox WHERE koppeling_id = ? AND resource = ? "
                f"AND state IN ({listed(UNDER_WAY)}) AND {work.many('core_id')} "
                "ORDER BY id FOR UPDATE",
                (self._target.koppeling.id, self._target.resource, work.values(cores)),
            )

    def _unmade(self, one: _Stale, error: RecordError, refused: Form | None) -> None:
        """No message can be made of it: a case, until its object changes."""
        if refused is not None:
            self.over(refused.number, State.WITHDRAWN)
        self._work.execute(
            "UPDATE outbox SET state = ?, stale = FALSE, salt = NULL, body = ?, code = ?, "
            "error = ?, action = '', settled_at = ? WHERE id = ?",
            (
                str(State.UNDELIVERABLE),
                b"",
                UNMADE,
                f"{error.path}: {error.rule}",
                self._now,
                one.number,
            ),
        )

    def _judge(
        self,
        one: _Stale,
        wanted: bytes | None,
        *,
        has: Form | None,
        waiting: Form | None,
        refused: Form | None,
        declined: Form | None,
    ) -> None:
        """Turn what is due into a message, or into none."""
        if wanted == (None if has is None else has.body):
            self._withdraw(one)
            for former in (refused, declined):
                if former is not None:
                    self.over(former.number, State.WITHDRAWN)
            return
        if any(_says(former, wanted) for former in (refused, declined)):
            self._withdraw(one)  # that was said, and was refused: it is not said again
            return
        if _says(waiting, wanted):  # as it was, with what a person said of it
            self._work.execute("UPDATE outbox SET stale = FALSE WHERE id = ?", (one.number,))
            return
        corrects = has is not None and one.undone is not None and has.run >= one.undone
        asks = one.state is State.ASKS or corrects or declined is not None
        for former in (refused, declined):
            if former is not None:
                self.over(former.number, State.WITHDRAWN)
        self._write(one, wanted, State.ASKS if asks else State.READY)

    def _write(self, one: _Stale, wanted: bytes | None, state: State) -> None:
        message_id = str(uuid4()) if one.state is State.DUE else one.message_id
        salt, sealed = None, b""
        if wanted is not None:
            salt = token_bytes(SALT_SIZE_BYTES)
            person = self._cipher.person(salt)
            sealed = person.encrypt(wanted, outbox_context(message_id), compress=True)
        self._work.execute(
            "UPDATE outbox SET message_id = ?, state = ?, stale = FALSE, action = ?, salt = ?, "
            "body = ?, run_id = ? WHERE id = ?",
            (
                message_id,
                str(state),
                str(Action.DELETE if wanted is None else Action.PUT),
                salt,
                sealed,
                max(one.run_id, self._newest),
                one.number,
            ),
        )

    def _withdraw(self, one: _Stale) -> None:
        """It is not needed; what never was a message leaves no trace."""
        if one.state is State.DUE:
            self._work.execute("DELETE FROM outbox WHERE id = ?", (one.number,))
        else:
            self.over(one.number, State.WITHDRAWN)

    def over(self, number: int, state: State) -> None:
        """A message is over, and says nothing any more."""
        self._work.execute(
            "UPDATE outbox SET state = ?, stale = FALSE, salt = NULL, body = ?, next_at = NULL, "
            "settled_at = ? WHERE id = ?",
            (str(state), b"", self._now, number),
        )


def _says(form: Form | None, wanted: bytes | None) -> bool:
    """Whether a message says just this."""
    return form is not None and form.is_made and form.body == wanted
