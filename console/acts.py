"""Acts of a person, at the keyboard: show what it comes to, ask, do it whole."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from console.arguments import asked, run_and_show
from console.drift import told_word
from console.output import Output, pairs
from console.plans import show_plan
from console.sheet import cell
from console.views import OPS, show_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sync_engine.decisions import DecisionView
    from sync_engine.declined import Declined
    from sync_engine.hub import Hub
    from sync_engine.options import Options
    from sync_engine.outcome import RunReport
    from sync_engine.refusals import Refusal
    from sync_engine.turn import Doubt

_SHOWN = 20


def act(
    out: Output, hub: Hub, koppeling: str, options: Options, *, yes: bool, question: str
) -> int:
    """Show what an act comes to, ask, and do exactly that. Returns the exit code.

    Args:
        out: where to.
        hub: of the koppeling.
        koppeling: its name.
        options: of the act.
        yes: nobody is asked.
        question: that is asked.
    """
    from sync_engine.decisions import put_away
    from sync_engine.errors import RunActiveError
    from sync_engine.plans import Chosen, read_plan
    from sync_engine.runs import run

    if yes:
        return run_and_show(out, hub, koppeling, options)
    shown = run(hub, koppeling, replace(options, plan_only=True))
    if shown.plan_id is None or shown.error:
        show_report(out, shown)
        return shown.exit_code
    operator = options.operator
    show_plan(out, read_plan(hub, shown.plan_id, chosen=Chosen(), limit=_SHOWN, operator=operator))
    show_doubts(out, shown.doubts)
    show_merged(out, shown)
    agreed = False
    try:
        agreed = asked(out, question, yes=False)
    finally:
        if not agreed:
            with suppress(RunActiveError):  # it expires by itself
                put_away(hub, shown.plan_id, operator=operator)
    if not agreed:
        return 0
    return run_and_show(out, hub, koppeling, replace(options, approved=shown.plan_id))


def preview_and_run(
    out: Output, hub: Hub, koppeling: str, options: Options, *, question: str
) -> int:
    """Show what a run would change, ask where it would change anything, and run it.

    The preview is a dry run: who says no leaves everything as it was. Returns the exit code.
    """
    from sync_engine.plans import Chosen, read_plan
    from sync_engine.runs import run

    shown = run(hub, koppeling, replace(options, dry=True))
    if shown.plan_id is None or shown.error:
        show_report(out, shown)
        return shown.exit_code
    if shown.steps:
        operator = options.operator
        plan = read_plan(hub, shown.plan_id, chosen=Chosen(), limit=_SHOWN, operator=operator)
        show_plan(out, plan)
        if not asked(out, question):
            return 0
    return run_and_show(out, hub, koppeling, options)


def show_doubts(out: Output, doubts: Sequence[Doubt]) -> None:
    """What an undo leaves as it is, and why."""
    for doubt in doubts[:_SHOWN]:
        out.line(f"  blijft zoals het is: {doubt.entity} {doubt.source} ({doubt.why})")
    if len(doubts) > _SHOWN:
        out.line(f"  ... en nog {len(doubts) - _SHOWN} die blijven zoals ze zijn")


def show_merged(out: Output, report: RunReport) -> None:
    """Which records become one with another; nothing of either is lost."""
    if report.merged:
        out.line(f"Wordt samengevoegd met wat er al was: {pairs(report.merged)}")


def show_decisions(out: Output, decisions: list[DecisionView]) -> None:
    """What persons decided, newest first."""
    if out.data(decisions):
        return
    out.table(
        ("besluit", "wat", "entiteit", "records", "werd", "zaak", "door", "op", "waarom", "stand"),
        [
            (
                *(d.act, d.kind, d.entity, ", ".join(d.records), d.key, d.case_id or ""),
                *(d.operator, out.moment(d.at), d.why),
                "geldt" if d.lifted_at is None else f"teruggenomen {out.day(d.lifted_at)}",
            )
            for d in decisions
        ],
    )
    if not decisions:
        out.line("Er is niets besloten.")


def show_lifting(out: Output, records: Sequence[Declined]) -> None:
    """What would count again, record by record, with what the next run proposes of it."""
    for record in records[:_SHOWN]:
        names = " ".join(filter(None, (record.key, record.source_key)))
        word = told_word(record.word, out.moment)
        out.line(f"{OPS[record.op]} {record.entity} {names}, {word}")
        for name, (core, source) in record.fields.items():
            out.line(f"    {name}: nu {cell(core) or '-'}, wordt {cell(source) or '-'}")
        if not record.differs:
            out.line("    de kern zegt al hetzelfde")
    if len(records) > _SHOWN:
        out.line(f"... en nog {len(records) - _SHOWN}; zie `koppelhub refused list`")
    if records:
        told = "1 record telt" if len(records) == 1 else f"{len(records)} records tellen"
        out.line(f"{told} dan weer mee; de volgende run stelt voor wat hierboven staat.")
    else:
        out.line("Er is niets geweigerd.")


def show_refusals(out: Output, refusals: list[Refusal]) -> None:
    """What sources say and the core does not use, by a person's word."""
    if out.data(refusals):
        return
    out.table(
        ("koppeling", "entiteit", "bronsleutel", "hubsleutel", "bron zegt", "run", "door", "op"),
        [
            (
                *(r.koppeling, r.entity, r.source_key, r.key, r.says),
                *(f"{r.run_id} ({r.kind})", r.operator, out.moment(r.at)),
            )
            for r in refusals
        ],
    )
    if not refusals:
        out.line("Er is niets geweigerd.")
    else:
        out.line("Weer laten meetellen: `koppelhub refused lift --source KOPPELING --run RUN`.")
