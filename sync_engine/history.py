"""What was planned and done, for people: plans, runs, and explanations; every look is audited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec

from config.clock import local_date
from connectors.base import DeliveryContract, Scope, SourceRecord
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from mappings.mapping import DescribedRow, Mapped, Strength
from sync_engine.audit import note
from sync_engine.context import Context, Ids, KoppelingRow
from sync_engine.errors import StalePlanError, SyncError
from sync_engine.explain import Explanation, check_field, explain, masked
from sync_engine.find import find_leerlingen, hub_key
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.outcome import ReadingReport
from sync_engine.received import prepare
from sync_engine.scopes import load_scopes
from sync_engine.store.work import Work
from sync_engine.why import add_reasons, undelivered


@dataclass(frozen=True, slots=True)
class StepView:
    """One record of a plan.

    Attributes:
        changes: key of the flat state → [before, after]; personal numbers are masked.
        labels: number of another core record in them → what people call it.
        pinned: fields of the record that a person has fixed now.
    """

    entity: str
    key: str
    source: str
    op: str
    state: str
    held_for: str
    changes: dict[str, list[Json]]
    labels: dict[str, str] = field(default_factory=dict)
    pinned: tuple[str, ...] = ()


@dataclass(slots=True)
class PlanView:
    """One plan, for people."""

    id: int
    run_id: int
    koppeling: str
    state: str
    created_at: str
    expires_at: str
    counts: dict[str, int]
    holds: list[dict[str, Json]]
    steps: list[StepView] = field(default_factory=list)
    more: int = 0


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


def koppeling_of_plan(hub: Hub, plan_id: int) -> str:
    """The koppeling that a plan was made for. Raises: StalePlanError if there is no such plan."""
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT k.name FROM plan p JOIN run r ON r.id = p.run_id "
            "JOIN koppeling k ON k.id = r.koppeling_id WHERE p.id = ?",
            (plan_id,),
        )
    if not rows:
        raise StalePlanError(f"there is no plan {plan_id}", advice="Zie `koppelhub runs`.")
    return str(rows[0][0])


def note_approval(hub: Hub, plan_id: int, *, operator: str) -> None:
    """Put in the audit trail that a person approves a plan; before the run, whatever comes of it.

    Raises: StalePlanError if there is no such plan.
    """
    koppeling_of_plan(hub, plan_id)
    with hub.store.work() as work:
        note(hub, work, operator=operator, action="plan apply", subject=f"plan {plan_id}")


def read_plan(
    hub: Hub, plan_id: int, *, entity: str | None, limit: int, operator: str = "system"
) -> PlanView:
    """A plan with its first steps. Raises: StalePlanError if there is no such plan."""
    koppeling = koppeling_of_plan(hub, plan_id)
    with hub.store.work() as work:
        tenant_id = work.execute("SELECT tenant_id FROM plan WHERE id = ?", (plan_id,))[0][0]
    with store_context(hub, tenant_id) as context:
        work = context.work
        row = work.execute(
            "SELECT run_id, state, created_at, expires_at, counts, held, applied FROM plan "
            "WHERE id = ?",
            (plan_id,),
        )[0]
        planned = "applied" if row[6] else "planned"
        view = PlanView(
            plan_id,
            row[0],
            koppeling,
            row[1],
            str(row[2]),
            str(row[3]),
            msgspec.json.decode(row[4]),
            msgspec.json.decode(row[5]),
        )
        where, params = ("AND entity = ?", [entity]) if entity else ("", [])
        total = work.execute(
            f"SELECT COUNT(*) FROM step WHERE plan_id = ? {where}", [plan_id, *params]
        )[0][0]
        for step in work.execute(
            "SELECT entity, core_id, source, op, CASE state WHEN 'planned' THEN ? ELSE state END, "
            f"held_for, digest, salt, change FROM step WHERE plan_id = ? {where} "
            "ORDER BY id LIMIT ?",
            [planned, plan_id, *params, limit],
        ):
            view.steps.append(_step_view(context, step))
        view.more = total - len(view.steps)
    with hub.store.work() as work:
        note(hub, work, operator=operator, action="plan show", subject=f"plan {plan_id}")
    return view


def _step_view(context: Context, row: tuple[object, ...]) -> StepView:
    entity, core_id, source, op, state, held_for, digest, salt, change = row
    changes: dict[str, list[Json]] = {}
    if isinstance(salt, bytes) and isinstance(change, bytes) and isinstance(digest, bytes):
        plain = context.cipher.person(salt).decrypt(change, b"step|%s" % digest)
        changes = {name: masked(name, pair) for name, pair in _decode(plain).items()}
    key = hub_key(core_id) if isinstance(core_id, int) and core_id > 0 else "nieuw"
    labels = labels_of(context.work, Entity(str(entity)), changes)
    pinned = pinned_fields(context.work, core_id) if isinstance(core_id, int) else ()
    return StepView(
        str(entity), key, str(source), str(op), str(state), str(held_for), changes, labels, pinned
    )


def pinned_fields(work: Work, core_id: int) -> tuple[str, ...]:
    """The fields of a core record that are fixed by hand now."""
    rows = work.execute(
        "SELECT DISTINCT field FROM pin WHERE lifted_at IS NULL AND (core_id = ? OR core_id IN "
        "(SELECT core_id FROM alias WHERE survivor_id = ?)) ORDER BY field",
        (core_id, core_id),
    )
    return tuple(row[0] for row in rows)


def _decode(plain: bytes) -> dict[str, list[Json]]:
    return msgspec.json.decode(plain, type=dict[str, list[Any]])


def labels_of(work: Work, entity: Entity, changes: dict[str, list[Json]]) -> dict[str, str]:
    """What people call the other records that these changes name, by their number."""
    wanted: dict[Entity, set[int]] = defaultdict(set)
    for key, pair in changes.items():
        kind, _, rest = key.partition("/")
        if kind == "groepsdeelname":
            role, _, number = rest.partition("/")
            target = Entity.LEERLING if role == "leerling" else Entity.MEDEWERKER
            wanted[target].add(int(number))
        description = fields_of(entity).get(key.removesuffix("_id"))
        if key.endswith("_id") and description is not None and description.target is not None:
            wanted[description.target].update(side for side in pair if isinstance(side, int))
    labels: dict[str, str] = {}
    for target, numbers in wanted.items():
        parts = _NAMES.get(target)
        if parts is None:
            continue
        for number, *names in work.execute(
            f"SELECT id, {parts} FROM {target} WHERE {work.many('id')}",
            (work.values(sorted(numbers)),),
        ):
            labels[str(number)] = " ".join(str(name) for name in names if name)
    return labels


_PERSON = "roepnaam, voorvoegsel, achternaam"
_NAMES: dict[Entity, str] = {
    Entity.LEERLING: _PERSON,
    Entity.MEDEWERKER: _PERSON,
    Entity.VERZORGER: "voorletters, voorvoegsel, achternaam",
    Entity.GROEP: "naam",
    Entity.VAK: "naam",
    Entity.OPLEIDING: "naam",
    Entity.VESTIGING: "naam",
}


_RUN_COLUMNS = (
    "SELECT r.id, k.name, r.kind, r.state, r.started_at, r.finished_at, r.error, r.advice, "
    "r.operator, r.counts FROM run r JOIN koppeling k ON k.id = r.koppeling_id"
)


def list_runs(hub: Hub, *, koppeling: str | None, limit: int) -> list[RunView]:
    """The latest runs, newest first."""
    with hub.store.work() as work:
        where, params = ("WHERE k.name = ?", [koppeling]) if koppeling else ("", [])
        rows = work.execute(f"{_RUN_COLUMNS} {where} ORDER BY r.id DESC LIMIT ?", [*params, limit])
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
    number, name, kind, state, started, finished, error, advice, *_ = row
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
    )


def read_run(hub: Hub, run_id: int) -> RunDetail:
    """One run, whole. Raises: SyncError if there is no such run."""
    with hub.store.work() as work:
        rows = work.execute(f"{_RUN_COLUMNS} WHERE r.id = ?", (run_id,))
        if not rows:
            raise SyncError(f"there is no run {run_id}", advice="Zie `koppelhub runs`.")
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


def _readings(work: Work, run_id: int) -> list[ReadingReport]:
    rows = work.execute(
        "SELECT s.resource, s.label, d.state, d.read, d.added, d.changed, d.missing, d.gone, "
        "d.quarantined, d.reason, d.advice FROM reading d JOIN scope s ON s.id = d.scope_id "
        "WHERE d.run_id = ? ORDER BY d.id",
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
    return told


class _Unmapped:
    """The mapping of a context that only reads the store: there is nothing to map."""

    system = ""
    version = ""
    strengths: Mapping[Entity, Mapping[str, Strength]] = MappingProxyType({})

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        """Nothing is read, so nothing is mapped."""
        message = "this context reads the store only"
        raise RuntimeError(message)

    def describe(self) -> Sequence[DescribedRow]:
        """It has no rows."""
        return ()


@contextmanager
def store_context(hub: Hub, tenant_id: int) -> Iterator[Context]:
    """A context to read one moment of the store in: no source, and no koppeling of its own.

    What was read by a koppeling that is configured no more is explained like the rest; its fields
    count with normal strength, as they do in a run.
    """
    with hub.store.work() as work:
        now = hub.clock.now()
        context = Context(
            work=work,
            cipher=hub.cipher(tenant_id),
            koppeling=KoppelingRow(0, "", "", tenant_id),
            koppelingen=hub.koppelingen(tenant_id),
            run_id=0,
            now=now,
            today=local_date(now, hub.settings.timezone),
            reader=None,
            mapping=_Unmapped(),
            mappings=hub.mappings(tenant_id),
            policy=hub.settings.policy,
            dry=False,
            ids=Ids(work, dry=True),
            step_ids=Ids(work, dry=True),
        )
        prepare(context)
        with work.snapshot():
            load_scopes(context)
            yield context
