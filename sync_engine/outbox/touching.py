"""Touch: what a plan changes marks the objects that it may change for a target.

Within the transaction that applies the plan: a row of the outbox for each object, `due` or `stale`.
Killed afterwards, the obligation stands there. What is to be said, and whether anything is, follows
from the core as it is then (making.py). Set statements only, and none where the tenant has no
target.
"""

from __future__ import annotations

from collections.abc import Iterator

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from mappings.outward import Outward
from sync_engine.context import Context, Target
from sync_engine.outbox.states import WAITING, listed
from sync_engine.store.work import Work


class Touched:
    """The objects that one plan may change.

    Args:
        context: of the run; not in its transaction yet.
        plan_id: its plan.
    """

    def __init__(self, context: Context, plan_id: int) -> None:
        self._context, self._targets = context, context.targets
        self._plan_id = plan_id
        if not self._targets:
            return
        context.work.temp_table("w_touched", "entity TEXT, core_id BIGINT", index=["(entity)"])
        context.work.temp_table(
            "w_root", "target INTEGER, core_id BIGINT, PRIMARY KEY (target, core_id)"
        )

    def before(self) -> None:
        """Find the objects that have what is about to change."""
        if not self._targets:
            return
        self._context.work.execute(
            "INSERT INTO w_touched (entity, core_id) SELECT DISTINCT entity, core_id FROM step "
            "WHERE plan_id = ? AND state = 'planned' UNION SELECT entity, core_id FROM w_alias "
            "UNION SELECT entity, survivor_id FROM w_alias",
            (self._plan_id,),
        )
        self._find()

    def after(self, *, undone: int | None = None) -> None:
        """Find those that have it now, and mark them all.

        Args:
            undone: the run that this one turns round.
        """
        if not self._targets:
            return
        self._find()
        for target in self._targets:
            self._mark(target, undone)

    def _find(self) -> None:
        work = self._context.work
        for target in self._targets:
            queries = " UNION ".join(_queries(target.outward))
            work.execute(
                "INSERT INTO w_root (target, core_id) SELECT CAST(? AS INTEGER), r.core_id "
                f"FROM ({queries}) r WHERE r.core_id IS NOT NULL ON CONFLICT DO NOTHING",
                (target.koppeling.id,),
            )
            work.execute(  # what something became is touched where that is
                "INSERT INTO w_root (target, core_id) SELECT r.target, a.survivor_id FROM w_root r "
                "JOIN alias a ON a.core_id = r.core_id WHERE r.target = ? ON CONFLICT DO NOTHING",
                (target.koppeling.id,),
            )

    def _mark(self, target: Target, undone: int | None) -> None:
        context = self._context
        mark(
            context.work,
            target,
            "SELECT core_id FROM w_root WHERE target = ?",
            (target.koppeling.id,),
            run_id=context.run_id,
            undone=undone,
            at=context.now,
        )


def mark(
    work: Work,
    target: Target,
    objects: str,
    params: tuple[object, ...],
    *,
    run_id: int,
    undone: int | None = None,
    at: object,
) -> None:
    """Let objects be looked at: a message of each waits, and its body is to be made.

    Args:
        work: of the hub, in its transaction.
        target: for whom.
        objects: query of their core ids.
        params: of that query.
        run_id: the run that changed them; what a message says is of the newest.
        undone: the run that it turned round.
        at: since when they wait.
    """
    work.execute(
        "INSERT INTO outbox (message_id, tenant_id, target, koppeling_id, resource, entity, "
        "core_id, state, body, run_id, attempts, stale, undone, made_at, action) "
        "SELECT CAST(? AS TEXT) || '-' || CAST(o.core_id AS TEXT), ?, ?, ?, ?, ?, o.core_id, "
        f"'due', ?, ?, 0, TRUE, CAST(? AS INTEGER), ?, '' FROM ({objects}) o WHERE true "
        f"ON CONFLICT (koppeling_id, resource, core_id) WHERE state IN ({listed(WAITING)}) "
        "DO UPDATE SET stale = TRUE, run_id = CASE WHEN excluded.run_id > outbox.run_id "
        "THEN excluded.run_id ELSE outbox.run_id END, "
        "undone = COALESCE(excluded.undone, outbox.undone)",
        (
            f"due-{run_id}-{target.koppeling.id}-{target.resource}",
            target.koppeling.tenant_id,
            target.koppeling.name,
            target.koppeling.id,
            target.resource,
            str(target.outward.entity),
            b"",
            run_id,
            undone,
            at,
            *params,
        ),
    )


def _queries(outward: Outward) -> Iterator[str]:
    """Queries of the objects that what stands in `w_touched` belongs to."""
    root, reads = outward.entity, sorted(outward.reads, key=str)
    yield f"SELECT t.core_id FROM w_touched t WHERE t.entity = '{root}'"
    for name, target in references(root):
        if target in reads:
            yield _joined(target, root, f"{name}_id", "id")
    for holder in reads:
        for name, target in references(holder):
            if target is not root:
                continue
            yield (
                f"SELECT h.{name}_id FROM w_touched t CROSS JOIN {holder} h "
                f"WHERE t.entity = '{holder}' AND h.id = t.core_id"
            )
            for other, beyond in references(holder):
                if beyond in reads and beyond is not root:
                    yield _joined(beyond, holder, f"{other}_id", f"{name}_id")
    if root is Entity.LEERLING and Entity.GROEP in reads:
        yield (
            "SELECT d.persoon_id FROM w_touched t CROSS JOIN groepsdeelname d "
            "WHERE t.entity = 'groep' AND d.groep_id = t.core_id AND d.rol = 'leerling'"
        )


def _joined(touched: Entity, holder: Entity, by: str, column: str) -> str:
    return (
        f"SELECT h.{column} FROM w_touched t CROSS JOIN {holder} h "
        f"WHERE t.entity = '{touched}' AND h.{by} = t.core_id"
    )


def references(entity: Entity) -> list[tuple[str, Entity]]:
    """(field, what it refers to) of an entity."""
    return [
        (name, described.target)
        for name, described in fields_of(entity).items()
        if described.kind is Kind.REFERENCE and described.target is not None
    ]
