"""The plan of one run: made, judged, and then carried out, held for a person or only shown.

All of it happens under the lock of the tenant, after what there is to plan was received.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime

import msgspec

from sync_engine.acts import Act, act_of
from sync_engine.apply import apply, refuse
from sync_engine.apply_act import apply_act
from sync_engine.context import Context
from sync_engine.errors import StalePlanError, StoreError
from sync_engine.guard import ANY, Circumstances, Hold, judge
from sync_engine.hub import Hub
from sync_engine.known import count_known, count_schools, unread
from sync_engine.options import Decision, Kind, Options, Progress
from sync_engine.outbox.making import make_due
from sync_engine.outcome import READ_WELL, RunReport
from sync_engine.plan import Planner
from sync_engine.renumbering import Herinrichting
from sync_engine.steps import Limits, Planned
from sync_engine.store.values import instant
from sync_engine.tracing import step

__all__ = ["Inspect", "Planning", "as_shown"]

_log = logging.getLogger(__name__)

Inspect = Callable[[Context, int], None]
"""Called with the context of a dry run and the number of its plan, under the lock of the tenant."""

_DEPENDENT = "wacht op een onderdeel dat is vastgehouden"


class _Asked(msgspec.Struct):
    """What a person acted on in the run that made a plan, as its options keep it."""

    undone: int | None = None
    lifted: int | None = None
    decision: Decision | None = None
    herinrichting: Herinrichting | None = None
    finished: int | None = None
    alike: tuple[int, ...] = ()
    kind: str = ""
    resources: tuple[str, ...] = ()
    brins: tuple[str, ...] = ()
    plan_only: bool = False

    @property
    def reads_all(self) -> bool:
        """Whether it read everything, and stopped before it applied anything."""
        return self.plan_only and self.kind == Kind.FULL and not (self.resources or self.brins)


class _Told(msgspec.Struct):
    """What a run that made a plan wrote down of what it read."""

    read: int = 0
    unread: int = 0


def as_shown(context: Context, options: Options, *, now: datetime) -> Options:
    """The options of a run, with what the plan that a person saw was made for.

    Approving the plan of an act carries out that act, and the run is called so.

    Raises: StalePlanError if that plan cannot be decided on any more.
    """
    shown = options.refused if options.approved is None else options.approved
    if shown is None:
        return options
    rows = context.work.execute(
        "SELECT p.state, p.expires_at, r.koppeling_id, r.options FROM plan p "
        "JOIN run r ON r.id = p.run_id WHERE p.id = ?",
        (shown,),
    )
    if not rows or rows[0][2] != context.koppeling.id:
        raise StalePlanError(f"there is no plan {shown} of {context.koppeling.name}")
    state, expires, _, asked = rows[0]
    if state not in {"open", "held"}:
        raise StalePlanError(f"plan {shown} is {state}")
    if instant(expires) < now:
        raise StalePlanError(f"plan {shown} has expired")
    if options.approved is None:
        return options
    act = msgspec.json.decode(asked, type=_Asked)
    options = replace(
        options,
        undone=act.undone,
        lifted=act.lifted,
        decision=act.decision,
        herinrichting=act.herinrichting,
        finished=act.finished,
        alike=act.alike,
    )
    context.work.execute(
        "UPDATE run SET kind = ? WHERE id = ?", (str(_kind_of(options)), context.run_id)
    )
    return options


def _kind_of(options: Options) -> Kind:
    if options.undone is not None:
        return Kind.UNDO
    if options.is_decision:
        return Kind.DECIDE
    return options.kind


class Planning:
    """Plans what a run received, and does with the plan what the run was asked to.

    `found` has the records that it found so, by (entity, situation).
    """

    def __init__(
        self,
        hub: Hub,
        options: Options,
        *,
        context: Context,
        report: RunReport,
        progress: Progress,
        inspect: Inspect | None = None,
    ) -> None:
        """Plan nothing yet.

        Args:
            hub: of the koppeling.
            options: of the run, as `as_shown` gives them.
            context: of the run.
            report: is told what was planned, held and applied.
            progress: told what goes on.
            inspect: looks at a dry run's plan while all that it received can still be seen.
        """
        self.found: dict[tuple[str, str], int] = {}
        self._hub, self._options, self._context, self._report = hub, options, context, report
        self._progress, self._inspect, self._work = progress, inspect, context.work
        self._cores = options.cores if options.kind is Kind.REFOLD else None

    def plan(self) -> None:
        """Do it all.

        Raises: StalePlanError if what an act would do is not what was shown; StoreError.
        """
        context, options = self._context, self._options
        plan_id = self._open()
        self._progress("plan", "", 0)
        act = act_of(context, options)
        limits = Limits(approved=options.approved, refused=options.refused, cores=self._cores)
        holds: list[Hold] = []
        with step(self._hub.tracing, "plan"):
            planned = Planner(context, plan_id, limits, act=act).plan()
            unseen = limits.shown is None and limits.cores is None and act is None
            if unseen and not context.adopting:
                holds = self._judged(planned)  # the others a person has seen
                if holds and not options.dry and not options.plan_only:
                    planned = self._replan(plan_id, holds)
        self._tell(plan_id, planned, holds)
        self._report.doubts = [] if act is None else act.turn.doubts
        if options.dry and self._inspect is not None:
            self._inspect(context, plan_id)
        if options.dry or options.plan_only:
            self._close(plan_id, "dry" if options.dry else "open", holds)
            return
        self._progress("apply", "", 0)
        with step(self._hub.tracing, "apply"):
            self._carry_out(plan_id, planned, act)
        self._close(plan_id, None, holds)
        if limits.refused is None:
            self._report.applied = self._applied(plan_id)
        if limits.shown is not None:
            self._end_shown(limits.shown, "approved" if limits.refused is None else "refused")
        if act is not None:  # whether it was shown or not: its own plan says who, when and why
            self._decided(plan_id)

    def _open(self) -> int:
        context = self._context
        expires = context.now + context.policy.retention.plan_expiry
        with self._work.transaction():
            rows = self._work.execute(
                "INSERT INTO plan (run_id, tenant_id, state, created_at, expires_at, counts, held) "
                "VALUES (?, ?, 'planning', ?, ?, '{}', '[]') RETURNING id",
                (context.run_id, context.koppeling.tenant_id, context.now, expires),
            )
        return int(rows[0][0])

    def _judged(self, planned: Planned) -> list[Hold]:
        """What the guards hold, of the koppeling and of each school."""
        context = self._context
        read = [(r.state, r.schools) for r in self._report.readings]
        at = Circumstances(
            koppeling=context.koppeling.name,
            on=context.today,
            allowed=self._options.allowed,
            incomplete=unread(read, READ_WELL),
        )
        count_known(context, planned.tally, at)
        schools = count_schools(context, planned.tally, at)
        return judge(planned.tally, context.policy, at, schools=schools)

    def _replan(self, plan_id: int, holds: list[Hold]) -> Planned:
        """Plan again without what is held; what only leaned on it waits with it."""
        work = self._work
        with work.transaction():
            work.execute(
                "UPDATE step SET state = 'held', held_for = ? WHERE plan_id = ?",
                (_DEPENDENT, plan_id),
            )
            last = work.execute("SELECT MAX(id) FROM step WHERE plan_id = ?", (plan_id,))[0][0]
            for hold in reversed(holds):  # the reason of the first one stays
                if hold.field or hold.school:  # which steps those are the second plan says
                    continue
                which = {"entity": hold.entity, "op": hold.op}
                named = {column: text for column, text in which.items() if text != ANY}
                work.execute(
                    "UPDATE step SET held_for = ? WHERE plan_id = ?"
                    + "".join(f" AND {column} = ?" for column in named),
                    (hold.reason, plan_id, *named.values()),
                )
        limits = Limits(tuple(holds), cores=self._cores)
        planned = Planner(self._context, plan_id, limits).plan()
        with work.transaction():
            work.execute(
                "DELETE FROM step WHERE plan_id = ? AND id <= ? AND digest IN "
                "(SELECT digest FROM step WHERE plan_id = ? AND id > ?)",
                (plan_id, last, plan_id, last),
            )
            held = work.execute(
                "SELECT COUNT(*) FROM step WHERE plan_id = ? AND state = 'held'", (plan_id,)
            )
        planned.held = held[0][0]
        return planned

    def _carry_out(self, plan_id: int, planned: Planned, act: Act | None) -> None:
        """Apply, refuse, or do what a person acts on: that whole, or not at all."""
        context, options = self._context, self._options
        state = "held" if planned.held else "applied"
        if act is not None:
            if planned.held:
                raise StalePlanError("what this would do is not what was shown")
            apply_act(context, plan_id, act, operator=options.operator, why=options.why)
        elif options.refused is not None:
            refuse(context, plan_id, state="held" if planned.held else "refused")
        else:
            apply(context, plan_id, state=state, correlated=self._cores is None)
        for target in context.targets:
            try:
                make_due(self._hub, self._work, target)
            except StoreError as error:  # the changes stand, and what is due for them does too
                _log.error("messages wait for the next delivery: %s", error)

    def _close(self, plan_id: int, state: str | None, holds: list[Hold]) -> None:
        with self._work.transaction():
            self._work.execute(
                "UPDATE plan SET counts = ?, held = ? WHERE id = ?",
                (_json(self._report.steps), _json([asdict(hold) for hold in holds]), plan_id),
            )
            if state is not None:
                self._work.execute("UPDATE plan SET state = ? WHERE id = ?", (state, plan_id))

    # -- what is told of it ----------------------------------------------------------------------

    def _tell(self, plan_id: int, planned: Planned, holds: list[Hold]) -> None:
        report = self._report
        report.plan_id = plan_id
        report.steps = {
            f"{entity}.{op}": count for (entity, op), count in sorted(planned.tally.steps.items())
        }
        report.merged = dict(
            self._work.execute(
                "SELECT entity, COUNT(*) FROM w_alias GROUP BY entity ORDER BY entity"
            )
        )
        report.situations = {name: count for name, count in planned.situations.items() if count}
        unknown = planned.situations["unknown"]
        if unknown:
            self._context.events.append((None, "unknown persons", {"records": unknown}))
        self.found = planned.found
        erased = self._context.erased
        for entity, count in erased.counts.items() if erased else ():
            self.found[entity, "suppressed"] = count
        report.held = planned.held
        report.refusals = planned.refused
        report.holds = holds
        report.unresolved = planned.unresolved
        report.withheld = planned.withheld
        report.waiting = planned.waiting

    def _applied(self, plan_id: int) -> dict[str, int]:
        rows = self._work.execute(
            "SELECT entity, op, COUNT(*) FROM step WHERE plan_id = ? AND state = 'planned' "
            "GROUP BY entity, op ORDER BY entity, op",
            (plan_id,),
        )
        return {f"{entity}.{op}": count for entity, op, count in rows}

    # -- the plan that a person saw --------------------------------------------------------------

    def _end_shown(self, plan_id: int, state: str) -> None:
        self._work.execute("UPDATE plan SET state = ? WHERE id = ?", (state, plan_id))
        if state == "approved":
            self._read_before(plan_id)
        self._decided(plan_id)

    def _decided(self, plan_id: int) -> None:
        options = self._options
        self._work.execute(
            "UPDATE plan SET decided_by = ?, decided_at = ?, decided_why = ? WHERE id = ?",
            (options.operator, self._hub.clock.now(), options.why or None, plan_id),
        )

    def _read_before(self, plan_id: int) -> None:
        """What a run read to its end and stopped with is in the core now: it was a good one."""
        for number, options, counts in self._work.execute(
            "SELECT r.id, r.options, r.counts FROM plan p JOIN run r ON r.id = p.run_id "
            "WHERE p.id = ? AND r.state IN ('done', 'partial', 'held') AND NOT r.good",
            (plan_id,),
        ):
            asked = msgspec.json.decode(options, type=_Asked)
            told = msgspec.json.decode(counts, type=_Told)
            if asked.reads_all and told.read and not told.unread:
                self._work.execute("UPDATE run SET good = ? WHERE id = ?", (True, number))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
