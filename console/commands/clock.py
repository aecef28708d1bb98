"""Commands of the clock: serve, work, and say what comes when."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.arguments import AnySource, Config, Debug, Json, open_hub
from console.output import Output

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on [as web.host says].")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="0 takes a free one [as web.port says]."),
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
        address = Address(host or web.host, web.port if port is None else port, certificate, key)
        run_service(Output(json=json), system, address)


@app.command()
def worker(
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=64, help="Runs at once.")
    ] = 4,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Carry out what `koppelhub serve` plans, on PostgreSQL, until stopped; any number of them."""
    from dataclasses import replace

    from console.serving import work
    from sync_engine.actor import Actor

    with open_hub(config, debug=debug) as hub:
        work(Output(json=json), replace(hub, actor=Actor()), concurrency=concurrency)


@app.command()
def jobs(
    source: AnySource = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Say what comes when, what is due, what runs, what waits and why, and which processes live."""
    from console.clock import show_clock
    from sync_engine.schedule.view import clock

    with open_hub(config, debug=debug) as hub:
        show_clock(Output(json=json, zone=hub.settings.timezone), clock(hub, only=source))
