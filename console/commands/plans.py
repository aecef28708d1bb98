"""Commands on plans: which wait, what one would change, and a person's word on it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.arguments import (
    AnySource,
    Config,
    Csv,
    Debug,
    Json,
    Limit,
    Number,
    OneSchool,
    Yes,
    asked,
    must_ask,
    not_both,
    open_hub,
    operator_name,
    run_and_show,
)
from console.output import Output

plan_app = typer.Typer(help="Plans: what a run would do.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(plan_app, name="plan")

_SHOWN = 20
"""Steps that are shown before a person is asked; `plan show` shows all."""


@plan_app.command("list")
def plan_list(
    source: AnySource = None,
    school: OneSchool = None,
    state: Annotated[
        str | None,
        typer.Option("--state", help="open, held, applied, approved, refused, expired, dry."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that wait for nobody too.")
    ] = False,
    limit: Limit = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List the plans that wait for a person, newest first."""
    from console.plans import show_plans
    from sync_engine.nearby import checked_word
    from sync_engine.plans import STATES, list_plans
    from sync_engine.selection import select

    with open_hub(config, debug=debug) as hub:
        with hub.store.work() as work:
            chosen = select(hub, work, source=source, school=school)
        found = list_plans(
            hub,
            koppelingen=chosen.names,
            state=None if state is None else checked_word(state, STATES, what="state"),
            everything=everything,
            limit=limit,
        )
        show_plans(Output(json=json, zone=hub.settings.timezone), found)


@plan_app.command("show")
def plan_show(
    plan_id: Number,
    entity: Annotated[str | None, typer.Option("--entity", help="Only this entity.")] = None,
    op: Annotated[
        str | None, typer.Option("--op", help="Only create, change, close or reopen.")
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="Only what changes this field.")
    ] = None,
    held: Annotated[bool, typer.Option("--held", help="Only what waits for a person.")] = False,
    key: Annotated[
        str | None, typer.Option("--key", help="Only this record: hub key or source key.")
    ] = None,
    limit: Limit = 50,
    csv: Csv = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show a plan: counts, then record by record, field by field, before and after."""
    from console.plans import show_plan, step_file
    from sync_engine.nearby import checked_entity, checked_field, checked_word
    from sync_engine.plans import OPS, Chosen, read_plan

    not_both(json=json, csv=csv)
    with open_hub(config, debug=debug) as hub:
        kind = None if entity is None else checked_entity(entity)
        chosen = Chosen(
            entity=kind,
            op=None if op is None else checked_word(op, OPS, what="operation"),
            field=None if field is None else checked_field(field, kind),
            held=held,
            key=key,
        )
        with step_file(csv) as each:
            plan = read_plan(
                hub, plan_id, chosen=chosen, limit=limit, operator=operator_name(), each=each
            )
        if csv != "-":
            show_plan(Output(json=json, zone=hub.settings.timezone), plan)


@plan_app.command("approve")
def plan_approve(
    plan_id: Number,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Approve a held plan: what still holds as shown is applied, the rest stays held."""
    _approve(plan_id, Output(json=json), yes=yes, config=config, debug=debug)


@plan_app.command("apply")
def plan_apply(
    plan_id: Number,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Apply exactly the steps of a plan that still hold as shown; hold the rest."""
    _approve(plan_id, Output(json=json), yes=yes, config=config, debug=debug)


def _approve(plan_id: int, out: Output, *, yes: bool, config: Config, debug: bool) -> None:
    """One word for both: `approve` what a guard held, `apply` what `sync --plan` left open."""
    from console.plans import show_plan
    from sync_engine.plans import Chosen, approvable, note_approval, read_plan
    from sync_engine.runs import Kind, Options

    must_ask(out, yes=yes)
    operator = operator_name()
    with open_hub(config, debug=debug) as hub:
        head = approvable(hub, plan_id)
        if not yes:
            waits = Chosen(held=head.state == "held")
            show_plan(out, read_plan(hub, plan_id, chosen=waits, limit=_SHOWN, operator=operator))
        if not asked(out, f"Plan {plan_id} toepassen?", yes=yes):
            return
        note_approval(hub, plan_id, operator=operator)
        options = Options(kind=Kind.APPLY, approved=plan_id, operator=operator)
        raise typer.Exit(run_and_show(out, hub, head.koppeling, options))
