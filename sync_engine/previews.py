"""An act of a person in two steps: a plan that shows what it comes to, then his yes or no to that.

At the keyboard both steps are one command; on a page they are two requests, and what was asked is
read back from the plan that was shown.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from sync_engine.audit import note
from sync_engine.case_view import CaseView, Choice
from sync_engine.decisions import check_decision, core_of_key, koppeling_of_core, record_of_case
from sync_engine.errors import StalePlanError, SyncError
from sync_engine.hub import Hub
from sync_engine.options import Decision, Kind, Options, Verdict
from sync_engine.outcome import RunReport
from sync_engine.plans import as_shown
from sync_engine.runs import run


class _Kept(msgspec.Struct):
    """What the options of a run keep of the act that it was made for."""

    undone: int | None = None
    lifted: int | None = None
    decision: Decision | None = None


def choice_of(view: CaseView, verdict: str, keys: tuple[str, ...]) -> Choice:
    """The choice of a case that a person was shown.

    Raises: SyncError if the case does not offer it any more.
    """
    for choice in view.choices:
        if choice.verdict and choice.verdict == verdict and choice.keys == keys:
            return choice
    raise SyncError(
        f"case {view.case.id} offers no such choice",
        advice="Sinds u keek is deze zaak veranderd. Bekijk wat er nu te kiezen is.",
    )


def preview(hub: Hub, view: CaseView, choice: Choice) -> RunReport:
    """A plan of what a choice of a case comes to; nothing is decided yet.

    Raises: SyncError if it cannot be done as the data stands; as `runs.run`.
    """
    record = record_of_case(hub, view.case.id)
    verdict, koppeling = Verdict(choice.verdict), record.koppeling
    cores = [core_of_key(key) for key in choice.keys]
    match verdict:
        case Verdict.LINK | Verdict.CREATE | Verdict.IGNORE:
            core_id = cores[0] if cores else None
            decision = Decision(
                verdict, record.entity, record.source_key, core_id=core_id, case_id=record.id
            )
        case Verdict.SPLIT:
            decision = Decision(verdict, record.entity, record.source_key)
        case Verdict.MERGE:
            koppeling = koppeling_of_core(hub, record.entity, cores[0])
            decision = Decision(verdict, record.entity, core_id=cores[0], other=cores[1])
    if verdict is not Verdict.MERGE:
        check_decision(hub, koppeling, decision)
    options = Options(kind=Kind.DECIDE, decision=decision, operator=hub.actor.name)
    return run(hub, koppeling, replace(options, plan_only=True))


def preview_undo(hub: Hub, koppeling: str, run_id: int) -> RunReport:
    """A plan of what undoing a run comes to; nothing is undone yet. Raises: as `runs.run`."""
    options = Options(kind=Kind.UNDO, undone=run_id, operator=hub.actor.name, plan_only=True)
    return run(hub, koppeling, options)


def act_of_plan(hub: Hub, plan_id: int) -> Options | None:
    """The act that a plan shows, as it was asked; None for what a run found by itself."""
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT r.kind, r.options FROM plan p JOIN run r ON r.id = p.run_id WHERE p.id = ? "
            f"AND {work.many('p.tenant_id')}",
            (plan_id, work.values(list(hub.tenants(work)))),
        )
    if not rows or rows[0][0] not in {Kind.UNDO, Kind.DECIDE}:
        return None
    kept = msgspec.json.decode(rows[0][1], type=_Kept)
    if kept.undone is None and kept.lifted is None and kept.decision is None:
        return None  # of many records or of schools: that is confirmed where it was asked
    return Options(
        kind=Kind(rows[0][0]), undone=kept.undone, lifted=kept.lifted, decision=kept.decision
    )


def subject_of(options: Options) -> str:
    """What an act is about, for the audit trail: `case 7`, `run 12`."""
    decision = options.decision
    for what, number in (
        ("run", options.undone),
        ("decision", options.lifted),
        ("case", decision.case_id if decision else None),
    ):
        if number is not None:
            return f"{what} {number}"
    return ""


def action_of(options: Options) -> str:
    """The command that asks for an act: `case link`, `run undo`."""
    if options.decision is not None:
        return f"case {options.decision.verdict}"
    return "case lift" if options.lifted is not None else "run undo"


def carry_out(hub: Hub, plan_id: int, version: str, *, why: str) -> RunReport:
    """Do what a plan of an act showed: exactly that, or nothing.

    Raises: StalePlanError if it is not what was shown any more; as `runs.run`.
    """
    head = as_shown(hub, plan_id, version)
    asked = act_of_plan(hub, plan_id)
    if asked is None:
        raise StalePlanError(f"plan {plan_id} shows no act of a person")
    with hub.store.work() as work:
        note(
            hub,
            work,
            operator=hub.actor.name,
            action=action_of(asked),
            subject=subject_of(asked) or f"koppeling {head.koppeling}",
        )
    options = replace(asked, approved=plan_id, why=why, operator=hub.actor.name)
    return run(hub, head.koppeling, options)
