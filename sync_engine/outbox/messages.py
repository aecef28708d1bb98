"""Messages for people: which there are, what one says, and a person's word on it.

A correction goes only when somebody approves what he saw; who refuses it leaves the target as it
is, until the object is another. What a target refused goes again when somebody says that the cause
is gone, or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from connectors.base import Action
from sync_engine.audit import note, note_within
from sync_engine.context import Target
from sync_engine.errors import StalePlanError, SyncError
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.nearby import near_numbers
from sync_engine.outbox.forms import PRESENT, opened
from sync_engine.outbox.making import UNMADE, make_due
from sync_engine.outbox.message_cases import keep_message_cases
from sync_engine.outbox.states import MEANS, OPEN, State, listed
from sync_engine.outbox.targets import targets_of
from sync_engine.sealed import exchange_context
from sync_engine.store.locks import tenant_lock
from sync_engine.store.work import Row, Work

_LOOK: Final = "Bekijk het bericht opnieuw met `koppelhub outbox show {0}`, en beslis dan."
_COLUMNS: Final = (
    "m.id, m.target, m.resource, m.core_id, m.action, m.state, m.made_at, m.attempts, m.next_at, "
    "m.code, m.error, m.undone, m.operator, m.why, m.run_id, m.settled_at, m.tenant_id, "
    "m.koppeling_id, m.message_id, m.salt"
)


@dataclass(slots=True)
class MessageRow:
    """One message, in a list: no personal data.

    Attributes:
        key: hub key of the object.
        action: put or delete; empty where none could be made yet.
        since: since when it waits.
        code, rule: what the target said of it, where it refused it.
        undone: the run that was turned round, of a correction.
        decided_by, why: who said what becomes of it.
        run: the newest run whose changes it tells.
    """

    id: int
    koppeling: str
    resource: str
    key: str
    action: str
    state: State
    since: str
    attempts: int
    next_at: str | None
    code: str
    rule: str
    undone: int | None
    decided_by: str
    why: str
    run: int
    settled_at: str | None
    tenant_id: int = field(default=0, repr=False)
    koppeling_id: int = field(default=0, repr=False)
    message_id: str = ""
    salt: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class MessageView:
    """One message with what it says: personal data.

    Attributes:
        before: field → value, as the target has it now; None where it has nothing.
        after: as it is to have it; None where it is to have nothing.
        seen: which content it was; it is approved only while it has that.
    """

    message: MessageRow
    before: Mapping[str, str] | None
    after: Mapping[str, str] | None
    seen: bytes = field(default=b"", repr=False)


def list_messages(
    work: Work,
    koppelingen: Collection[int],
    *,
    states: Collection[State] = OPEN,
    key: int | None = None,
    limit: int = 50,
) -> tuple[list[MessageRow], int]:
    """(messages, oldest first; how many there are besides).

    Args:
        work: of the hub.
        koppelingen: ids.
        states: only in these.
        key: only of this object, by its core id.
        limit: at most so many.
    """
    where = f"{work.many('m.koppeling_id')} AND m.state IN ({listed(tuple(states))})"
    params: list[object] = [work.values(list(koppelingen))]
    if key is not None:
        where += " AND m.core_id = ?"
        params.append(key)
    total = int(work.execute(f"SELECT COUNT(*) FROM outbox m WHERE {where}", params)[0][0])
    rows = work.execute(
        f"SELECT {_COLUMNS} FROM outbox m WHERE {where} ORDER BY m.id LIMIT {limit:d}", params
    )
    return [_row(row) for row in rows], total - len(rows)


def counts(work: Work, koppelingen: Collection[int]) -> dict[int, dict[State, int]]:
    """Koppeling id → state → messages that are not over; only if any."""
    found: dict[int, dict[State, int]] = {}
    for number, state, count in work.execute(
        f"SELECT koppeling_id, state, COUNT(*) FROM outbox WHERE state IN ({listed(OPEN)}) "
        f"AND {work.many('koppeling_id')} GROUP BY koppeling_id, state ORDER BY koppeling_id",
        (work.values(list(koppelingen)),),
    ):
        found.setdefault(number, {})[State(state)] = count
    return found


def find_message(hub: Hub, work: Work, number: int) -> MessageRow:
    """One message.

    Raises: SyncError if there is none that the actor may see; it names the nearest.
    """
    mine = work.values(list(hub.tenants(work)))
    where = f"{work.many('m.tenant_id')} AND m.koppeling_id IS NOT NULL"
    rows = work.execute(
        f"SELECT {_COLUMNS} FROM outbox m WHERE {where} AND m.id = ?", (mine, number)
    )
    if not rows:
        near = near_numbers(work, f"outbox m WHERE {where}", "m.id", number, (mine,))
        raise SyncError(
            f"there is no message {number}", advice=f"{near} Zie `koppelhub outbox list`."
        )
    return _row(rows[0])


def view(hub: Hub, number: int, *, operator: str) -> MessageView:
    """What a message says, beside what the target has; that it was looked at is noted.

    Raises: SyncError if there is none.
    """
    with hub.store.work() as work:
        message = find_message(hub, work, number)
        target = _target(hub, message)
        cipher = hub.cipher(message.tenant_id)
        rows = work.execute(
            "SELECT message_id, action, run_id, salt, body FROM outbox WHERE id = ?", (number,)
        )
        after = opened(cipher, rows[0])
        before = None
        for exchange, salt, body in work.execute(
            "SELECT x.id, x.salt, x.body FROM exchange x JOIN outbox m "
            "ON m.koppeling_id = x.koppeling_id AND m.core_id = x.core_id "
            "AND m.entity = x.entity WHERE m.id = ? AND x.kind = ? AND x.state = ? "
            "AND x.salt IS NOT NULL",
            (number, target.kind, PRESENT),
        ):
            person = cipher.person(bytes(salt))
            before = person.decrypt(bytes(body), exchange_context(exchange))
        note(hub, work, operator=operator, action="outbox show", subject=_subject(message))

    def shown(body: bytes | None) -> Mapping[str, str] | None:
        return None if body is None else target.outward.shown(body)

    return MessageView(message, shown(before), shown(after), message.salt or b"")


def approve(hub: Hub, seen: MessageView, *, operator: str) -> MessageRow:
    """Let a correction go.

    Raises: SyncError if it waits for nobody; StalePlanError if it says something else by now.
    """
    number = seen.message.id
    with hub.store.work() as work:
        message = find_message(hub, work, number)
        _must_be(message, {State.ASKS})
        with tenant_lock(hub.store, message.tenant_id, on=work):
            make_due(hub, work, _target(hub, message))  # as the core is now
            with work.transaction():
                rows = work.execute(
                    "UPDATE outbox SET state = ?, operator = ? WHERE id = ? AND state = ? "
                    "AND NOT stale AND action = ? AND message_id = ? RETURNING salt",
                    (
                        str(State.READY),
                        operator,
                        number,
                        str(State.ASKS),
                        seen.message.action,
                        seen.message.message_id,
                    ),
                )
                if not rows or bytes(rows[0][0] or b"") != seen.seen:
                    raise StalePlanError(
                        f"message {number} is not what was shown", advice=_LOOK.format(number)
                    )
                _note(hub, work, message, "approve", operator)
        return find_message(hub, work, number)


def refuse(hub: Hub, number: int, *, why: str, operator: str) -> MessageRow:
    """Do not send a correction, or what the target refused: it stays as it is there.

    Raises: SyncError if there is nothing to refuse.
    """
    with hub.store.work() as work:
        message = find_message(hub, work, number)
        _must_be(message, {State.ASKS, State.UNDELIVERABLE})
        if message.code == UNMADE:
            raise SyncError(
                f"message {number} could not be made",
                advice="Verbeter het gegeven in de bron, of meld het bij ops: er is nog niets "
                "om niet te versturen.",
            )
        with work.transaction():
            work.execute(  # there is one memory of what is not to be said
                "UPDATE outbox SET state = ?, salt = NULL, body = ?, settled_at = ? "
                "WHERE koppeling_id = ? AND resource = ? AND state = ? AND core_id = "
                "(SELECT m.core_id FROM outbox m WHERE m.id = ?) AND id <> ?",
                (
                    *(str(State.WITHDRAWN), b"", hub.clock.now(), message.koppeling_id),
                    *(message.resource, str(State.DECLINED), number, number),
                ),
            )
            work.execute(
                "UPDATE outbox SET state = ?, operator = ?, why = ?, settled_at = ?, "
                "next_at = NULL WHERE id = ? AND state = ?",
                (
                    *(str(State.DECLINED), operator, why, hub.clock.now()),
                    *(number, str(message.state)),
                ),
            )
            if not work.changes:
                raise StalePlanError(
                    f"message {number} was decided on meanwhile", advice=_LOOK.format(number)
                )
            _note(hub, work, message, "refuse", operator, why)
            keep_message_cases(work, _target(hub, message), now=hub.clock.now())
        return find_message(hub, work, number)


def again(hub: Hub, number: int, *, operator: str) -> MessageRow:
    """Send what was refused once more, as the core is now and under a new id: nothing was done.

    Raises: SyncError if it was not refused.
    """
    with hub.store.work() as work:
        message = find_message(hub, work, number)
        _must_be(message, {State.UNDELIVERABLE, State.DECLINED})
        with work.transaction():
            waits = work.execute(
                "SELECT 1 FROM outbox w JOIN outbox m ON m.koppeling_id = w.koppeling_id "
                "AND m.resource = w.resource AND m.core_id = w.core_id WHERE m.id = ? "
                "AND w.state IN ('due', 'ready', 'asks')",
                (number,),
            )
            if waits:
                raise SyncError(
                    f"another message of {message.key} waits",
                    advice="Er staat al een nieuwer bericht over dit object klaar; dat gaat.",
                )
            work.execute(
                "UPDATE outbox SET state = 'due', stale = TRUE, message_id = ?, salt = NULL, "
                "body = ?, action = '', undone = NULL, code = '', error = '', next_at = NULL, "
                "settled_at = NULL, attempts = 0, operator = ?, why = '' "
                "WHERE id = ? AND state = ?",
                (f"due-{uuid4()}", b"", operator, number, str(message.state)),
            )
            if not work.changes:
                raise StalePlanError(
                    f"message {number} was decided on meanwhile", advice=_LOOK.format(number)
                )
            _note(hub, work, message, "again", operator)
        return find_message(hub, work, number)


def _must_be(message: MessageRow, states: Collection[State]) -> None:
    if message.state not in states:
        raise SyncError(
            f"message {message.id} is {message.state}",
            advice=f"Over dit bericht valt zo niets te beslissen: {MEANS[message.state]}.",
        )


def _target(hub: Hub, message: MessageRow) -> Target:
    """The target of a message. Raises: SyncError if it is none any more."""
    for target in targets_of(hub, message.tenant_id):
        if target.koppeling.id == message.koppeling_id and target.resource == message.resource:
            return target
    raise SyncError(
        f"{message.koppeling} is not delivered to any more",
        advice="De configuratie levert niet meer aan deze koppeling. Vraag ops.",
    )


def _note(
    hub: Hub, work: Work, message: MessageRow, what: str, operator: str, why: str = ""
) -> None:
    note_within(
        hub,
        work,
        operator=operator,
        action=f"outbox {what}",
        subject=_subject(message),
        why=why,
    )


def _subject(message: MessageRow) -> str:
    return f"message {message.id} of {message.key}"


def _row(row: Row) -> MessageRow:
    number, koppeling, resource, core_id, action, state, *rest = row
    key, said = hub_key(core_id), str(Action(action)) if action else ""
    made = MessageRow(number, koppeling, resource, key, said, State(state), *rest)
    made.salt = None if made.salt is None else bytes(made.salt)
    return made
