"""Commands for the tracking application: its inbox, and what stood in the core before the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.arguments import Config, Debug, DryRun, Json, Limit, Source, open_hub, operator_name
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


@app.command()
def adopt(
    source: Source,
    school: Annotated[
        list[str], typer.Option("--school", help="BRIN or vestigingsnummer; repeatable.")
    ],
    numbers_of: Annotated[
        str, typer.Option("--numbers-of", help="Koppeling that issued the leerlingnummers.")
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option("--file", help="JSON lines with what no row holds; - is stdin."),
    ] = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    limit: Limit = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Take over what stood in the core before any source, after showing what that is."""
    from console.adoption import read_file, run_adoption

    if json and not (yes or dry_run):
        raise typer.BadParameter("--json needs --yes or --dry-run: nobody can be asked")
    if str(file) == "-" and not (yes or dry_run):
        raise typer.BadParameter("--file - needs --yes or --dry-run: nobody can be asked")
    lines = read_file(file)
    with open_hub(config, debug=debug) as hub:
        code = run_adoption(
            Output(json=json),
            hub,
            source,
            hub.schools(source, school),
            numbers_of=numbers_of,
            lines=lines,
            operator=operator_name(),
            dry=dry_run,
            ask=not yes,
            limit=limit,
        )
    raise typer.Exit(code)
