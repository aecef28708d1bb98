"""Commands by which a person overrules: refuse, undo, decide, and take back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import (
    AnySource,
    Config,
    Debug,
    Json,
    Limit,
    Number,
    OneSchool,
    Source,
    Why,
    Yes,
    asked,
    must_ask,
    open_hub,
    operator_name,
    run_and_show,
)
from console.commands.cases import case_app
from console.commands.plans import plan_app
from console.commands.runs import run_app
from console.output import Output

if TYPE_CHECKING:
    from sync_engine.hub import Hub
    from sync_engine.options import Verdict

refused_app = typer.Typer(
    help="What sources say and a person refused or undid.", no_args_is_help=True
)
app = typer.Typer()
app.add_typer(refused_app, name="refused")

To = Annotated[str, typer.Option("--to", help="Hub key (K-...) of the record that it is.")]
Entity = Annotated[str, typer.Option("--entity", help="Entity of the record.")]
Differ = Annotated[
    bool,
    typer.Option("--numbers-differ", help="They are one though their BSN or ECK iD differs."),
]


@plan_app.command("refuse")
def plan_refuse(
    plan_id: Number,
    why: Why,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Refuse what waits in a plan: it is not proposed again until the source says otherwise."""
    from console.plans import show_plan
    from sync_engine.options import Kind, Options
    from sync_engine.plans import Chosen, approvable, read_plan

    out = Output(json=json)
    must_ask(out, yes=yes)
    operator = operator_name()
    with open_hub(config, debug=debug) as hub:
        head = approvable(hub, plan_id)
        if not yes:
            waits = Chosen(held=head.state == "held")
            show_plan(out, read_plan(hub, plan_id, chosen=waits, limit=20, operator=operator))
        if not asked(out, f"Plan {plan_id} weigeren?", yes=yes):
            return
        options = Options(kind=Kind.REFUSE, refused=plan_id, why=why, operator=operator)
        raise typer.Exit(run_and_show(out, hub, head.koppeling, options))


@run_app.command("undo")
def run_undo(
    run_id: Number,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Undo what a run applied; what later runs changed since is listed and left as it is."""
    from console.acts import act
    from sync_engine.decisions import koppeling_of_run
    from sync_engine.options import Kind, Options

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        koppeling = koppeling_of_run(hub, run_id)
        options = Options(kind=Kind.UNDO, undone=run_id, why=why, operator=operator_name())
        question = f"Run {run_id} ongedaan maken?"
        raise typer.Exit(act(out, hub, koppeling, options, yes=yes, question=question))


# -- decisions -------------------------------------------------------------------------------------


@case_app.command("link")
def case_link(
    case_id: Number,
    to: To,
    differ: Differ = False,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Decide that the record of a case is this record of the core."""
    from sync_engine.decisions import (
        check_numbers,
        core_of_key,
        core_of_record,
        koppeling_of_core,
        record_of_case,
    )
    from sync_engine.options import Verdict

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        core_id, record = core_of_key(to), record_of_case(hub, case_id)
        koppeling_of_core(hub, record.entity, core_id)  # a key of nobody begins no run
        was = core_of_record(hub, record)
        if was is not None and not differ:
            check_numbers(hub, record.entity, was, core_id)
        _decide(out, hub, case_id, Verdict.LINK, core_id=core_id, why=why, yes=yes)


@case_app.command("create")
def case_create(
    case_id: Number,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Decide that the record of a case is nobody who is known: it is made anew."""
    from sync_engine.options import Verdict

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        _decide(out, hub, case_id, Verdict.CREATE, why=why, yes=yes)


@case_app.command("ignore")
def case_ignore(
    case_id: Number,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Decide that nothing is made of the record of a case."""
    from sync_engine.options import Verdict

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        _decide(out, hub, case_id, Verdict.IGNORE, why=why, yes=yes)


@case_app.command("split")
def case_split(
    source: Source,
    record: Annotated[str, typer.Option("--record", help="The source's own key of the record.")],
    entity: Entity = "leerling",
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Decide that a record is not the one that it is linked to: it becomes one of its own."""
    from console.acts import act
    from sync_engine.decisions import check_decision
    from sync_engine.nearby import checked_entity
    from sync_engine.options import Decision, Kind, Options, Verdict

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        decision = Decision(Verdict.SPLIT, checked_entity(entity), record)
        check_decision(hub, source, decision)
        options = Options(kind=Kind.DECIDE, decision=decision, why=why, operator=operator_name())
        raise typer.Exit(act(out, hub, source, options, yes=yes, question="Losmaken?"))


@case_app.command("merge")
def case_merge(
    one: Annotated[str, typer.Argument(help="Hub key (K-...).")],
    other: Annotated[str, typer.Argument(help="Hub key (K-...) of the other.")],
    entity: Entity = "leerling",
    differ: Differ = False,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Decide that two records of the core are one: the older one stays, with all of both."""
    from console.acts import act
    from sync_engine.decisions import check_numbers, core_of_key, koppeling_of_core
    from sync_engine.hubkeys import hub_key
    from sync_engine.nearby import checked_entity
    from sync_engine.options import Decision, Kind, Options, Verdict

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        kind, cores = checked_entity(entity), (core_of_key(one), core_of_key(other))
        if cores[0] == cores[1]:
            raise typer.BadParameter("that is the key of one record, twice")
        koppeling, _ = (koppeling_of_core(hub, kind, core_id) for core_id in cores)
        if not differ:
            check_numbers(hub, kind, *cores)
        decision = Decision(Verdict.MERGE, kind, core_id=cores[0], other=cores[1])
        options = Options(kind=Kind.DECIDE, decision=decision, why=why, operator=operator_name())
        stays, goes = (hub_key(core_id) for core_id in sorted(cores))
        question = f"{goes} gaat op in {stays}, de oudste. Samenvoegen?"
        raise typer.Exit(act(out, hub, koppeling, options, yes=yes, question=question))


@case_app.command("decisions")
def case_decisions(
    source: AnySource = None,
    school: OneSchool = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that were taken back too.")
    ] = False,
    limit: Limit = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List what persons decided, newest first."""
    from console.acts import show_decisions
    from sync_engine.decisions import list_decisions
    from sync_engine.selection import select

    with open_hub(config, debug=debug) as hub:
        with hub.store.work() as work:
            names = select(hub, work, source=source, school=school).names
        found = list_decisions(hub, koppelingen=names, everything=everything, limit=limit)
        show_decisions(Output(json=json, zone=hub.settings.timezone), found)


@case_app.command("lift")
def case_lift(
    act_id: Annotated[int, typer.Argument(metavar="DECISION")],
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Take a decision back: what moved by it returns, and the next run judges anew."""
    from console.acts import act
    from sync_engine.decisions import koppeling_of_act
    from sync_engine.options import Kind, Options

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        koppeling = koppeling_of_act(hub, act_id)
        options = Options(kind=Kind.DECIDE, lifted=act_id, why=why, operator=operator_name())
        question = f"Besluit {act_id} terugnemen?"
        raise typer.Exit(act(out, hub, koppeling, options, yes=yes, question=question))


def _decide(
    out: Output,
    hub: Hub,
    case_id: int,
    verdict: Verdict,
    *,
    core_id: int | None = None,
    why: str,
    yes: bool,
) -> None:
    from console.acts import act
    from sync_engine.decisions import check_decision, record_of_case
    from sync_engine.options import Decision, Kind, Options

    case = record_of_case(hub, case_id)
    decision = Decision(verdict, case.entity, case.source_key, core_id=core_id, case_id=case_id)
    check_decision(hub, case.koppeling, decision)
    options = Options(kind=Kind.DECIDE, decision=decision, why=why, operator=operator_name())
    question = f"Zaak {case_id} zo beslissen?"
    raise typer.Exit(act(out, hub, case.koppeling, options, yes=yes, question=question))


# -- refusals --------------------------------------------------------------------------------------


@refused_app.command("list")
def refused_list(
    source: AnySource = None,
    run_id: Annotated[int | None, typer.Option("--run", help="Only of this run.")] = None,
    limit: Limit = 200,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List what sources say and the core does not use, for a person refused or undid it."""
    from console.acts import show_refusals
    from sync_engine.refusals import list_refusals
    from sync_engine.selection import select

    with open_hub(config, debug=debug) as hub:
        with hub.store.work() as work:
            names = select(hub, work, source=source, school=None).names
        found = list_refusals(hub, koppelingen=names, run_id=run_id, limit=limit)
        show_refusals(Output(json=json, zone=hub.settings.timezone), found)


@refused_app.command("lift")
def refused_lift(
    source: Source,
    run_id: Annotated[int, typer.Option("--run", help="The run that refused or undid it.")],
    record: Annotated[
        list[str] | None, typer.Option("--record", help="Only this source key; repeatable.")
    ] = None,
    entity: Entity = "leerling",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Let what was refused count again: the next run proposes it."""
    from console.acts import show_lifting
    from sync_engine.declined import look
    from sync_engine.nearby import checked_entity
    from sync_engine.refusals import lift_refusals

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        keys = [(str(checked_entity(entity)), key) for key in record or []]
        if not yes:
            found = look(hub, source, run_id=run_id, keys=keys, operator=operator_name())
            show_lifting(out, found)
            if not found:
                return
        if not asked(out, "Dit weer laten meetellen?", yes=yes):
            return
        count = lift_refusals(hub, source, run_id=run_id, keys=keys, operator=operator_name())
        if not out.data({"lifted": count}):
            told = "1 record telt" if count == 1 else f"{count} records tellen"
            out.line(f"{told} weer mee; de volgende run stelt dat voor.")
