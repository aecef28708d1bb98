"""What each rule of correlation answers for every record of a koppeling, were there no links yet.

The code is that of a run (correlate.py, correlating.py), on the core as it would be without this
koppeling (without.py) and on all that it still says. What comes of it stands in temporary tables;
nothing is numbered, linked or written. A rule that a trial leaves out does not count in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from mappings.canonical.fields import Entity
from sync_engine import plan
from sync_engine.concern import find_pending, wait_with_disputed
from sync_engine.context import Context
from sync_engine.correlate import SCORE, Correlated, Correlator
from sync_engine.correlating import correlate_pending
from sync_engine.received import all_pending
from sync_engine.trial import without

_COLUMNS: Final = ("entity", "source_key", "answer", "rule", "core_id", "score", "candidates")


class Answer(StrEnum):
    """What the rules say of a record."""

    LINKED = "linked"  # it is a record that the core has without this koppeling
    NEW = "new"
    DISPUTED = "disputed"  # a case for a person
    WAITING = "waiting"  # something that it cannot be without is not there, or is in doubt
    LEFT = "left"  # nothing is made of it: by policy, by a decision, or for its form was refused


class Change(StrEnum):
    """How an answer differs from the link that stands."""

    SAME = "same"
    FRESH = "fresh"  # no link stands yet
    JOINS = "joins"  # stands alone, and would be one with another
    PARTS = "parts"  # is one with another, and would stand alone
    MOVES = "moves"  # would be another record that others know
    DISPUTED = "disputed"  # has a link, and would be a case
    LOST = "lost"  # has a link, and nothing would be made of it


def find_answers(context: Context) -> int:
    """Fill `t_answer`, and `t_mixed` and `t_torn` by which it is compared; how many would merge.

    The lock of the tenant is held, and no transaction is open.
    """
    work = context.work
    plan.prepare(context, acting=False)
    without.prepare(context)
    work.temp_table(
        "t_answer",
        "entity TEXT, source_key TEXT, answer TEXT, rule TEXT, core_id BIGINT, score REAL, "
        "candidates TEXT, PRIMARY KEY (entity, source_key)",
        index=["(core_id)"],
    )
    all_pending(context)
    merges = 0
    with without.without(context):
        correlator = Correlator(context)
        for entity in Entity:
            work.execute("DELETE FROM w_pending")
            find_pending(context, entity, chosen=False)
            waiting = wait_with_disputed(context, entity)
            found = correlate_pending(context, correlator, entity, may_create=True)
            _keep(context, entity, found or Correlated(), waiting)
            merges += len(found.merges) if found is not None else 0
    _compare(context)
    return merges


def _keep(context: Context, entity: Entity, found: Correlated, waiting: set[str]) -> None:
    """Write down the answers of one entity."""
    work, own, name = context.work, context.koppeling.id, str(entity)
    work.execute(  # whoever a number was given, or the number of another
        "INSERT INTO t_answer (entity, source_key, answer, rule, core_id) SELECT entity, "
        "source_key, CASE WHEN core_id < 0 THEN ? ELSE ? END, rule, core_id FROM w_link "
        "WHERE koppeling_id = ? AND entity = ? AND rule <> 'merged'",
        (str(Answer.NEW), str(Answer.LINKED), own, name),
    )
    work.temp_table("t_rule", "source_key TEXT PRIMARY KEY, rule TEXT")
    work.load("t_rule", ("source_key", "rule"), sorted(found.rules.items()))
    work.execute(
        "UPDATE t_answer SET rule = (SELECT r.rule FROM t_rule r "
        "WHERE r.source_key = t_answer.source_key) WHERE entity = ? "
        "AND source_key IN (SELECT source_key FROM t_rule)",
        (name,),
    )
    work.load("t_answer", _COLUMNS, _others(name, found, waiting))
    work.execute(  # what is pending and got nothing
        "INSERT INTO t_answer (entity, source_key, answer, rule) SELECT ?, p.source_key, ?, "
        "COALESCE(r.rule, '') FROM w_pending p LEFT JOIN t_rule r ON r.source_key = p.source_key "
        "WHERE p.source_key NOT IN (SELECT a.source_key FROM t_answer a WHERE a.entity = ?)",
        (name, str(Answer.LEFT), name),
    )


def _others(name: str, found: Correlated, waiting: set[str]) -> Iterator[tuple[object, ...]]:
    for key, dispute in sorted(found.disputes.items()):
        told = [c for c in dispute.candidates if isinstance(c.get("core_id"), int)]
        cores = msgspec.json.encode([c["core_id"] for c in told]).decode()
        best = max((float(str(c.get("score", 0))) for c in told), default=0.0)
        rule = SCORE if dispute.kind == SCORE else f"{dispute.kind}: {dispute.rule}"
        yield name, key, str(Answer.DISPUTED), rule, None, best or None, cores
    for key in sorted(found.waiting | (waiting - found.disputes.keys())):
        yield name, key, str(Answer.WAITING), "", None, None, None


def _compare(context: Context) -> None:
    """What would be one and is not, and what is one and would not be; by the links that stand."""
    work, own = context.work, context.koppeling.id
    for name in ("t_mixed", "t_torn"):
        work.temp_table(name, "core_id BIGINT PRIMARY KEY")
    joined = (
        "FROM t_answer a JOIN link l ON l.koppeling_id = ? AND l.entity = a.entity "
        "AND l.source_key = a.source_key WHERE a.answer = ?"
    )
    work.execute(
        f"INSERT INTO t_mixed SELECT a.core_id {joined} "
        "GROUP BY a.core_id HAVING COUNT(DISTINCT l.core_id) > 1",
        (own, str(Answer.NEW)),
    )
    work.execute(
        f"INSERT INTO t_torn SELECT l.core_id {joined} "
        "GROUP BY l.core_id HAVING COUNT(DISTINCT a.core_id) > 1",
        (own, str(Answer.NEW)),
    )
