"""Commands on plans: what a run would do, and a person's word on it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.arguments import (
    Config,
    Debug,
    Json,
    Limit,
    Number,
    open_hub,
    operator_name,
    run_and_show,
)
from console.output import Output

plan_app = typer.Typer(help="Plans: what a run would do.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(plan_app, name="plan")


@plan_app.command("apply")
def plan_apply(
    plan_id: Number,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Apply exactly the steps of a plan that still hold as shown; hold the rest."""
    from sync_engine.history import koppeling_of_plan, note_approval
    from sync_engine.runs import Kind, Options

    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        note_approval(hub, plan_id, operator=operator_name())
        options = Options(kind=Kind.APPLY, approved=plan_id, operator=operator_name())
        raise typer.Exit(run_and_show(out, hub, koppeling_of_plan(hub, plan_id), options))


@plan_app.command("show")
def plan_show(
    plan_id: Number,
    entity: Annotated[str | None, typer.Option("--entity")] = None,
    limit: Limit = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show a plan: counts, then record by record, field by field, before and after."""
    from console.views import show_plan
    from sync_engine.history import read_plan

    with open_hub(config, debug=debug) as hub:
        plan = read_plan(hub, plan_id, entity=entity, limit=limit, operator=operator_name())
        show_plan(Output(json=json), plan)
