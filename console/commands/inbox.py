"""Commands on the inbox: what the tracking application sends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.arguments import Config, Debug, Json, Limit, open_hub
from console.output import Output

inbox_app = typer.Typer(help="The inbox: what the tracking application sends.")
app = typer.Typer()
app.add_typer(inbox_app, name="inbox")

OneSource = Annotated[str | None, typer.Option("--source", help="One koppeling [all].")]


@inbox_app.callback(invoke_without_command=True)
def inbox(
    context: typer.Context,
    source: OneSource = None,
    limit: Limit = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Say what came in, what waits in the table view, and what was refused and why."""
    if context.invoked_subcommand is not None:
        return
    from console.inbox import look, show

    with open_hub(config, debug=debug) as hub:
        states = look(hub, source, limit=limit)
    show(Output(json=json), states)
    if any(state.refused for state in states):
        raise typer.Exit(1)


@inbox_app.command("serve")
def inbox_serve(
    source: OneSource = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")
    ] = 8770,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="PEM file; needed beyond loopback.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file of its key.")] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Take messages over HTTP until interrupted, each koppeling with its own token."""
    from console.inbox import serve
    from web.server import Address

    address = Address(host, port, certificate, key)
    with open_hub(config, debug=debug) as hub:
        serve(Output(json=json), hub, source, address)
