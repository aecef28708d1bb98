"""Commands of the clock: serve, work, and say what comes when."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.arguments import Config, Debug, Json, open_hub
from console.output import Output

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on [that of [web]].")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="0 takes a free one [that of [web]]."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="PEM file; needed beyond loopback.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file of its key.")] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Keep the schedules and serve the pages until stopped; on SQLite it runs what is due too."""
    from dataclasses import replace

    from console.serving import serve as run_service
    from sync_engine.actor import Actor
    from web.server import Address

    with open_hub(config, debug=debug) as hub:
        system = replace(hub, actor=Actor())  # who may start it: what it does, the clock does
        web = hub.settings.web
        where = (host or web.host, web.port if port is None else port)
        run_service(Output(json=json), system, Address(*where, certificate, key))
