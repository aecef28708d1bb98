"""Plans: which wait, what one would do record by record, and a person's word on it."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mappings.canonical.fields import Entity
from sync_engine.decisions import put_away
from sync_engine.errors import StalePlanError
from sync_engine.history import read_run
from sync_engine.options import Kind, Options
from sync_engine.plans import (
    OPS,
    Chosen,
    as_shown,
    head_of,
    list_plans,
    note_approval,
    read_plan,
)
from sync_engine.previews import act_of_plan, action_of, carry_out, subject_of
from sync_engine.rights import may_decide
from sync_engine.runs import run
from sync_engine.told import changes_of, plain
from web.pages import labels
from web.pages.desk import Desk, Page, act
from web.pages.links import address, of_koppeling
from web.pages.runs import changes

_SHOWN: Final = 50
_MOST: Final = 1_000
LEAST_WHY: Final = 3
MOST_WHY: Final = 500
_DECISIONS: Final = frozenset({str(Kind.UNDO), str(Kind.DECIDE)})


def plans(desk: Desk) -> Response:
    """Those that wait, or all of them."""
    everything = desk.asked("alle") == "1"
    found = list_plans(desk.hub, everything=everything, limit=200)
    return desk.show("plans.html", plans=found, everything=everything, labels=labels)


def plan(desk: Desk) -> Response:
    """One plan."""
    return _shown(desk, desk.number("id"))


def _shown(
    desk: Desk, plan_id: int, *, status: int = 200, changed: str = "", missing: bool = False
) -> Response:
    """A plan as it stands now.

    Args:
        desk: of who looks.
        plan_id: which.
        status: of the answer.
        changed: why what he did was not done (Dutch); empty where nothing was.
        missing: the reason that a refusal needs was not given.
    """
    entity, op = desk.asked("entiteit"), desk.asked("bewerking")
    limit = _MOST if desk.asked("meer") == "1" else _SHOWN
    head = head_of(desk.hub, plan_id)
    held = desk.asked("alles") != "1" and head.state == "held"
    chosen = Chosen(
        entity=Entity(entity) if entity in set(Entity) else None,
        op=op if op in OPS else None,
        held=held,
    )
    view = read_plan(desk.hub, plan_id, chosen=chosen, limit=limit, operator=desk.operator)
    asked = act_of_plan(desk.hub, plan_id)
    made = read_run(desk.hub, view.run_id)
    answerable = view.waits or (asked is not None and view.state == "open")
    mine = {"entiteit": entity, "bewerking": op, "alles": "" if held else "1"}

    def link(**other: str) -> str:
        return address(f"/plannen/{plan_id}", mine | other)

    return desk.show(
        "plan.html",
        status=status,
        plan=view,
        counts_=changes(view.counts),
        entities=sorted({name.partition(".")[0] for name in view.counts}),
        ops=OPS,
        chosen=mine,
        link=link,
        full=limit == _MOST,
        held=held,
        steps=[(step, changes_of(step)) for step in view.steps],
        plain=plain,
        doubts=made.counts.get("doubts", 0) if answerable else 0,
        asked="" if asked is None else f"{action_of(asked)} {subject_of(asked)}".strip(),
        decides=may_decide(desk.hub, view.koppeling, plan_id),
        answerable=answerable and (asked is not None or made.run.kind not in _DECISIONS),
        changed=changed,
        missing=missing,
        least=LEAST_WHY,
        most=MOST_WHY,
        labels=labels,
        of_koppeling=of_koppeling,
    )


def approve(desk: Desk) -> Response:
    """Do what the plan showed, as far as it still holds; the rest stays held."""
    plan_id, version = desk.number("id"), desk.form.get("shown", "")
    try:
        head = as_shown(desk.hub, plan_id, version)
        if act_of_plan(desk.hub, plan_id) is not None:
            report = carry_out(desk.hub, plan_id, version, why=_why(desk))
        else:
            note_approval(desk.hub, plan_id, operator=desk.operator)
            options = Options(kind=Kind.APPLY, approved=plan_id, operator=desk.operator)
            report = run(desk.hub, head.koppeling, options)
    except StalePlanError as error:
        return _changed(desk, plan_id, error)
    return desk.go(f"/runs/{report.run_id}")


def refuse(desk: Desk) -> Response:
    """Refuse what waits in a plan, with a reason; of an act it is the end of it."""
    plan_id, version = desk.number("id"), desk.form.get("shown", "")
    why = _why(desk)
    try:
        head = as_shown(desk.hub, plan_id, version)
        if act_of_plan(desk.hub, plan_id) is not None:
            put_away(desk.hub, plan_id, operator=desk.operator)
            return desk.go("/plannen")
        if len(why) < LEAST_WHY:
            return _shown(desk, plan_id, status=422, missing=True)
        desk.note("plan refuse", f"plan {plan_id}")
        options = Options(kind=Kind.REFUSE, refused=plan_id, why=why, operator=desk.operator)
        report = run(desk.hub, head.koppeling, options)
    except StalePlanError as error:
        return _changed(desk, plan_id, error)
    return desk.go(f"/runs/{report.run_id}")


def _why(desk: Desk) -> str:
    return " ".join(desk.form.get("why", "").split())[:MOST_WHY]


def _changed(desk: Desk, plan_id: int, error: StalePlanError) -> Response:
    """Nothing was done: what was asked about is another thing now, and that is shown."""
    head = head_of(desk.hub, plan_id)
    newest = head.replaced_by if head.state in {"open", "held"} and head.replaced_by else plan_id
    return _shown(desk, newest, status=409, changed=error.advice)


PAGES: Final = (
    Page("/plannen", plans, "plan list"),
    Page("/plannen/{id:int}", plan, "plan show"),
    act("/plannen/{id:int}/goedkeuren", approve, "plan approve"),
    act("/plannen/{id:int}/weigeren", refuse, "plan refuse"),
)
