"""Cases of messages that a target refused: one for each object, that closes by itself.

It is open from the refusal until the object is delivered or needs no message any more, whatever is
tried meanwhile.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sync_engine.context import Target
from sync_engine.hubkeys import hub_key
from sync_engine.outbox.states import OPEN, State, listed
from sync_engine.store.work import Work

MESSAGE: Final = "message"
"""Kind of these cases."""


def keep_message_cases(work: Work, target: Target, *, now: datetime) -> None:
    """Close cases of what was delivered or is not needed, and open those of what was refused."""
    own = target.koppeling.id
    entity = str(target.outward.entity)
    cases = {
        key: number
        for number, key in work.execute(
            "SELECT id, source_key FROM zaak WHERE koppeling_id = ? AND state = 'open' "
            "AND kind = ? AND entity = ?",
            (own, MESSAGE, entity),
        )
    }
    refused = work.execute(
        "SELECT core_id, code, error, run_id FROM outbox WHERE koppeling_id = ? "
        "AND resource = ? AND state = ? ORDER BY id",
        (own, target.resource, str(State.UNDELIVERABLE)),
    )
    if cases:
        _close(work, target, cases, now=now)
    for core_id, code, rule, run_id in refused:
        key = hub_key(core_id)
        if key not in cases:
            work.execute(
                "INSERT INTO zaak (tenant_id, koppeling_id, kind, entity, source_key, state, "
                "rule, detail, opened_run) VALUES (?, ?, ?, ?, ?, 'open', ?, '[]', ?)",
                (target.koppeling.tenant_id, own, MESSAGE, entity, key, said(code, rule), run_id),
            )


def _close(work: Work, target: Target, cases: dict[str, int], *, now: datetime) -> None:
    waiting = {
        hub_key(core_id)
        for (core_id,) in work.execute(
            "SELECT core_id FROM outbox WHERE koppeling_id = ? AND resource = ? "
            f"AND state IN ({listed(OPEN)})",
            (target.koppeling.id, target.resource),
        )
    }
    over = [number for key, number in cases.items() if key not in waiting]
    if over:
        work.execute(
            f"UPDATE zaak SET state = 'closed', closed_at = ? WHERE {work.many('id')}",
            (now, work.values(over)),
        )


def said(code: str, rule: str) -> str:
    """What a target said of a message that it refused."""
    return f"{code}: {rule}" if rule else code
