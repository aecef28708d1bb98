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
from mappings.outward import CoreObject, asked
from sync_engine.context import Target
from sync_engine.exchanges import Detail, decode_detail
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.outbox.message_cases import keep_message_cases
from sync_engine.outbox.objects import read_objects
from sync_engine.outbox.states import UNDER_WAY, WAITING, State, listed
from sync_engine.outbox.touching import mark
from sync_engine.sealed import exchange_context, outbox_context
from sync_engine.store.cipher import SALT_SIZE_BYTES, TenantCipher
from sync_engine.store.dialect import Dialect
from sync_engine.store.work import Row, Work

BATCH: Final = 200
"""Objects that are made at once."""

PRESENT: Final = "present"
ABSENT: Final = "absent"
"""States of the exchanges: the target confirmed that it has the object, or that it has it no more.
"""
FORGOTTEN: Final = b""
"""The body of what a target has and the hub may not keep: it is no other body's equal."""
RUN: Final = "run"
REFERENCE: Final = "reference"
"""What is kept beside it: the newest run whose changes it has, and what the target calls it."""


UNMADE: Final = "mapping"
"""Code of what our own mapping cannot make a message of."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Form:
    """An object as a target has it, or is to have it; without a body it is not there.

    Attributes:
        run: the newest run whose changes are in it.
        number: of its message; 0 where it is what was confirmed.
        is_made: it is what a message says; else none could be made.
    """

    body: bytes | None
    run: int = 0
    number: int = 0
    is_made: bool = True


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
        target, work = self._target, self._work
        cores = [one.core_id for one in stale]
        tenant = target.koppeling.tenant_id
        objects = read_objects(work, target.outward, tenant, cores, on=self._today)
        wanted = {core_id: self._asked(core_id, thing) for core_id, thing in objects.items()}
        with work.transaction():
            self._hold(cores)
            has = self._confirmed(cores) | self._messages(cores, UNDER_WAY)
            waiting = self._messages(cores, WAITING)
            refused = self._messages(cores, (State.UNDELIVERABLE,))
            declined = self._messages(cores, (State.DECLINED,))
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

    def _asked(self, core_id: int, thing: CoreObject) -> bytes | RecordError | None:
        """What the target should have, or why that cannot be said."""
        try:
            return asked(self._target.outward, thing)
        except RecordError as error:
            _log.warning(
                "%s of %s cannot be made: %s", self._target.resource, hub_key(core_id), error
            )
            return error
        except Exception as error:  # noqa: BLE001 - another package's mapping may raise anything
            _log.error(
                "%s of %s broke its mapping: %s",
                self._target.resource,
                hub_key(core_id),
                type(error).__name__,
            )
            return RecordError("$", f"the mapping raised {type(error).__name__}")

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

    # -- what a target has -------------------------------------------------------------------------

    def _confirmed(self, cores: Sequence[int]) -> dict[int, Form]:
        """Core id → what was confirmed last."""
        work = self._work
        rows = work.execute(
            "SELECT core_id, id, state, detail, salt, body FROM exchange WHERE koppeling_id = ? "
            f"AND kind = ? AND {work.many('core_id')}",
            (self._target.koppeling.id, self._target.kind, work.values(cores)),
        )
        found = {}
        for core_id, number, state, detail, salt, body in rows:
            run = run_of(decode_detail(detail))
            plain = None if state == ABSENT else FORGOTTEN
            if state == PRESENT and salt is not None:
                person = self._cipher.person(bytes(salt))
                plain = person.decrypt(bytes(body), exchange_context(number))
            found[core_id] = Form(plain, run)
        return found

    def _messages(self, cores: Sequence[int], states: tuple[State, ...]) -> dict[int, Form]:
        """Core id → the newest message in one of these states."""
        work = self._work
        rows = work.execute(
            "SELECT core_id, id, message_id, action, run_id, salt, body FROM outbox "
            f"WHERE koppeling_id = ? AND resource = ? AND state IN ({listed(states)}) "
            f"AND {work.many('core_id')} ORDER BY id",
            (self._target.koppeling.id, self._target.resource, work.values(cores)),
        )
        return {
            row[0]: Form(opened(self._cipher, row[2:]), row[4], row[1], is_made=bool(row[3]))
            for row in rows
        }


def _says(form: Form | None, wanted: bytes | None) -> bool:
    """Whether a message says just this."""
    return form is not None and form.is_made and form.body == wanted


def opened(cipher: TenantCipher, row: Row) -> bytes | None:
    """The body of a message; None of a deletion. `row`: message_id, action, any, salt, body."""
    message_id, action, _, salt, body = row
    if action != Action.PUT or salt is None:
        return None
    return cipher.person(bytes(salt)).decrypt(bytes(body), outbox_context(message_id))


def run_of(detail: Detail) -> int:
    """The newest run whose changes a confirmed form has."""
    run = detail.get(RUN)
    return run if isinstance(run, int) else 0
