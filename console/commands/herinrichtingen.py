"""Commands on herinrichtingen: schools whose number, records or koppeling change on a day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import Config, Debug, Json, Yes, asked, must_ask, open_hub, operator_name
from console.output import Output

if TYPE_CHECKING:
    from config.herinrichting import AnnouncedHerinrichting
    from sync_engine.hub import Hub

herinrichting_app = typer.Typer(
    help="Schools that change their number, or are joined, on a day.", no_args_is_help=True
)
app = typer.Typer()
app.add_typer(herinrichting_app, name="herinrichting")

Why = Annotated[str, typer.Option("--why", help="The reason, without names of persons.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As the configuration names it.")]


@herinrichting_app.command("list")
def herinrichting_list(json: Json = False, config: Config = None, debug: Debug = False) -> None:
    """List what the configuration announces, what is in force, and who is left behind."""
    from console.herinrichtingen import show_herinrichtingen
    from sync_engine.reorganise import list_herinrichtingen

    with open_hub(config, debug=debug) as hub:
        show_herinrichtingen(Output(json=json), list_herinrichtingen(hub))


@herinrichting_app.command("preview")
def herinrichting_preview(
    name: Name, json: Json = False, config: Config = None, debug: Debug = False
) -> None:
    """Show what a herinrichting does, as on its day, with what is known now; changes nothing."""
    from dataclasses import replace

    from console.acts import show_merged
    from console.herinrichtingen import show_numbers, show_transfer
    from console.plans import show_plan
    from console.views import show_report
    from sync_engine.plans import Chosen, read_plan
    from sync_engine.reorganise import act_options, announced, find, koppeling_for
    from sync_engine.runs import run
    from sync_engine.transfer.move import preview as transfer_preview

    out, operator = Output(json=json), operator_name()
    with open_hub(config, debug=debug) as hub:
        told = find(hub, name)
        if told.naar is not None:
            show_transfer(out, transfer_preview(hub, told))
            out.line(f"Toepassen: `koppelhub herinrichting apply {name}`.")
            return
        options = act_options(hub, told, operator=operator, why="")
        shown = run(hub, koppeling_for(hub, told), replace(options, dry=True))
        if shown.plan_id is None or shown.error or json:
            show_report(out, shown)
            raise typer.Exit(shown.exit_code)
        show_numbers(out, announced(told))
        plan = read_plan(hub, shown.plan_id, chosen=Chosen(), limit=_SHOWN, operator=operator)
        show_plan(out, plan)
        show_merged(out, shown)
        out.line(f"Toepassen: `koppelhub herinrichting apply {name}`.")


@herinrichting_app.command("apply")
def herinrichting_apply(
    name: Name,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Put a herinrichting in force: show what changes now, ask, and do it whole."""
    from console.acts import act
    from console.herinrichtingen import show_numbers
    from sync_engine.reorganise import act_options, announced, find, koppeling_for

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        told = find(hub, name)
        if told.naar is not None:
            _transfer(out, hub, told, yes=yes, why=why)
            return
        options = act_options(hub, told, operator=operator_name(), why=why)
        show_numbers(out, announced(told))
        koppeling = koppeling_for(hub, told)
        question = f"Herinrichting {name} van kracht laten worden?"
        raise typer.Exit(act(out, hub, koppeling, options, yes=yes, question=question))


def _transfer(out: Output, hub: Hub, told: AnnouncedHerinrichting, *, yes: bool, why: str) -> None:
    """Show who goes to the other board, ask, and do it."""
    from console.herinrichtingen import show_next, show_transfer
    from sync_engine.transfer.move import preview, transfer

    if not yes:
        show_transfer(out, preview(hub, told))
        if not asked(out, f"Herinrichting {told.name} toepassen?", yes=False):
            return
    report = transfer(hub, told, operator=operator_name(), why=why)
    show_transfer(out, report)
    show_next(out, hub, report)


@herinrichting_app.command("finish")
def herinrichting_finish(
    name: Name,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Close what stands under an old number alone: show it, ask, and do it whole."""
    from console.acts import act
    from sync_engine.options import Kind, Options
    from sync_engine.reorganise import in_force, koppeling_of

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        made = in_force(hub, name)
        options = Options(kind=Kind.DECIDE, finished=made.id, why=why, operator=operator_name())
        question = f"Herinrichting {name} afronden?"
        koppeling = koppeling_of(hub, made)
        raise typer.Exit(act(out, hub, koppeling, options, yes=yes, question=question))


_SHOWN = 20
