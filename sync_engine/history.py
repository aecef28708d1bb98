"""What was done, for people: runs, and explanations; every look at a record is audited."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.audit import note
from sync_engine.context import Context
from sync_engine.errors import SyncError
from sync_engine.explain import Explanation, check_field, explain
from sync_engine.find import find_leerlingen, hub_key
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.named import add_names
from sync_engine.nearby import near_numbers
from sync_engine.outcome import ReadingReport
from sync_engine.selection import koppelingen_of
from sync_engine.store.work import Work
from sync_engine.view import store_context
from sync_engine.why import add_reasons, undelivered


@dataclass(frozen=True, slots=True)
class RunView:
    """One run, in a list."""

    id: int
    koppeling: str
    kind: str
    state: str
    started_at: str
    finished_at: str | None
    read: int
    added: int
    changed: int
    gone: int
    quarantined: int
    error: str | None
    advice: str | None
    held: int = 0
    plan_id: int | None = None  # that waits for a person


@dataclass(slots=True)
class RunDetail:
    """One run, whole."""

    run: RunView
    operator: str
    counts: dict[str, Json]
    readings: list[ReadingReport]
    events: list[dict[str, Json]]
    quarantine: list[dict[str, Json]]
    plans: list[dict[str, Json]]


_RUN_COLUMNS = (
    "SELECT r.id, k.name, r.kind, r.state, r.started_at, r.finished_at, r.error, r.advice, "
    "r.operator, r.counts, (SELECT MAX(p.id) FROM plan p WHERE p.run_id = r.id "
    "AND p.state IN ('open', 'held')) FROM run r JOIN koppeling k ON k.id = r.koppeling_id"
)


def list_runs(hub: Hub, *, koppeling: str | None, limit: int) -> list[RunView]:
    """The latest runs that the actor may see, newest first.

    Raises: ConfigurationError if there is no such koppeling, now or in the past.
    """
    with hub.store.work() as work:
        mine = koppelingen_of(hub, work, only=koppeling)
        rows = work.execute(
            f"{_RUN_COLUMNS} WHERE {work.many('k.id')} ORDER BY r.id DESC LIMIT ?",
            (work.values(list(mine)), limit),
        )
        sums = _sums(work, [row[0] for row in rows])
        return [_run_view(row, sums) for row in rows]


def _sums(work: Work, runs: list[int]) -> dict[int, tuple[int, ...]]:
    rows = work.execute(
        "SELECT run_id, SUM(read), SUM(added), SUM(changed), SUM(gone), SUM(quarantined) "
        f"FROM reading WHERE {work.many('run_id')} GROUP BY run_id",
        (work.values(runs),),
    )
    return defaultdict(lambda: (0, 0, 0, 0, 0), {row[0]: tuple(map(int, row[1:])) for row in rows})


def _run_view(row: tuple[object, ...], sums: dict[int, tuple[int, ...]]) -> RunView:
    number, name, kind, state, started, finished, error, advice, _, counts, plan_id = row
    read, added, changed, gone, quarantined = sums[int(str(number))]
    return RunView(
        int(str(number)),
        str(name),
        str(kind),
        str(state),
        str(started),
        None if finished is None else str(finished),
        read,
        added,
        changed,
        gone,
        quarantined,
        None if error is None else str(error),
        None if advice is None else str(advice),
        int(msgspec.json.decode(str(counts)).get("held", 0)),
        None if plan_id is None else int(str(plan_id)),
    )


def read_run(hub: Hub, run_id: int) -> RunDetail:
    """One run, whole. Raises: SyncError if there is no such run."""
    with hub.store.work() as work:
        mine = work.values(list(koppelingen_of(hub, work)))
        rows = work.execute(
            f"{_RUN_COLUMNS} WHERE r.id = ? AND {work.many('k.id')}", (run_id, mine)
        )
        if not rows:
            known = f"run WHERE {work.many('koppeling_id')}"
            near = near_numbers(work, known, "id", run_id, (mine,))
            raise SyncError(f"there is no run {run_id}", advice=f"{near} Zie `koppelhub runs`.")
        return RunDetail(
            _run_view(rows[0], _sums(work, [run_id])),
            str(rows[0][8]),
            msgspec.json.decode(rows[0][9]),
            _readings(work, run_id),
            _dicts(
                work, ("kind", "detail"), "SELECT kind, detail FROM event WHERE run_id = ?", run_id
            ),
            _dicts(
                work,
                ("resource", "source_key", "field", "rule", "since_run"),
                "SELECT s.resource, q.source_key, q.path, q.rule, q.first_run FROM quarantine q "
                "JOIN scope s ON s.id = q.scope_id WHERE q.run_id = ? ORDER BY q.id LIMIT 200",
                run_id,
            ),
            _dicts(
                work,
                ("id", "state", "counts", "held"),
                "SELECT id, state, counts, held FROM plan WHERE run_id = ?",
                run_id,
            ),
        )


def look_at_run(hub: Hub, run_id: int, *, operator: str) -> RunDetail:
    """One run for a person; where it names records, his look is put in the audit trail.

    Raises: as `read_run`.
    """
    detail = read_run(hub, run_id)
    if detail.quarantine or any('"keys":' in str(event["detail"]) for event in detail.events):
        with hub.store.work() as work:
            note(hub, work, operator=operator, action="run show", subject=f"run {run_id}")
    return detail


def _readings(work: Work, run_id: int) -> list[ReadingReport]:
    rows = work.execute(
        "SELECT s.resource, s.label, d.state, d.read, d.added, d.changed, d.missing, d.gone, "
        "d.quarantined, d.reason, d.advice, d.finished_at FROM reading d "
        "JOIN scope s ON s.id = d.scope_id WHERE d.run_id = ? ORDER BY d.id",
        (run_id,),
    )
    return [
        ReadingReport(
            resource=row[0],
            scope=row[1],
            state=row[2],
            read=row[3],
            added=row[4],
            changed=row[5],
            missing=row[6],
            gone=row[7],
            quarantined=row[8],
            reason=row[9],
            advice=row[10],
            finished_at=str(row[11] or ""),
        )
        for row in rows
    ]


def _dicts(work: Work, names: tuple[str, ...], sql: str, run_id: int) -> list[dict[str, Json]]:
    return [dict(zip(names, row, strict=True)) for row in work.execute(sql, (run_id,))]


def explain_leerling(
    hub: Hub, key: str, *, field: str | None, operator: str
) -> list[tuple[str, Explanation]]:
    """Hub key and explanation of every pupil with this hub key or leerlingnummer.

    Raises: SyncError if there is none, or no such field.
    """
    with hub.store.work() as work:
        found = find_leerlingen(hub, work, key)
        tenants: dict[int, int] = dict(
            work.execute(
                f"SELECT id, tenant_id FROM leerling WHERE {work.many('id')}", (work.values(found),)
            )
        )
    answers = []
    for core_id in found:
        subject = hub_key(core_id)
        with store_context(hub, tenants[core_id]) as context:
            told = _explained(context, Entity.LEERLING, core_id, field)
        with hub.store.work() as work:
            note(hub, work, operator=operator, action="explain", subject=subject)
        answers.append((subject, told))
    return answers


def explain_record(
    hub: Hub, entity: Entity, core_id: int, *, field: str | None, operator: str
) -> Explanation:
    """One record of any entity, explained; the look is in the audit trail.

    Raises: SyncError if there is none, or no such field.
    """
    with hub.store.work() as work:
        rows = work.execute(f"SELECT tenant_id FROM {entity} WHERE id = ?", (core_id,))
    if not rows:
        raise SyncError(
            f"there is no {entity} with that key",
            advice="Controleer de sleutel, of zoek met --find -.",
        )
    with store_context(hub, rows[0][0]) as context:
        told = _explained(context, entity, core_id, field)
    with hub.store.work() as work:
        note(hub, work, operator=operator, action="explain", subject=hub_key(core_id))
    return told


def _explained(context: Context, entity: Entity, core_id: int, only: str | None) -> Explanation:
    check_field(entity, only)
    told = explain(context, entity, core_id)
    add_reasons(context, told)  # one field may say of another that it is secret
    if only is not None:
        told.fields = [reason for reason in told.fields if reason.name == only] or [
            undelivered(told, only)
        ]
    add_names(context, told)
    return told
