"""What sources said that a person refused or undid: listed, and lifted so that it counts again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sync_engine.audit import note_within
from sync_engine.errors import SyncError
from sync_engine.find import hub_key
from sync_engine.hub import Hub
from sync_engine.store.locks import tenant_lock
from sync_engine.store.work import Work


@dataclass(frozen=True, slots=True)
class Refusal:
    """One received form that the core does not use by a person's word.

    Attributes:
        key: the hub's key of the record; empty where there is none yet.
        says: what was refused: `nieuw`, `gewijzigd` or `verdwenen`.
        run_id: the run that refused or undid it, `kind` which of the two, by `operator`, `at` then.
    """

    koppeling: str
    entity: str
    source_key: str
    key: str
    says: str
    run_id: int
    kind: str
    operator: str
    at: str


_QUERY = (
    "SELECT k.name, s.entity, s.source_key, MAX(l.core_id), MAX(CASE WHEN s.accepted_fp IS NULL "
    "THEN 'nieuw' WHEN s.received_gone THEN 'verdwenen' ELSE 'gewijzigd' END), s.refused_run, "
    "r.kind, r.operator, r.started_at FROM shadow s JOIN koppeling k ON k.id = s.koppeling_id "
    "JOIN run r ON r.id = s.refused_run LEFT JOIN link l ON l.koppeling_id = s.koppeling_id "
    "AND l.entity = s.entity AND l.source_key = s.source_key "
    "WHERE s.refused_run IS NOT NULL {} GROUP BY k.name, s.entity, s.source_key, s.refused_run, "
    "r.kind, r.operator, r.started_at ORDER BY s.refused_run, s.entity, s.source_key LIMIT ?"
)


def list_refusals(
    hub: Hub,
    *,
    koppelingen: Sequence[str] | None = None,
    run_id: int | None = None,
    limit: int = 1_000,
) -> list[Refusal]:
    """What is received and not accepted by a person's word, oldest refusal first.

    Args:
        hub: only of tenants that the actor may act for.
        koppelingen: names; None for all.
        run_id: of the refusal or undo; None for every one.
        limit: at most so many.
    """
    with hub.store.work() as work:
        where = f"AND {work.many('k.tenant_id')}"
        params: list[object] = [work.values(list(hub.tenants(work)))]
        if koppelingen is not None:
            where += f" AND {work.many('k.name')}"
            params.append(work.values(list(koppelingen)))
        if run_id is not None:
            where += " AND s.refused_run = ?"
            params.append(run_id)
        rows = work.execute(_QUERY.format(where), (*params, limit))
    return [
        Refusal(
            koppeling=row[0],
            entity=row[1],
            source_key=row[2],
            key="" if row[3] is None else hub_key(row[3]),
            says=row[4],
            run_id=row[5],
            kind=row[6],
            operator=row[7],
            at=str(row[8]),
        )
        for row in rows
    ]


def lift_refusals(
    hub: Hub,
    koppeling: str,
    *,
    run_id: int | None,
    keys: Sequence[tuple[str, str]] = (),
    operator: str,
) -> int:
    """Let refused forms count again; the next run proposes them. Returns how many records.

    Args:
        hub: of the koppeling.
        koppeling: its name.
        run_id: of the refusal or undo; None for every one.
        keys: (entity, source key) of some records; empty for all of the run.
        operator: who lifts it.

    Raises: SyncError if nothing of that is refused.
    """
    row = hub.koppeling(koppeling)
    with (
        hub.store.work() as work,
        tenant_lock(hub.store, row.tenant_id, on=work),
        work.transaction(),
    ):
        chosen: list[tuple[str, str] | None] = [*sorted(set(keys))]
        count = 0
        for key in chosen or [None]:
            count += _lift(work, row.id, run_id, key)
        if not count:
            raise SyncError(
                "nothing of that is refused",
                advice="Zie `koppelhub refused list` voor wat er geweigerd is.",
            )
        subject = f"run {run_id}" if run_id is not None else koppeling
        note_within(
            hub,
            work,
            operator=operator,
            action="refused lift",
            subject=subject,
            why=f"{count} records",
        )
    return count


def _lift(work: Work, koppeling_id: int, run_id: int | None, key: tuple[str, str] | None) -> int:
    where: str = ""
    params: list[object] = []
    if run_id is not None:
        where, params = " AND refused_run = ?", [run_id]
    if key is not None:
        where, params = f"{where} AND entity = ? AND source_key = ?", [*params, *key]
    condition = f"WHERE koppeling_id = ? AND refused_run IS NOT NULL{where}"
    records = work.execute(
        f"SELECT COUNT(*) FROM (SELECT DISTINCT entity, source_key FROM shadow {condition}) r",
        (koppeling_id, *params),
    )[0][0]
    work.execute(
        f"UPDATE {work.real('shadow')} SET pending = true, refused_fp = NULL, refused_run = NULL "
        f"WHERE id IN (SELECT id FROM shadow {condition})",
        (koppeling_id, *params),
    )
    return int(records)
