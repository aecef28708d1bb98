"""How plans are shown to people, and written to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from console.output import Output, pairs
from console.sheet import sheet
from console.views import OPS, show_steps
from sync_engine.told import FieldChange, changes_of

if TYPE_CHECKING:
    from sync_engine.plans import PlanHead, PlanView, StepView

COLUMNS: Final = (
    "entiteit",
    "bewerking",
    "hubsleutel",
    "bron",
    "veld",
    "voor",
    "na",
    "staat",
    "vastgehouden om",
)
STATES: Final = {
    "open": "open: wacht op toepassen",
    "held": "vastgehouden: wacht op een mens",
    "applied": "uitgevoerd",
    "approved": "goedgekeurd",
    "refused": "afgewezen",
    "expired": "verlopen",
    "undone": "teruggedraaid",
    "dry": "proef",
    "planning": "afgebroken",
}


def show_plans(out: Output, plans: list[PlanHead]) -> None:
    """Plans, newest first."""
    if out.data(plans):
        return
    out.table(
        ("plan", "koppeling", "staat", "wacht", "gemaakt", "geldig tot", "waarom, of door wie"),
        [
            (
                *(p.id, p.koppeling, _state(p), p.waiting or "", out.moment(p.created_at)),
                *(out.moment(p.expires_at), _why(out, p)),
            )
            for p in plans
        ],
    )
    if not plans:
        out.line("Er wacht geen plan. Alle plannen: `koppelhub plan list --all`.")


def _state(plan: PlanHead) -> str:
    state = STATES.get(plan.state, plan.state).partition(":")[0]
    replaced = plan.replaced_by is not None and plan.state in {"open", "held"}
    return f"{state}, vervangen door {plan.replaced_by}" if replaced else state


def _why(out: Output, plan: PlanHead) -> str:
    if plan.decided_by:
        why = f": {plan.decided_why}" if plan.decided_why else ""
        return f"{plan.decided_by} {out.moment(plan.decided_at)}{why}"
    return "; ".join(plan.reasons)


def show_plan(out: Output, plan: PlanView) -> None:
    """A plan: counts, why it waits, then record by record, field by field."""
    if out.data(plan):
        return
    waits = STATES.get(plan.state, plan.state) if plan.replaced_by is None else _state(plan)
    out.title(
        f"Plan {plan.id} van {plan.koppeling}: {waits}, geldig tot {out.moment(plan.expires_at)}"
    )
    out.line(pairs(plan.counts) or "niets te wijzigen")
    if plan.waits:
        out.line(f"wacht op een mens: {plan.waiting}")
    for reason in plan.reasons:
        out.line(f"  vastgehouden: {reason}")
    if plan.decided_by:
        out.line(f"beslist door {_why(out, plan)}")
    if plan.replaced_by is not None and plan.state in {"open", "held"}:
        out.line(f"Wat nu wacht staat in plan {plan.replaced_by}.")
    show_steps(out, plan.steps)
    if plan.more:
        out.line(f"... en nog {plan.more}; zie --limit, --entity, --op, --field, --key en --csv")


@contextmanager
def step_file(target: str | None) -> Iterator[Callable[[StepView], None] | None]:
    """Takes steps and writes a line for each field that changes; None where no file is asked.

    Args:
        target: as `sheet.sheet`.

    Raises: ConfigurationError if the file cannot be made.
    """
    with sheet(target, COLUMNS) as write:
        if write is None:
            yield None
            return

        def written(step: StepView) -> None:
            head = (step.entity, OPS.get(step.op, step.op).strip("+~- "), step.key, step.source)
            for change in changes_of(step) or [FieldChange("", None, None)]:
                told = (change.name, change.before, change.after)
                write([*head, *told, step.state, step.held_for])

        yield written
