"""Forms: what a target should have of some objects, what it has, and what is under way to it.

Reads alone. What a target should have is the pure mapping of the core; what it has is what it
confirmed last (`exchange`); what is under way, refused or waiting is in a message (`outbox`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from config.errors import RecordError
from connectors.base import Action
from mappings.outward import CoreObject, asked
from sync_engine.context import Target
from sync_engine.exchanges import Detail, decode_detail
from sync_engine.hubkeys import hub_key
from sync_engine.outbox.objects import read_objects
from sync_engine.outbox.states import State, listed
from sync_engine.sealed import exchange_context, outbox_context
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.work import Row, Work

PRESENT: Final = "present"
ABSENT: Final = "absent"
"""States of the exchanges: the target confirmed that it has the object, or that it has it no more.
"""
FORGOTTEN: Final = b""
"""The body of what a target has and the hub may not keep: it is no other body's equal."""
RUN: Final = "run"
REFERENCE: Final = "reference"
"""What is kept beside it: the newest run whose changes it has, and what the target calls it."""

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


class Forms:
    """Reads the forms of one target, some objects at once.

    Args:
        work: of the hub.
        cipher: of the tenant.
        target: whose.
    """

    def __init__(self, work: Work, cipher: TenantCipher, target: Target) -> None:
        self._work, self._cipher, self._target = work, cipher, target

    def wanted(self, cores: Sequence[int], *, on: date) -> dict[int, bytes | RecordError | None]:
        """Core id → what the target should have on a day, or why that cannot be said.

        Of what is not in the core any more nothing is said: the target should not have it.
        """
        target = self._target
        tenant = target.koppeling.tenant_id
        objects = read_objects(self._work, target.outward, tenant, cores, on=on)
        return {core_id: self._asked(core_id, thing) for core_id, thing in objects.items()}

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

    def confirmed(self, cores: Sequence[int]) -> dict[int, Form]:
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

    def messages(self, cores: Sequence[int], states: tuple[State, ...]) -> dict[int, Form]:
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
