"""The inbox: messages that other programs send to a koppeling, encrypted, deduplicated by id.

Of each record the newest message is kept; of those before it the id and a keyed digest stay, so
that a message that comes again has no effect and one that says something else under a known id is
refused. Numbers ascend in the order of commit: who puts takes the koppeling's row of `id_block`
first, so that a reader who saw a number saw all before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_bytes
from typing import Final

import msgspec

from config.clock import Clock
from config.nearest import nearest
from connectors.base import Action, Claimed, Door, Message, Receipt
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.context import KoppelingRow
from sync_engine.project import required_references
from sync_engine.sealed import inbox_context
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.engine import Store
from sync_engine.store.values import instant
from sync_engine.store.work import Row, Work
from sync_engine.suppression import PERSONS, Suppressions

_COLUMNS: Final = (
    "koppeling_id",
    "message_id",
    "resource",
    "source_key",
    "gone",
    "current",
    "digest",
    "salt",
    "body",
    "received_at",
)
_BATCH: Final = 500
_LONGEST_NAME: Final = 100


class StoreInbox:
    """The inbox of one koppeling, in the store.

    Each call has a connection and a cipher of its own: it may serve for months and from several
    threads, while keys are rotated.

    Args:
        store: where it is.
        koppeling: whose.
        cipher: gives the tenant's cipher as its keys are now.
        clock: says when messages came in.
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

    def put(self, messages: Sequence[Message]) -> Sequence[Receipt]:
        """Take some messages, in their order; all that is taken, in one transaction."""
        if not messages:
            return []
        cipher = self._cipher()
        with self._store.work() as work, work.transaction():
            return self._put(work, messages, cipher)

    def collect(self, door: Door) -> int:
        """Take over what stands in the table view; what is refused is marked and emptied.

        So is what names no koppeling at all: no run of any would come for it.
        """
        taken = 0
        with self._store.work() as work:
            while rows := self._waiting(work):
                taken += self._collect(work, rows, door, self._cipher())
            every, inboxes = self._koppelingen(work)
            while rows := _strays(work, every, "AND fout IS NULL", limit=_BATCH):
                with work.transaction():
                    _refuse(work, {number: _nowhere(name, inboxes) for number, *_, name in rows})
        return taken

    def position(self) -> int:
        """The number of the newest message; 0 where none ever came."""
        with self._store.work() as work:
            rows = work.execute(
                "SELECT MAX(id) FROM inbox WHERE koppeling_id = ?", (self._koppeling.id,)
            )
        return int(rows[0][0] or 0)

    def claims(self, resource: str, *, after: str, limit: int) -> Sequence[Claimed]:
        """What is claimed now, deletions included, in the order of the keys that follow `after`."""
        where = "AND source_key > ? ORDER BY source_key LIMIT ?"
        return self._read(resource, where, after, limit)

    def changes(self, resource: str, *, after: int, limit: int) -> Sequence[Claimed]:
        """The claims that are newer than a number, oldest first."""
        return self._read(resource, "AND id > ? ORDER BY id LIMIT ?", after, limit)

    def find(self, resource: str, keys: Sequence[str]) -> Sequence[Claimed]:
        """The claims on these records, in the order of their keys."""
        with self._store.work() as work:
            where = f"AND {work.many('source_key')} ORDER BY source_key"
            return self._claims(work, resource, where, work.values(keys))

    # -- reading -----------------------------------------------------------------------------------

    def _read(self, resource: str, where: str, *params: object) -> Sequence[Claimed]:
        with self._store.work() as work:
            return self._claims(work, resource, where, *params)

    def _claims(self, work: Work, resource: str, where: str, *params: object) -> Sequence[Claimed]:
        rows = work.execute(
            "SELECT id, source_key, gone, message_id, salt, body FROM inbox "
            f"WHERE koppeling_id = ? AND resource = ? AND current {where}",
            (self._koppeling.id, resource, *params),
        )
        cipher = self._cipher()
        return [Claimed(r[0], r[1], None if r[2] else self._open(r, cipher)) for r in rows]

    def _open(self, row: Row, cipher: TenantCipher) -> bytes:
        context = inbox_context(self._koppeling.id, row[3])
        return cipher.person(row[4]).decrypt(row[5], context)

    # -- writing -----------------------------------------------------------------------------------

    def _put(self, work: Work, messages: Sequence[Message], cipher: TenantCipher) -> list[Receipt]:
        """In the transaction that is open."""
        work.execute(  # one at a time for each koppeling: numbers ascend in the order of commit
            "INSERT INTO id_block (name, next) VALUES (?, 1) "
            "ON CONFLICT (name) DO UPDATE SET next = id_block.next + 1",
            (f"inbox/{self._koppeling.id}",),
        )
        fingerprint = cipher.fingerprint(b"inbox")
        erased = Suppressions.load(work, cipher, now=self._clock.now(), dry=True, operator="inbox")
        known = self._known(work, [message.message_id for message in messages])
        receipts: list[Receipt] = []
        new: list[tuple[Message, bytes]] = []
        for message in messages:
            digest = fingerprint(content(message))
            before = known.get(message.message_id)
            if before is not None:
                receipts.append(Receipt.KNOWN if before == digest else Receipt.CONFLICT)
                continue
            if erased and self._is_erased(work, erased, message):
                receipts.append(Receipt.SUPPRESSED)
                continue
            known[message.message_id] = digest
            receipts.append(Receipt.ACCEPTED)
            new.append((message, digest))
        self._replace(work, [message for message, _ in new])
        work.load("inbox", _COLUMNS, self._rows(new, cipher))
        return receipts

    def _is_erased(self, work: Work, erased: Suppressions, message: Message) -> bool:
        """Whether a message is of an erased person, as far as can be told before it is mapped.

        By his key, or that to which it must refer; by his numbers where the record is nobody's yet.
        """
        own, resource, key = self._koppeling.id, message.resource, message.key
        if resource not in set(Entity):
            return False
        entity = Entity(resource)
        if erased.holds(entity, own, key):
            return True
        form = _object(message.body)
        for name in required_references(entity):
            target = fields_of(entity)[name].target
            if target and form.get(name) and erased.holds(target, own, str(form[name])):
                return True
        return (
            entity in PERSONS
            and erased.holds_unread(resource, own, key, message.body)
            and not work.execute(
                "SELECT 1 FROM link WHERE koppeling_id = ? AND entity = ? AND source_key = ?",
                (own, resource, key),
            )
        )

    def _known(self, work: Work, ids: Sequence[str]) -> dict[str, bytes]:
        rows = work.execute(
            "SELECT message_id, digest FROM inbox WHERE koppeling_id = ? "
            f"AND {work.many('message_id')}",
            (self._koppeling.id, work.values(ids)),
        )
        return {row[0]: bytes(row[1]) for row in rows}

    def _replace(self, work: Work, messages: Sequence[Message]) -> None:
        """What these records said until now is forgotten, but for that it was said."""
        for resource in sorted({message.resource for message in messages}):
            keys = sorted({m.key for m in messages if m.resource == resource})
            work.execute(
                "UPDATE inbox SET current = false, salt = NULL, body = ? WHERE koppeling_id = ? "
                f"AND resource = ? AND current AND {work.many('source_key')}",
                (b"", self._koppeling.id, resource, work.values(keys)),
            )

    def _rows(
        self, new: Sequence[tuple[Message, bytes]], cipher: TenantCipher
    ) -> list[tuple[object, ...]]:
        newest = {(message.resource, message.key): message.message_id for message, _ in new}
        now = self._clock.now()
        rows: list[tuple[object, ...]] = []
        for message, digest in new:
            current = newest[message.resource, message.key] == message.message_id
            gone = message.action is Action.DELETE
            salt, sealed = None, b""
            if current and not gone:
                salt = token_bytes(16)
                context = inbox_context(self._koppeling.id, message.message_id)
                sealed = cipher.person(salt).encrypt(message.body, context, compress=True)
            row = (message.message_id, message.resource, message.key, gone, current, digest)
            rows.append((self._koppeling.id, *row, salt, sealed, now))
        return rows

    # -- the table view ----------------------------------------------------------------------------

    def _waiting(self, work: Work) -> list[Row]:
        return work.execute(
            "SELECT id, message_id, resource, key, action, body FROM kern_inbox "
            "WHERE koppeling = ? AND fout IS NULL ORDER BY id LIMIT ?",
            (self._koppeling.name, _BATCH),
        )

    def _koppelingen(self, work: Work) -> tuple[list[str], list[str]]:
        """Every koppeling that the database has, of whatever tenant, and those of this system."""
        rows = work.execute(f"SELECT name, system FROM {work.real('koppeling')} ORDER BY name")
        return [row[0] for row in rows], [
            n for n, system in rows if system == self._koppeling.system
        ]

    def _collect(self, work: Work, rows: Sequence[Row], door: Door, cipher: TenantCipher) -> int:
        """Take over some rows, in one transaction; each row leaves, or is marked."""
        good: list[tuple[int, Message]] = []
        refused: dict[int, str] = {}
        for number, message_id, resource, key, action, body in rows:
            if action not in set(Action):
                refused[number] = f"action: must be one of {', '.join(Action)}"
                continue
            told = (body or "").encode()
            message = Message(message_id, resource, key, Action(action), told)
            kept, problems = door(message)
            if problems:
                refused[number] = "; ".join(f"{p.path}: {p.rule}" for p in problems)
            else:
                good.append((number, kept))
        with work.transaction():
            receipts = self._put(work, [message for _, message in good], cipher)
            for (number, _), receipt in zip(good, receipts, strict=True):
                if receipt is Receipt.CONFLICT:
                    refused[number] = "message_id: came before with other content"
            work.execute(
                f"DELETE FROM kern_inbox WHERE {work.many('id')}",
                (work.values([number for number, _ in good if number not in refused]),),
            )
            _refuse(work, refused)
        if Receipt.SUPPRESSED in receipts:  # what stood there was plain
            work.forget_freed(("kern_inbox",))
        return len(good) - sum(number in refused for number, _ in good)


def _refuse(work: Work, refused: Mapping[int, str]) -> None:
    """Mark rows of the table view with why, and empty them; in the transaction that is open."""
    for number, reason in refused.items():
        work.execute("UPDATE kern_inbox SET fout = ?, body = NULL WHERE id = ?", (reason, number))


def _strays(work: Work, names: Sequence[str], where: str, *, limit: int) -> list[Row]:
    """(id, message id, resource, reason, koppeling) of rows that name none of these."""
    return work.execute(
        "SELECT id, message_id, resource, fout, koppeling FROM kern_inbox "
        f"WHERE NOT ({work.many('koppeling')}) {where} ORDER BY id LIMIT ?",
        (work.values(list(names)), limit),
    )


def _nowhere(text: str, names: Sequence[str]) -> str:
    """Why a row goes nowhere; what it says is another program's, and is not repeated."""
    near = nearest(text[:_LONGEST_NAME], names, limit=1)
    told = f"the nearest is {near[0]}" if near else f"must be one of {', '.join(names)}"
    return f"koppeling: there is none of that name; {told}"


def _object(body: bytes) -> dict[str, object]:
    """A body that is an object, else an empty one."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def content(message: Message) -> bytes:
    """What a message says, as its digest is taken of it."""
    parts = (message.resource, message.key, str(message.action))
    lengths = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)
    return lengths + message.body


# -- what a person may see -------------------------------------------------------------------------


@dataclass(slots=True)
class InboxState:
    """What the inbox of one koppeling holds.

    Attributes:
        koppeling: whose; empty for the rows that name none with an inbox.
        claims: records that are claimed now; `gone` were deleted by the application.
        waiting: rows of the table view that the next run takes over.
        refused: (number, message id, resource, reason) of rows that stay there.
    """

    koppeling: str
    messages: int = 0
    claims: int = 0
    gone: int = 0
    newest_at: datetime | None = None
    waiting: int = 0
    refused: list[tuple[int, str, str, str]] = field(default_factory=list)


def inbox_state(work: Work, koppeling: KoppelingRow, *, limit: int) -> InboxState:
    """Look into one inbox; at most `limit` refused rows."""
    state = InboxState(koppeling.name)
    (row,) = work.execute(
        "SELECT COUNT(*), SUM(CASE WHEN current AND NOT gone THEN 1 ELSE 0 END), "
        "SUM(CASE WHEN current AND gone THEN 1 ELSE 0 END), MAX(received_at) "
        "FROM inbox WHERE koppeling_id = ?",
        (koppeling.id,),
    )
    state.messages, state.claims, state.gone = row[0], int(row[1] or 0), int(row[2] or 0)
    state.newest_at = None if row[3] is None else instant(row[3])
    ((state.waiting,),) = work.execute(
        "SELECT COUNT(*) FROM kern_inbox WHERE koppeling = ? AND fout IS NULL", (koppeling.name,)
    )
    state.refused = [
        (number, message_id, resource, reason)
        for number, message_id, resource, reason in work.execute(
            "SELECT id, message_id, resource, fout FROM kern_inbox "
            "WHERE koppeling = ? AND fout IS NOT NULL ORDER BY id LIMIT ?",
            (koppeling.name, limit),
        )
    ]
    return state


def stray_state(work: Work, inboxes: Sequence[str], *, limit: int) -> InboxState:
    """Look at the rows of the table view that name none of these koppelingen."""
    state = InboxState("")
    ((state.waiting,),) = work.execute(
        f"SELECT COUNT(*) FROM kern_inbox WHERE NOT ({work.many('koppeling')}) AND fout IS NULL",
        (work.values(list(inboxes)),),
    )
    refused = _strays(work, inboxes, "AND fout IS NOT NULL", limit=limit)
    state.refused = [(row[0], row[1], row[2], row[3]) for row in refused]
    return state
