"""Commands on messages to targets: which wait, what one says, and a person's word on it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.arguments import (
    AnySource,
    Config,
    Debug,
    Json,
    Limit,
    Number,
    Why,
    Yes,
    asked,
    must_ask,
    open_hub,
    operator_name,
)
from console.output import Output

outbox_app = typer.Typer(
    help="Messages to other systems: what they are to hear of the core.", no_args_is_help=True
)
app = typer.Typer()
app.add_typer(outbox_app, name="outbox")


@outbox_app.command("list")
def outbox_list(
    source: AnySource = None,
    key: Annotated[str | None, typer.Option("--key", help="Only of this hub key.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Limit = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List messages that are not confirmed, and why; 3 where one waits for a person."""
    from console.outbox import code_of, show_messages
    from sync_engine.hubkeys import read_hub_key
    from sync_engine.outbox.messages import list_messages
    from sync_engine.outbox.states import OPEN, State
    from sync_engine.selection import koppelingen_of

    with open_hub(config, debug=debug) as hub, hub.store.work() as work:
        found, more = list_messages(
            work,
            koppelingen_of(hub, work, only=source),
            states=tuple(State) if everything else OPEN,
            key=None if key is None else read_hub_key(key) or 0,
            limit=limit,
        )
        show_messages(Output(json=json, zone=hub.settings.timezone), found, more=more)
    raise typer.Exit(code_of(found))


@outbox_app.command("show")
def outbox_show(
    number: Number,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show a message field by field: what the target has, and what it is to have."""
    from console.outbox import show_message
    from sync_engine.outbox.messages import view

    with open_hub(config, debug=debug) as hub:
        found = view(hub, number, operator=operator_name())
        show_message(Output(json=json, zone=hub.settings.timezone), found)


@outbox_app.command("approve")
def outbox_approve(
    number: Number,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show a correction, ask, and let it go with the next delivery."""
    from console.outbox import show_message, show_messages
    from sync_engine.outbox.messages import approve, view

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        seen = view(hub, number, operator=operator_name())
        if not yes:
            show_message(out, seen)
        if not asked(out, f"Bericht {number} laten versturen?", yes=yes):
            return
        show_messages(out, [approve(hub, seen, operator=operator_name())])


@outbox_app.command("refuse")
def outbox_refuse(
    number: Number,
    why: Why,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Do not send a correction, or what was refused; not made again until the object changes."""
    from console.outbox import show_messages
    from sync_engine.outbox.messages import refuse

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        if not asked(out, f"Bericht {number} niet versturen?", yes=yes):
            return
        show_messages(out, [refuse(hub, number, why=why, operator=operator_name())])


@outbox_app.command("deliver")
def outbox_deliver(
    source: AnySource = None,
    again: Annotated[
        list[int] | None,
        typer.Option("--again", metavar="ID", help="Also this refused message; repeatable."),
    ] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Deliver now what waits, and ask what became of what was sent."""
    from console.outbox import code_of_deliveries, show_deliveries
    from sync_engine.audit import note
    from sync_engine.outbox import messages
    from sync_engine.outbox.delivering import deliver_all
    from sync_engine.outbox.targets import every_target

    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        name = None if source is None else hub.source(source).name
        targets = [t for t in every_target(hub) if name in {None, t.koppeling.name}]
        for number in again or ():
            messages.again(hub, number, operator=operator_name())
        with hub.store.work() as work:
            subject = f"koppeling {name}" if name else "all"
            note(hub, work, operator=operator_name(), action="outbox deliver", subject=subject)
        found = deliver_all(hub, targets=targets, by_hand=True)
    show_deliveries(out, found)
    raise typer.Exit(code_of_deliveries(found))
