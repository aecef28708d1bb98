"""Commands on connectors and mappings; none changes a record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from console.arguments import Config, Debug, Json, open_hub
from console.output import Output

connectors_app = typer.Typer(help="Connectors: what systems can be spoken to.")
mapping_app = typer.Typer(help="Mappings: from source to canonical.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(connectors_app, name="connectors")
app.add_typer(mapping_app, name="mapping")


@connectors_app.callback(invoke_without_command=True)
def connectors(context: typer.Context, json: Json = False) -> None:
    """List the installed connectors and what each declares."""
    if context.invoked_subcommand is not None:
        return
    from connectors.registry import find
    from console.views import show_connectors

    show_connectors(Output(json=json), find())


@connectors_app.command("check")
def connectors_check(
    source: Annotated[str | None, typer.Option("--source", help="One koppeling [all].")] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Prove reachability, login and rights, layer by layer; reads no records."""
    from console.views import show_checks
    from sync_engine.checks import check_sources

    with open_hub(config, debug=debug) as hub:
        raise typer.Exit(show_checks(Output(json=json), check_sources(hub, source)))


@app.command()
def assumptions(json: Json = False) -> None:
    """Print the contracts that no public source confirms, of every installed system."""
    from connectors.registry import find

    out = Output(json=json)
    found = [
        (m.system, a)
        for m in (f.manifest for f in find().installed.values())
        for a in m.assumptions
    ]
    if not out.data([{"system": system, "assumption": a} for system, a in found]):
        out.table(("naam", "aanname", "bron"), [(a.name, a.text, a.spec) for _, a in found])


@mapping_app.command("try")
def mapping_try(
    system: str,
    resource: str,
    file: Annotated[
        Path, typer.Argument(help="One raw record, as the source sends it; - is stdin.")
    ],
    json: Json = False,
) -> None:
    """Map one sample record and show each output value."""
    from config.clock import SystemClock, local_date
    from console.views import show_trial
    from sync_engine.checks import try_mapping

    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as exc:
        message = f"{file} cannot be read: {exc.strerror}"
        raise typer.BadParameter(message, param_hint="FILE") from None
    today = local_date(SystemClock().now())
    trial = try_mapping(system, resource, body, today=today)
    raise typer.Exit(show_trial(Output(json=json), trial))
