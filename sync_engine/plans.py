"""Plans for people: which wait, what one would change, and whether a person may still say yes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from config.clock import local_minute
from mappings.canonical.fields import Entity
from sync_engine.audit import note
from sync_engine.context import Context
from sync_engine.errors import StalePlanError, SyncError
from sync_engine.explain import masked
from sync_engine.find import hub_key, read_hub_key
from sync_engine.flat import field_of, numbers_in, target_of
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.hubkeys import NEW
from sync_engine.names import names_of
from sync_engine.nearby import near_numbers
from sync_engine.reach import ELSEWHERE, seen_among
from sync_engine.store.values import instant
from sync_engine.store.work import Row, Work
from sync_engine.view import store_context

OPS: Final = ("create", "change", "close", "reopen", "remove")
STATES: Final = ("open", "held", "applied", "approved", "refused", "expired", "undone", "dry")
WAITING: Final = frozenset({"open", "held"})
"""States of a plan that a person can still say something of."""

_MEMBER: Final = "groepsdeelname/"
LEFT: Final = "bleef over: stond niet in het plan waarover is beslist, of is sindsdien veranderd"
"""Why a plan waits that holds what a person did not decide on when he decided on another."""

_SLICE: Final = 500


@dataclass(frozen=True, slots=True)
class StepView:
    """One record of a plan.

    Attributes:
        key: the hub's own; empty for a record that was not made, for its number is not kept.
        changes: key of the flat state → [before, after]; personal numbers are masked.
        labels: number of another core record in them → what people call it.
        pinned: fields of the record that a person has fixed now.
        name: what people call the record, where the core knows it already.
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
    name: str = ""


@dataclass(slots=True)
class PlanHead:
    """One plan, in a list.

    Attributes:
        state: as the store has it, but `expired` once its time is over.
        counts: entity.op → records.
        waiting: steps that a person must say something of.
        holds: why they wait.
        replaced_by: a later plan of the same koppeling, which shows everything that waits now.
        decided_by, decided_at, decided_why: who approved or refused it.
    """

    id: int
    run_id: int
    koppeling: str
    state: str
    created_at: str
    expires_at: str
    counts: dict[str, int]
    holds: list[dict[str, Json]]
    waiting: int = 0
    replaced_by: int | None = None
    decided_by: str | None = None
    decided_at: str | None = None
    decided_why: str | None = None

    @property
    def waits(self) -> bool:
        """Whether a person is to look at it now."""
        return self.state in WAITING and self.replaced_by is None and self.waiting > 0

    @property
    def reasons(self) -> list[str]:
        """Why it waits (Dutch); what is left after a decision waits for no guard."""
        told = [str(hold["reason"]) for hold in self.holds]
        return told or ([LEFT] if self.state == "held" else [])

    @property
    def version(self) -> str:
        """Changes whenever what a person is asked about this plan does."""
        asked = (self.id, self.state, self.waiting, self.counts, self.replaced_by)
        return sha256(msgspec.json.encode(asked)).hexdigest()[:16]


@dataclass(slots=True)
class PlanView(PlanHead):
    """One plan with its first steps, for people; `more` is how many there are besides."""

    steps: list[StepView] = field(default_factory=list)
    more: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which steps of a plan to show.

    Attributes:
        field: a canonical field that changes.
        held: only those that wait.
        key: hub key, or the source's own key of a record.
    """

    entity: Entity | None = None
    op: str | None = None
    field: str | None = None
    held: bool = False
    key: str | None = None

    def sql(self) -> tuple[str, list[object]]:
        """What of it the store can choose: conditions on table `step`, and their parameters."""
        where: list[str] = []
        params: list[object] = []
        for column, value in (("entity", self.entity), ("op", self.op)):
            if value is not None:
                where.append(f"AND {column} = ?")
                params.append(str(value))
        if self.held:
            where.append("AND state = 'held'")
        if self.key is not None:
            core_id = read_hub_key(self.key)
            if core_id is None:
                where.append("AND (source = ? OR substr(source, -length(?)) = ?)")
                params += [self.key, f"/{self.key}", f"/{self.key}"]
            else:
                where.append("AND core_id = ?")
                params.append(core_id)
        return " ".join(where), params


# -- one plan --------------------------------------------------------------------------------------


def koppeling_of_plan(hub: Hub, plan_id: int) -> str:
    """The koppeling that a plan was made for. Raises: as `head_of`."""
    return head_of(hub, plan_id).koppeling


def head_of(hub: Hub, plan_id: int) -> PlanHead:
    """One plan without its steps.

    Raises: SyncError if there is no such plan that the actor may see; it names the nearest.
    """
    with hub.store.work() as work:
        found = _heads(hub, work, "p.id = ?", [plan_id], limit=1)
        if found:
            return found[0]
        tenants = list(hub.tenants(work))
        near = near_numbers(
            work, f"plan WHERE {work.many('tenant_id')}", "id", plan_id, (work.values(tenants),)
        )
    message = f"there is no plan {plan_id}"
    raise SyncError(message, advice=f"{near} Zie `koppelhub plan list`.")


def note_approval(hub: Hub, plan_id: int, *, operator: str) -> None:
    """Put in the audit trail that a person approves a plan; before the run, whatever comes of it.

    Raises: as `head_of`.
    """
    head_of(hub, plan_id)
    with hub.store.work() as work:
        note(hub, work, operator=operator, action="plan approve", subject=f"plan {plan_id}")


def approvable(hub: Hub, plan_id: int) -> PlanHead:
    """A plan that a person may still say yes to.

    Raises: StalePlanError if not: why, and who decided what and when.
    """
    head = head_of(hub, plan_id)
    if head.state in WAITING:
        return head
    decided = ""
    if head.decided_by:
        decided = f" door {head.decided_by}"
        if head.decided_at is not None:
            decided += f" op {local_minute(instant(head.decided_at), hub.settings.timezone)}"
        decided += f": {head.decided_why}" if head.decided_why else ""
    message = f"plan {plan_id} is {head.state}"
    raise StalePlanError(message, advice=f"{_REFUSALS[head.state].format(by=decided)} {_GO_ON}")


def as_shown(hub: Hub, plan_id: int, version: str) -> PlanHead:
    """A plan that a person may still decide on, and that is what he was shown.

    Raises: StalePlanError, as `approvable` and where it changed since, or another took its place.
    """
    head = approvable(hub, plan_id)
    if head.version != version:
        raise StalePlanError(
            f"plan {plan_id} is not what was shown",
            advice="Sinds u keek is dit plan veranderd of vervangen. Bekijk wat er nu wacht, en "
            "beslis daarover.",
        )
    return head


_GO_ON: Final = "Wat nu wacht staat in `koppelhub plan list`."
_REFUSALS: Final = defaultdict(
    lambda: "Dit plan kan niet meer worden goedgekeurd{by}.",
    {
        "applied": "Dit plan is al uitgevoerd; er wachtte niets op een mens.",
        "approved": "Dit plan is al goedgekeurd{by}.",
        "refused": "Dit plan is afgewezen{by}.",
        "undone": "Dit plan is uitgevoerd en daarna teruggedraaid{by}.",
        "expired": "De termijn van dit plan is om. De volgende run maakt een nieuw plan van wat "
        "er dan nog wacht; nu al kan dat met `koppelhub sync --plan`.",
        "dry": "Dit was een proef (--dry-run), die niets achterlaat. Maak een plan met "
        "`koppelhub sync --plan`.",
        "planning": "De run die dit plan maakte is afgebroken.",
    },
)


def read_plan(
    hub: Hub,
    plan_id: int,
    *,
    chosen: Chosen | None = None,
    limit: int,
    operator: str = "system",
    each: Callable[[StepView], None] | None = None,
) -> PlanView:
    """A plan with the first of the chosen steps; who looks is put in the audit trail.

    Args:
        hub: of the plan.
        plan_id: which.
        chosen: which steps; None for all.
        limit: how many steps to keep; all are counted.
        operator: who looks.
        each: is handed every chosen step.

    Raises: as `head_of`; SyncError if the key is mistyped.
    """
    chosen = chosen or Chosen()
    head = head_of(hub, plan_id)
    view = PlanView(**{part.name: getattr(head, part.name) for part in fields(PlanHead)})
    where, params = chosen.sql()
    with hub.store.work() as work:
        tenant_id = work.execute("SELECT tenant_id FROM plan WHERE id = ?", (plan_id,))[0][0]
        note(hub, work, operator=operator, action="plan show", subject=f"plan {plan_id}")
    with store_context(hub, tenant_id) as context:
        if chosen.field is None and each is None:
            _take_first(context, view, where, params, limit=limit)
            return view
        for steps in _slices(context, plan_id, where, params, size=_SLICE):
            for step in steps:
                if chosen.field is not None and not _touches(step, chosen.field):
                    continue
                if each is not None:
                    each(step)
                if len(view.steps) < limit:
                    view.steps.append(step)
                else:
                    view.more += 1
    return view


def _take_first(
    context: Context, view: PlanView, where: str, params: Sequence[object], *, limit: int
) -> None:
    """The first chosen steps; the others are counted, and not opened."""
    total = context.work.execute(
        f"SELECT COUNT(*) FROM step WHERE plan_id = ? {where}", [view.id, *params]
    )[0][0]
    for steps in _slices(context, view.id, where, params, size=min(limit, _SLICE)):
        view.steps += steps[: limit - len(view.steps)]
        if len(view.steps) >= limit:
            break
    view.more = total - len(view.steps)


def _touches(step: StepView, name: str) -> bool:
    return any(field_of(Entity(step.entity), key) == name for key in step.changes)


def _slices(
    context: Context, plan_id: int, where: str, params: Sequence[object], *, size: int
) -> Iterator[list[StepView]]:
    """The chosen steps in order, some at a time."""
    work, last = context.work, 0
    if size < 1:
        return
    while True:
        rows = work.execute(
            "SELECT s.id, entity, core_id, source, op, CASE WHEN s.state = 'planned' AND p.applied "
            "THEN 'applied' ELSE s.state END, held_for, digest, salt, change FROM step s "
            f"JOIN plan p ON p.id = s.plan_id WHERE s.plan_id = ? AND s.id > ? "
            f"{where.replace('AND state', 'AND s.state')} ORDER BY s.id LIMIT {size:d}",
            [plan_id, last, *params],
        )
        if not rows:
            return
        last = rows[-1][0]
        yield _step_views(context, plan_id, rows)


def _step_views(context: Context, plan_id: int, rows: Sequence[Row]) -> list[StepView]:
    pinned = _pinned(context.work, sorted({row[2] for row in rows if row[2] > 0}))
    called = _called(context.work, rows)
    unmade = _unmade(context.work, plan_id, sorted({row[2] for row in rows}))
    opened = [
        _opened(
            context,
            row,
            pinned.get(row[2], ()),
            called.get((row[1], row[2]), ""),
            is_made=row[2] > 0 and row[2] not in unmade,
        )
        for row in rows
    ]
    _label(context.work, opened, plan_id=plan_id)
    return opened


def _called(work: Work, rows: Sequence[Row]) -> dict[tuple[str, int], str]:
    """(entity, core id) → what people call that record, of those that the core has already."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for _, entity, core_id, _, op, *_ in rows:
        if core_id > 0 and op != "create":
            wanted[entity].add(core_id)
    return {
        (entity, number): name
        for entity, numbers in wanted.items()
        for number, name in names_of(work, Entity(entity), sorted(numbers)).items()
    }


def _pinned(work: Work, cores: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Core id → its fields that are fixed by hand now."""
    found: dict[int, list[str]] = defaultdict(list)
    for core_id, name in work.execute(
        "SELECT DISTINCT COALESCE(a.survivor_id, p.core_id) AS core_id, p.field FROM pin p "
        "LEFT JOIN alias a ON a.core_id = p.core_id WHERE p.lifted_at IS NULL "
        f"AND {work.many('COALESCE(a.survivor_id, p.core_id)')} ORDER BY 1, 2",
        (work.values(cores),),
    ):
        found[core_id].append(name)
    return {core_id: tuple(names) for core_id, names in found.items()}


def labels_of(work: Work, entity: Entity, changes: dict[str, list[Json]]) -> dict[str, str]:
    """Number of another record that these changes name → what people call it."""
    step = StepView(str(entity), "", "", "", "", "", changes)
    _label(work, [step])
    return step.labels


def _label(work: Work, steps: Sequence[StepView], *, plan_id: int | None = None) -> None:
    named = _named(steps)
    labels = _labels(work, named)
    numbers = {number for some in named.values() for number in some}
    unmade = _unmade(work, plan_id, sorted(numbers))
    seen = seen_among(work, numbers) - unmade
    for step in steps:
        entity = Entity(step.entity)
        for key, pair in step.changes.items():
            target = target_of(entity, key)
            if target is None:
                continue
            for number in numbers_in(key, pair):
                new = number <= 0 or number in unmade
                unnamed = NEW if new else hub_key(number) if number in seen else ELSEWHERE
                step.labels[str(number)] = labels.get((target, number), unnamed)
        often = Counter(step.labels.values())
        members = {key.rpartition("/")[2] for key in step.changes if key.startswith(_MEMBER)}
        for written, name in step.labels.items():  # two of one name are told apart
            number = int(written)
            if (
                number in seen
                and name != hub_key(number)
                and (often[name] > 1 or written in members)
            ):
                step.labels[written] = f"{name} {hub_key(number)}"


def _unmade(work: Work, plan_id: int | None, numbers: Sequence[int]) -> set[int]:
    """Those of these core ids that a plan would make and has not: they are given out anew.

    Not of who stood in the core before (merged, or taken back): he comes back under his own.
    """
    if plan_id is None or not numbers:
        return set()
    rows = work.execute(  # by core id: a plan may have very many steps
        "SELECT s.core_id FROM step s JOIN plan p ON p.id = s.plan_id WHERE s.plan_id + 0 = ? "
        "AND s.op = 'create' AND NOT (p.applied AND s.state = 'planned') "
        "AND NOT EXISTS (SELECT 1 FROM alias a WHERE a.core_id = s.core_id) "
        "AND NOT EXISTS (SELECT 1 FROM step t JOIN plan q ON q.id = t.plan_id "
        "WHERE t.core_id = s.core_id AND t.state = 'planned' AND q.applied) "
        f"AND {work.many('s.core_id')}",
        (plan_id, work.values(numbers)),
    )
    return {number for (number,) in rows}


def _opened(
    context: Context, row: Row, pinned: tuple[str, ...], name: str, *, is_made: bool
) -> StepView:
    _, entity, core_id, source, op, state, held_for, digest, salt, change = row
    changes: dict[str, list[Json]] = {}
    if salt is not None:
        plain = context.cipher.person(salt).decrypt(bytes(change), b"step|%s" % digest)
        changes = {name: masked(name, pair) for name, pair in _decode(plain).items()}
    key = hub_key(core_id) if is_made else ""
    return StepView(entity, key, source, op, state, held_for, changes, pinned=pinned, name=name)


def _decode(plain: bytes) -> dict[str, list[Json]]:
    return msgspec.json.decode(plain, type=dict[str, list[Any]])


def _named(steps: Sequence[StepView]) -> dict[Entity, set[int]]:
    """The other records that these steps name."""
    wanted: dict[Entity, set[int]] = defaultdict(set)
    for step in steps:
        for key, pair in step.changes.items():
            target = target_of(Entity(step.entity), key)
            if target is not None:
                wanted[target].update(numbers_in(key, pair))
    return wanted


def _labels(work: Work, named: Mapping[Entity, set[int]]) -> dict[tuple[Entity, int], str]:
    """What people call these records."""
    return {
        (target, number): name
        for target, numbers in named.items()
        for number, name in names_of(work, target, sorted(numbers)).items()
    }


# -- many ------------------------------------------------------------------------------------------


def list_plans(
    hub: Hub,
    *,
    koppelingen: Sequence[str] | None = None,
    state: str | None = None,
    everything: bool = False,
    limit: int = 50,
) -> list[PlanHead]:
    """Plans that the actor may see, newest first.

    Args:
        hub: the installation.
        koppelingen: names; None for all.
        state: only of this state.
        everything: those that wait for nobody too; `state` asks for that by itself.
        limit: at most so many.
    """
    now = hub.clock.now()
    where: list[str] = []
    params: list[object] = []
    if state is not None:
        where, params = _of_state(state, now)
    elif not everything:
        where, params = _that_wait(now)
    with hub.store.work() as work:
        if koppelingen is not None:
            where.append(work.many("k.name"))
            params.append(work.values(list(koppelingen)))
        return _heads(hub, work, " AND ".join(where) or "true", params, limit=limit)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Plans of one koppeling that wait for a person: how many, and the newest of them."""

    plans: int
    newest: int


def waiting_plans(work: Work, koppelingen: Sequence[int], *, now: datetime) -> dict[int, Waiting]:
    """Koppeling id → its plans that wait, as `list_plans` lists them; only if there are any."""
    where, params = _that_wait(now)
    return {
        number: Waiting(count, newest)
        for number, count, newest in work.execute(
            "SELECT r.koppeling_id, COUNT(*), MAX(p.id) FROM plan p JOIN run r ON r.id = p.run_id "
            f"WHERE {' AND '.join(where)} AND {work.many('r.koppeling_id')} "
            "GROUP BY r.koppeling_id",
            (*params, work.values(koppelingen)),
        )
    }


def _that_wait(now: datetime) -> tuple[list[str], list[object]]:
    """Conditions on plan `p` of run `r`, with their parameters: a person is to look at it now."""
    where = [
        "p.state IN ('open', 'held') AND p.expires_at >= ?",
        f"NOT EXISTS (SELECT 1 {_LATER})",
        f"EXISTS (SELECT 1 {_WAITING_STEPS})",
    ]
    return where, [now]


def _of_state(state: str, now: datetime) -> tuple[list[str], list[object]]:
    """Conditions on plan `p`, with their parameters; what is over its time has expired."""
    if state == "expired":
        waited = "p.state IN ('open', 'held') AND p.expires_at < ?"
        return [f"(p.state = 'expired' OR ({waited}))"], [now]
    if state in WAITING:
        return ["p.state = ? AND p.expires_at >= ?"], [state, now]
    return ["p.state = ?"], [state]


_LATER: Final = (
    "FROM plan q JOIN run s ON s.id = q.run_id WHERE s.koppeling_id = r.koppeling_id "
    "AND q.id > p.id AND q.state NOT IN ('dry', 'planning') "
    "AND s.kind NOT IN ('undo', 'decide') "  # a plan of one act shows that alone
    "AND s.options NOT LIKE '%\"apart\":true%'"  # one of some schools shows those alone
)
"""A later plan of the same koppeling: each looks at all that waits, and shows it again."""
_WAITING_STEPS: Final = (
    "FROM step t WHERE t.plan_id = p.id AND (t.state = 'held' OR p.state = 'open')"
)


def _heads(
    hub: Hub, work: Work, where: str, params: Sequence[object], *, limit: int
) -> list[PlanHead]:
    rows = work.execute(
        "SELECT p.id, p.run_id, k.name, p.state, p.created_at, p.expires_at, p.counts, p.held, "
        f"(SELECT COUNT(*) {_WAITING_STEPS}), (SELECT MAX(q.id) {_LATER}), p.decided_by, "
        "p.decided_at, p.decided_why FROM plan p JOIN run r ON r.id = p.run_id "
        f"JOIN koppeling k ON k.id = r.koppeling_id WHERE {work.many('p.tenant_id')} "
        f"AND {where} ORDER BY p.id DESC LIMIT {limit:d}",
        (work.values(list(hub.tenants(work))), *params),
    )
    return [_head(row, hub.clock.now()) for row in rows]


def _head(row: Row, now: datetime) -> PlanHead:
    number, run_id, koppeling, state, created, expires, counts, held, waiting, later, *decided = row
    if state in WAITING and instant(expires) < now:
        state = "expired"
    by, at, why = decided
    return PlanHead(
        number,
        run_id,
        koppeling,
        state,
        created,
        expires,
        msgspec.json.decode(counts),
        msgspec.json.decode(held),
        waiting,
        later,
        by,
        at,
        why,
    )
