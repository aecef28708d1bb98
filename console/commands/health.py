"""Commands that watch: how the installation and every koppeling are, once or live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import AnySource, Config, Debug, Json, OneSchool, open_hub
from console.output import Output

if TYPE_CHECKING:
    from sync_engine.condition import Health
    from sync_engine.hub import Hub

app = typer.Typer()

All = Annotated[bool, typer.Option("--all", help="Show what is well too.")]


@app.command("health")
def health_command(
    source: AnySource = None,
    school: OneSchool = None,
    everything: All = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Say what is wrong, by how much, why and what to do; code 0 good, 1 warning, 2 critical."""
    from config.clock import SystemClock
    from console.health import show
    from sync_engine.errors import StoreError
    from sync_engine.health import without_database

    try:
        with open_hub(config, debug=debug) as hub:
            found = _asked(hub, source, school)
    except StoreError as error:  # who watches must hear that too, and as critical
        found = without_database(error, at=SystemClock().now())
    show(Output(json=json), found, everything=everything or source is not None)
    raise typer.Exit(found.state.rank)


@app.command()
def status(
    source: AnySource = None,
    school: OneSchool = None,
    interval: Annotated[
        float, typer.Option("--interval", min=1, help="Seconds between two looks.")
    ] = 5,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show how every koppeling is, live until q or Ctrl-C; once where there is no terminal."""
    from datetime import timedelta

    from console.health import show
    from console.live import is_terminal, watch

    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        if json or not is_terminal():
            show(out, _asked(hub, source, school), everything=True)
        else:
            pause = timedelta(seconds=interval)
            watch(out, lambda: _asked(hub, source, school), clock=hub.clock, pause=pause)


def _asked(hub: Hub, source: str | None, school: str | None) -> Health:
    """The health of what was asked for."""
    from sync_engine.health import health
    from sync_engine.troubles import named

    found = health(hub, only=() if source is None else [source])
    return named(found, [one.name for one in hub.sources_of(school)]) if school else found
