"""Correlating what is pending of one entity, and noting what is in doubt: for a plan, or to try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.concern import refold_referrers, tell_waiting
from sync_engine.context import BATCH, Context
from sync_engine.correlate import Correlated, Correlator
from sync_engine.nodes import Node, load_nodes


def correlate_pending(
    context: Context, correlator: Correlator, entity: Entity, *, may_create: bool
) -> Correlated | None:
    """Correlate what stands in `w_pending`; None where nothing does.

    Cases, and whatever waits or must be folded again by it, stand in the temporary tables of the
    plan then.

    Args:
        context: of the run.
        correlator: of the run, asked for one entity after another in fold order.
        entity: which.
        may_create: False holds every creation of this entity back.
    """
    work = context.work
    if not work.execute("SELECT 1 FROM w_pending LIMIT 1"):
        return None
    found = correlator.correlate(entity, _nodes(context, entity), may_create=may_create)
    work.load(
        "w_disputed",
        ("entity", "source_key"),
        [(str(entity), key) for key in sorted(found.disputes)],
    )
    work.load(
        "w_vanished",
        ("entity", "source_key"),
        [(str(entity), key) for key in sorted(found.vanished)],
    )
    encode = msgspec.json.encode
    work.load(
        "w_case",
        ("kind", "entity", "source_key", "rule", "detail"),
        [
            (d.kind, str(entity), d.source_key, d.rule, encode(d.candidates).decode())
            for d in found.disputes.values()
        ],
    )
    tell_waiting(context, entity, found.waiting)
    refold_referrers(context, entity, found)
    return found


def _nodes(context: Context, entity: Entity) -> Iterator[Sequence[Node]]:
    """What is pending, in the order in which it stands in the store: neighbours are quick."""
    last: int | None = None
    while True:
        where, params = ("", ()) if last is None else ("WHERE place > ?", (last,))
        rows = context.work.execute(
            f"SELECT source_key, place FROM w_pending {where} ORDER BY place LIMIT {BATCH}",
            params,
        )
        if not rows:
            return
        last = rows[-1][1]
        yield load_nodes(context, entity, [row[0] for row in rows], dict(rows))
