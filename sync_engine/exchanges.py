"""Exchanges: where each object stands with a target, one row of a kind for each object.

A row changes from the state that somebody saw it in, or not at all: of two who decide at once one
is refused. Which state may follow which is pure code in the room whose exchange it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from secrets import token_bytes
from typing import Final, TypeAlias

import msgspec

from config.clock import Clock
from mappings.canonical.fields import Entity
from sync_engine.context import KoppelingRow
from sync_engine.errors import StalePlanError, SyncError
from sync_engine.sealed import exchange_context
from sync_engine.store.cipher import SALT_SIZE_BYTES, TenantCipher
from sync_engine.store.engine import Store
from sync_engine.store.values import instant
from sync_engine.store.work import Params, Row, Work

Detail: TypeAlias = Mapping[str, str | int | bool | None]
"""What is known of an exchange without personal data: keys, instants, who did what."""

ALARM: Final = "alarm"
"""State of what another system contradicts: health tells it until a person found out."""

_COLUMNS: Final = (
    "id, entity, core_id, kind, state, revision, detail, message_id, changed_at, operator, salt"
)
_MEANWHILE: Final = "Een ander was u voor. Bekijk hoe het er nu mee staat, en beslis dan opnieuw."
_UNKNOWN: Final = "Kies een nummer uit de lijst van deze koppeling."


@dataclass(frozen=True, slots=True)
class Exchange:
    """One object and its target, as somebody saw it.

    Attributes:
        core_id: the object, by the number that it had when the row was made.
        revision: how often it was written; who changes it must have seen the last one.
        has_body: something encrypted is kept with it.
        operator: who changed it last.
    """

    number: int
    entity: Entity
    core_id: int
    kind: str
    state: str
    revision: int
    changed_at: datetime
    operator: str
    detail: Detail = field(default_factory=dict)
    message_id: str = ""
    has_body: bool = False


class Exchanges:
    """The exchanges of one koppeling, in the store.

    Each call has a connection and a cipher of its own, as of `StoreVault`; what changes something
    takes `within`, a Work whose open transaction it is to be part of.

    Args:
        store: where they are.
        koppeling: whose.
        cipher: gives the tenant's cipher as its keys are now.
        clock: says when something changed.
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

    # -- reading -----------------------------------------------------------------------------------

    def read(self, number: int) -> Exchange:
        """One of them. Raises: SyncError if this koppeling has none of that number."""
        found = self._find("id = ?", number)
        if not found:
            raise SyncError(f"{self._koppeling.name} has no exchange {number}", advice=_UNKNOWN)
        return found[0]

    def of_kind(self, kind: str, *, states: Collection[str] | None = None) -> Sequence[Exchange]:
        """Those of a kind, oldest first; only in some states, where they are given."""
        return [
            exchange
            for exchange in self._find("kind = ?", kind)
            if states is None or exchange.state in states
        ]

    def of_object(self, entity: Entity, core_id: int) -> Sequence[Exchange]:
        """Those of one object, and of what was merged into it, oldest first."""
        return self._find(
            "entity = ? AND (core_id = ? OR core_id IN "
            "(SELECT a.core_id FROM alias a WHERE a.survivor_id = ?))",
            str(entity),
            core_id,
            core_id,
        )

    def body(self, exchange: Exchange) -> bytes:
        """What is kept with it. Raises: LookupError if nothing is."""
        with self._store.work() as work:
            rows = work.execute(
                "SELECT salt, body FROM exchange WHERE id = ? AND koppeling_id = ? "
                "AND salt IS NOT NULL AND body IS NOT NULL",
                (exchange.number, self._koppeling.id),
            )
        if not rows:
            message = f"exchange {exchange.number}: nothing is kept with it"
            raise LookupError(message)
        salt, sealed = map(bytes, rows[0])
        return self._cipher().person(salt).decrypt(sealed, exchange_context(exchange.number))

    def _find(self, where: str, *params: object) -> list[Exchange]:
        with self._store.work() as work:
            rows = work.execute(
                f"SELECT {_COLUMNS} FROM exchange WHERE koppeling_id = ? AND {where} ORDER BY id",
                (self._koppeling.id, *params),
            )
        return [_exchange(row) for row in rows]

    # -- changing ----------------------------------------------------------------------------------

    def open(
        self,
        entity: Entity,
        core_id: int,
        kind: str,
        *,
        state: str,
        operator: str,
        detail: Detail | None = None,
        body: bytes | None = None,
        within: Work | None = None,
    ) -> Exchange:
        """Begin one.

        Raises: StalePlanError if there is one of that kind for this object already.
        """
        with self._writing(within) as work:
            rows = work.execute(
                "INSERT INTO exchange (koppeling_id, entity, core_id, kind, state, revision, "
                "detail, changed_at, operator) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?) "
                f"ON CONFLICT DO NOTHING RETURNING {_COLUMNS}",
                (
                    self._koppeling.id,
                    str(entity),
                    core_id,
                    kind,
                    state,
                    encode_detail(detail or {}),
                    self._clock.now(),
                    operator,
                ),
            )
            if not rows:
                message = f"{self._koppeling.name}: this {entity} has a {kind} already"
                raise StalePlanError(message, advice=_MEANWHILE)
            number = int(rows[0][0])
            if body is not None:
                sets, params = self._sealed(number, body)
                work.execute(f"UPDATE exchange SET {sets} WHERE id = ?", (*params, number))
            return replace(_exchange(rows[0]), has_body=body is not None)

    def move(
        self,
        exchange: Exchange,
        state: str,
        *,
        operator: str,
        detail: Detail | None = None,
        message_id: str | None = None,
        body: bytes | None = None,
        forget: bool = False,
        within: Work | None = None,
    ) -> Exchange:
        """Bring it from the state that `exchange` shows to another one.

        Args:
            exchange: as it was seen.
            state: the one that follows.
            operator: who says so.
            detail: in the place of what was known of it; None leaves that.
            message_id: of the last message; None leaves it.
            body: in the place of what is kept with it; None leaves that.
            forget: keep nothing with it any more.
            within: the open transaction that it is to be part of.

        Raises: StalePlanError if it was changed since it was seen, or is not there any more.
        """
        sets, params = "", list[object]()
        if forget:
            sets = ", salt = NULL, body = NULL"
        elif body is not None:
            sealed, given = self._sealed(exchange.number, body)
            sets, params = f", {sealed}", list(given)
        with self._writing(within) as work:
            rows = work.execute(
                "UPDATE exchange SET state = ?, revision = revision + 1, detail = ?, "
                f"message_id = ?, changed_at = ?, operator = ?{sets} WHERE id = ? "
                f"AND koppeling_id = ? AND state = ? AND revision = ? RETURNING {_COLUMNS}",
                (
                    state,
                    encode_detail(exchange.detail if detail is None else detail),
                    exchange.message_id if message_id is None else message_id,
                    self._clock.now(),
                    operator,
                    *params,
                    exchange.number,
                    self._koppeling.id,
                    exchange.state,
                    exchange.revision,
                ),
            )
            if not rows:
                message = f"exchange {exchange.number} is not {exchange.state} any more"
                raise StalePlanError(message, advice=_MEANWHILE)
        return _exchange(rows[0])

    @contextmanager
    def _writing(self, within: Work | None) -> Iterator[Work]:
        if within is not None:
            yield within
            return
        with self._store.work() as work, work.transaction():
            yield work

    def _sealed(self, number: int, body: bytes) -> tuple[str, Params]:
        salt = token_bytes(SALT_SIZE_BYTES)
        person = self._cipher().person(salt)
        sealed = person.encrypt(body, exchange_context(number), compress=True)
        return "salt = ?, body = ?", (salt, sealed)


def alarms(work: Work, koppelingen: Sequence[int]) -> dict[int, int]:
    """Koppeling id → exchanges that are in alarm, whatever they are about; only if any."""
    return dict(
        work.execute(
            "SELECT koppeling_id, COUNT(*) FROM exchange WHERE state = ? "
            f"AND {work.many('koppeling_id')} GROUP BY koppeling_id",
            (ALARM, work.values(koppelingen)),
        )
    )


def encode_detail(detail: Detail) -> str:
    """A detail as the store keeps it."""
    return msgspec.json.encode(dict(detail)).decode()


def decode_detail(text: str) -> Detail:
    """A detail that the store kept."""
    return msgspec.json.decode(text, type=dict[str, str | int | bool | None])


def _exchange(row: Row) -> Exchange:
    return Exchange(
        number=row[0],
        entity=Entity(row[1]),
        core_id=row[2],
        kind=row[3],
        state=row[4],
        revision=row[5],
        detail=decode_detail(row[6]),
        message_id=row[7],
        changed_at=instant(row[8]),
        operator=row[9],
        has_body=row[10] is not None,
    )
